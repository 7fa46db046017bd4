"""Whatever the template: taking away what we add gives the user's template back, byte for byte."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollcall import config
from rollcall.core import manifests
from support.trackedcronjobs import tracked

Object = dict[str, Any]

SIDECAR = config.Sidecar(
    image="registry.example/sidecar:1",
    ingest_url="http://api.rollcall:8080",
    pull_secrets=("rollcall-pull",),
)

names = st.text("abcdefghijklmnop-", min_size=1, max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)
quantities = st.sampled_from(["1", "100m", "1Gi", 2, "0.5", "nonsense"])
budgets = st.dictionaries(st.sampled_from(["cpu", "memory", "gpu"]), quantities)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=fields)


environments = st.lists(
    st.fixed_dictionaries({"name": names | st.just("ROLLCALL_URL"), "value": st.text(max_size=5)}),
    max_size=3,
)
containers = st.builds(
    lambda name, known, unknown: {**unknown, **known, "name": name},
    names,
    optional(
        env=environments,
        ports=st.lists(st.fixed_dictionaries({"containerPort": st.sampled_from([80, 7655])})),
        resources=optional(limits=budgets, requests=budgets),
        terminationMessagePolicy=st.sampled_from(["File", "FallbackToLogsOnError"]),
    ),
    st.dictionaries(names.map("x-".__add__), values, max_size=3),
)
pods = st.builds(
    lambda known, unknown: {**unknown, **known},
    st.fixed_dictionaries(
        {"containers": st.lists(containers, min_size=1, max_size=3)},
        optional={
            "initContainers": st.lists(containers, max_size=2),
            "volumes": st.lists(st.fixed_dictionaries({"name": names}), max_size=2),
            "imagePullSecrets": st.lists(st.fixed_dictionaries({"name": names}), max_size=2),
            "securityContext": optional(runAsUser=st.sampled_from([0, 1000])),
            "restartPolicy": st.sampled_from(["Never", "OnFailure"]),
            "hostNetwork": st.booleans(),
            "os": optional(name=st.sampled_from(["linux", "windows"])),
        },
    ),
    st.dictionaries(names.map("x-".__add__), values, max_size=3),
)
jobs = optional(
    backoffLimit=st.integers(0, 3), podFailurePolicy=values, podReplacementPolicy=values
)
labels = st.dictionaries(names, names, max_size=2)
metadata = st.none() | optional(
    labels=labels, annotations=st.dictionaries(names, names, max_size=2)
)


def without(items: list[Object], name: str) -> list[Object]:
    return [item for item in items if item["name"] != name]


def strip(template: Object, *, original: Object, injected: bool) -> Object:
    """Undo the closed list of changes on a Job template."""
    for carrier in (template, template["spec"]["template"]):
        for label in ("rollcall.dev/name", "rollcall.dev/uid"):
            del carrier["metadata"]["labels"][label]
    pod, before = template["spec"]["template"]["spec"], original["spec"]["template"]["spec"]
    if injected:
        assert pod["initContainers"].pop(0)["name"] == "rollcall"
        assert pod["volumes"].pop()["name"] == "rollcall-token"
        pod["imagePullSecrets"] = without(pod["imagePullSecrets"], "rollcall-pull")
    told = injected and not before.get("hostNetwork")
    for group in ("containers", "initContainers"):
        for mine, theirs in zip(pod.get(group) or (), before.get(group) or (), strict=True):
            if told and "ROLLCALL_URL" not in {one["name"] for one in theirs.get("env") or ()}:
                assert mine["env"].pop() == {
                    "name": "ROLLCALL_URL",
                    "value": "http://127.0.0.1:7655",
                }
            if "terminationMessagePolicy" not in theirs:
                mine.pop("terminationMessagePolicy", None)
    return tidy(template)


def tidy(template: Object) -> Object:
    """Treat an absent list or map as an empty one, as the API server does."""
    pod = template["spec"]["template"]["spec"]
    for name in ("initContainers", "volumes", "imagePullSecrets"):
        pod[name] = pod.get(name) or []
    for group in ("containers", "initContainers"):
        for container in pod[group]:
            container["env"] = container.get("env") or []
    for carrier in (template, template["spec"]["template"]):
        carrier["metadata"] = carrier.get("metadata") or {}
        carrier["metadata"]["labels"] = carrier["metadata"].get("labels") or {}
    return template


@given(pod=pods, job=jobs, of_job=metadata, of_pod=metadata)
def test_taking_away_what_we_add_gives_the_users_template_back(
    pod: Object, job: Object, of_job: Object | None, of_pod: Object | None
) -> None:
    body = tracked()
    original: Object = {"spec": {**job, "template": {"spec": pod}}}
    if of_job is not None:
        original["metadata"] = of_job
    if of_pod is not None:
        original["spec"]["template"]["metadata"] = of_pod
    body["spec"]["jobTemplate"] = original
    written = json.dumps(body)
    plan = manifests.build(body, sidecar=SIDECAR)
    assert json.dumps(body) == written
    stripped = strip(
        plan.cronjob["spec"]["jobTemplate"], original=original, injected=plan.obstacle is None
    )
    assert json.dumps(stripped, sort_keys=True) == json.dumps(tidy(original), sort_keys=True)


@given(pod=pods)
def test_the_same_input_gives_the_same_plan(pod: Object) -> None:
    body = tracked(pod=pod)
    first = manifests.build(body, sidecar=SIDECAR)
    again = manifests.build(json.loads(json.dumps(body)), sidecar=SIDECAR)
    assert (first.spec_hash, first.cronjob) == (again.spec_hash, again.cronjob)

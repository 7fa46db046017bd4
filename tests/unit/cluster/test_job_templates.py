"""What is kept of the template that a Job was made from."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from rollcall import config
from rollcall.cluster import job_templates, mapping
from rollcall.core import executions, manifests, setups, tracking
from support import trackedcronjobs
from support.podbodies import SECRET, Object, made_from

SIDECAR = config.Sidecar(image="registry.test/sidecar:1", ingest_url="http://api.rollcall:8080")


def read(body: Object) -> executions.JobTemplate:
    found = job_templates.read(body)
    assert found
    return found


def summary(body: Object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(body).summary)
    return found


def pod_of(body: Object) -> Object:
    pod: Object = body["spec"]["template"]["spec"]
    return pod


def app_of(body: Object) -> Object:
    app: Object = pod_of(body)["containers"][0]
    return app


def test_images_are_kept_as_written_and_of_parts_short_hashes_alone() -> None:
    kept = summary(made_from())
    assert kept["images"] == {"app": "registry.test/app:1"}
    assert kept["parts"].keys() == {
        "app/args", "app/env", "app/settings", "annotations", "backoffLimit", "labels", "settings",
        "volumes",
    }  # fmt: skip
    assert all(len(one) == 8 for one in kept["parts"].values())
    assert SECRET not in read(made_from()).summary


def test_what_is_kept_is_of_this_version() -> None:
    """Another hash for the same template would be told as a change: raise VERSION then."""
    assert summary(made_from())["version"] == setups.VERSION == 1
    assert read(made_from()).hash == "dd473c7309ca3089"


def test_another_job_of_the_same_template_has_the_same() -> None:
    other = made_from()
    other["metadata"] |= {"uid": "another", "name": "minutely-29926854"}
    for label in ("controller-uid", "batch.kubernetes.io/controller-uid"):
        other["spec"]["template"]["metadata"]["labels"][label] = "another"
    for label in ("job-name", "batch.kubernetes.io/job-name"):
        other["spec"]["template"]["metadata"]["labels"][label] = "minutely-29926854"
    queued = {"kueue.x-k8s.io/workload": "job-report-c3e91"}
    other["spec"]["template"]["metadata"]["annotations"] |= queued
    other["spec"] |= {"ttlSecondsAfterFinished": 901, "selector": {}}
    assert job_templates.read(other) is job_templates.read(made_from())


CHANGES: dict[str, tuple[Callable[[Object], object], str]] = {
    "a value": (lambda job: app_of(job)["env"][0].update(value="x"), "app/env"),
    "a source of values": (lambda job: app_of(job).update(envFrom=[{"prefix": "A"}]), "app/env"),
    "an argument": (lambda job: app_of(job)["args"].append("--fast"), "app/args"),
    "the command": (lambda job: app_of(job).update(command=["/app"]), "app/command"),
    "limits": (lambda job: app_of(job).update(resources={"limits": {"cpu": 1}}), "app/resources"),
    "a probe": (lambda job: app_of(job).update(livenessProbe={"exec": {}}), "app/settings"),
    "a volume": (lambda job: pod_of(job)["volumes"].pop(), "volumes"),
    "an account": (lambda job: pod_of(job).update(serviceAccountName="a"), "serviceAccount"),
    "no token": (
        lambda job: pod_of(job).update(automountServiceAccountToken=False), "serviceAccount",
    ),
    "no retries": (lambda job: job["spec"].update(backoffLimit=0), "backoffLimit"),
    "a node": (lambda job: pod_of(job).update(nodeSelector={"a": "b"}), "placement"),
    "DNS": (lambda job: pod_of(job).update(dnsPolicy="None"), "settings"),
    "a pull secret": (
        lambda job: pod_of(job).update(imagePullSecrets=[{"name": "a"}]), "imagePullSecrets",
    ),
    "a user": (
        lambda job: pod_of(job).update(securityContext={"runAsUser": 1}), "podSecurityContext",
    ),
    "a label": (lambda job: job["spec"]["template"]["metadata"]["labels"].pop("app"), "labels"),
    "an annotation": (
        lambda job: job["spec"]["template"]["metadata"].pop("annotations"), "annotations",
    ),
    "a time limit": (
        lambda job: job["spec"].update(activeDeadlineSeconds=60), "activeDeadlineSeconds",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "part"), CHANGES.values(), ids=CHANGES)
def test_each_part_has_its_own_hash(change: Callable[[Object], object], part: str) -> None:
    changed = made_from()
    change(changed)
    before, after = summary(made_from())["parts"], summary(changed)["parts"]
    differing = {
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    }
    assert differing == {part}
    assert read(changed).hash != read(made_from()).hash


def test_what_rollcall_adds_is_no_part_of_it() -> None:
    bare, injected = (
        manifests.build(trackedcronjobs.tracked(tracking={"sidecar": wish.value}), sidecar=SIDECAR)
        for wish in (tracking.Sidecar.NEVER, tracking.Sidecar.ALWAYS)
    )
    assert injected.pod != bare.pod
    jobs = [made_from({"template": copy.deepcopy(one.pod)}) for one in (bare, injected)]
    assert read(jobs[0]) == read(jobs[1])


def test_a_user_s_container_of_our_name_is_the_user_s() -> None:
    body = made_from()
    pod_of(body)["initContainers"] = [{"name": "rollcall", "image": "mine:1"}]
    assert summary(body)["images"]["rollcall"] == "mine:1"


def test_of_very_many_containers_the_last_are_one_part() -> None:
    body = made_from()
    pod_of(body)["containers"] = [
        {"name": f"c{n}", "image": f"x:{n}"} for n in range(job_templates.MOST_CONTAINERS + 2)
    ]
    kept = summary(body)
    assert len(kept["images"]) == job_templates.MOST_CONTAINERS
    assert setups.OTHER_CONTAINERS in kept["parts"]


def test_a_suspended_job_may_still_be_changed_by_its_queue() -> None:
    body = made_from({"suspend": True})
    assert job_templates.read(body) is None
    observed = mapping.job(body)
    assert observed
    assert observed.template is None


NONSENSE = {
    "no template": {},
    "a text": {"template": "x"},
    "no containers": {"template": {"spec": {"containers": []}}},
    "containers without names": {"template": {"spec": {"containers": [{"image": "x"}, 5, None]}}},
}


@pytest.mark.parametrize("spec", NONSENSE.values(), ids=NONSENSE)
def test_of_nonsense_nothing_is_kept(spec: Object) -> None:
    assert job_templates.read({"spec": spec}) is None


def test_what_postgres_cannot_keep_is_left_out_of_it() -> None:
    body = made_from()
    app_of(body)["image"] = "x\0y\ud800"
    app_of(body)["args"] = ["\0\ud800"]
    assert summary(body)["images"]["app"] == "xy?"

"""The sidecar in a template: exactly what is added, and when nothing is."""

from dataclasses import replace
from typing import Any

import pytest

from rollcall import config
from rollcall.core import injection, manifests
from support.trackedcronjobs import POD, tracked

SIDECAR = config.Sidecar(image="registry.example/sidecar:1", ingest_url="http://api.rollcall:8080")
USES_THE_PORT = {"name": "a", "image": "x", "ports": [{"containerPort": 7655}]}
CAPPED = {"limits": {"cpu": "1", "memory": "1Gi"}}


def pod_of(body: dict[str, Any], settings: config.Sidecar = SIDECAR) -> dict[str, Any]:
    spec: dict[str, Any] = manifests.build(body, sidecar=settings).pod["spec"]
    return spec


def ours_in(pod: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod["initContainers"][0]
    assert container["name"] == "rollcall"
    return container


def obstacle(body: dict[str, Any], settings: config.Sidecar = SIDECAR) -> str | None:
    """Return why the sidecar is left out, once it is sure that it is, or is not."""
    plan = manifests.build(body, sidecar=settings)
    mounts = [one.get("volumeMounts") for one in plan.pod["spec"].get("initContainers", [])]
    assert any(mounts) is (plan.obstacle is None)
    return plan.obstacle.reason if plan.obstacle else None


def test_the_sidecar_is_the_first_init_container_and_native() -> None:
    pod = pod_of(tracked(pod={"initContainers": [{"name": "prepare", "image": "x"}]}))
    assert [one["name"] for one in pod["initContainers"]] == ["rollcall", "prepare"]
    ours = ours_in(pod)
    assert ours == {
        "name": "rollcall",
        "image": "registry.example/sidecar:1",
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "env": [
            {"name": "ROLLCALL_INGEST_URL", "value": "http://api.rollcall:8080"},
            {"name": "ROLLCALL_HEARTBEAT_SECONDS", "value": "15"},
            _field("ROLLCALL_NAMESPACE", "metadata.namespace"),
            _field("ROLLCALL_POD_NAME", "metadata.name"),
            _field("ROLLCALL_POD_UID", "metadata.uid"),
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {
                "name": "rollcall-token",
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "readOnly": True,
            }
        ],
        "resources": {
            "requests": {"cpu": "5m", "memory": "48Mi"},
            "limits": {"memory": "48Mi"},
        },
    }


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def test_the_token_is_bound_to_our_audience() -> None:
    volumes = pod_of(tracked())["volumes"]
    token = {"audience": "rollcall.dev/ingest", "expirationSeconds": 3600, "path": "token"}
    assert volumes == [
        {"name": "rollcall-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    ]


def test_interval_and_port_reach_the_sidecar_and_the_users_containers() -> None:
    pod = pod_of(tracked(tracking={"port": 7000, "heartbeatInterval": "1m30s"}))
    env = {one["name"]: one.get("value") for one in ours_in(pod)["env"]}
    assert env["ROLLCALL_PORT"] == "7000"
    assert env["ROLLCALL_HEARTBEAT_SECONDS"] == "90"
    assert pod["containers"][0]["env"] == [
        {"name": "ROLLCALL_URL", "value": "http://127.0.0.1:7000"}
    ]


def test_a_users_own_url_stays_and_init_containers_get_one_too() -> None:
    own = {"name": "ROLLCALL_URL", "value": "http://elsewhere"}
    pod = pod_of(
        tracked(
            pod={
                "containers": [{"name": "main", "image": "x", "env": [own]}],
                "initContainers": [{"name": "prepare", "image": "x"}],
            }
        )
    )
    assert pod["containers"][0]["env"] == [own]
    assert pod["initContainers"][1]["env"] == [
        {"name": "ROLLCALL_URL", "value": "http://127.0.0.1:7655"}
    ]


def test_on_the_nodes_network_it_only_beats_and_no_program_is_told_an_address() -> None:
    pod = pod_of(
        tracked(
            tracking={"port": 7000},
            pod={"hostNetwork": True, "initContainers": [{"name": "prepare", "image": "x"}]},
        )
    )
    env = {one["name"]: one.get("value") for one in ours_in(pod)["env"]}
    assert env["ROLLCALL_PORT"] == "none"
    assert not any("env" in one for one in (*pod["containers"], *pod["initContainers"][1:]))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, False),
        ({"pod": {"hostNetwork": False}}, False),
        ({"pod": {"hostNetwork": True}}, True),
        ({"pod": {"hostNetwork": True}, "tracking": {"sidecar": "Never"}}, False),
    ],
    ids=["a-network-of-its-own", "said-so", "the-nodes", "no-sidecar"],
)
def test_a_plan_says_whether_programs_are_heard(spec: dict[str, Any], expected: bool) -> None:
    assert manifests.build(tracked(**spec), sidecar=SIDECAR).beats_only is expected


@pytest.mark.parametrize(
    ("users", "inits", "room"),
    [(1, 0, None), (2, 0, None), (1, 1, None), (3, 0, "3072"), (2, 1, "3072"), (5, 5, "1117")],
)
def test_the_sidecar_is_told_how_much_is_kept_of_its_last_words(
    users: int, inits: int, room: str | None
) -> None:
    pod = pod_of(
        tracked(
            pod={
                "containers": [{"name": f"c{n}", "image": "x"} for n in range(users)],
                "initContainers": [{"name": f"i{n}", "image": "x"} for n in range(inits)],
            }
        )
    )
    env = {one["name"]: one.get("value") for one in ours_in(pod)["env"]}
    assert env.get("ROLLCALL_TERMINATION_BYTES") == room


@pytest.mark.parametrize(
    ("resources", "cpu_limit"),
    [
        (CAPPED, "100m"),
        ({**CAPPED, "requests": {"cpu": "1000m", "memory": "1024Mi"}}, "100m"),
        ({**CAPPED, "requests": {"cpu": "500m"}}, None),
        ({"limits": {"cpu": "1"}}, None),
        ({"limits": {"cpu": "0", "memory": "1Gi"}}, None),
        ({"limits": {"cpu": "lots", "memory": "1Gi"}}, None),
        ({}, None),
    ],
    ids=["guaranteed", "other-units", "burstable", "no-memory", "zero", "garbage", "best-effort"],
)
def test_a_guaranteed_pod_stays_guaranteed(
    resources: dict[str, Any], cpu_limit: str | None
) -> None:
    pod = pod_of(tracked(pod={"containers": [{"name": "a", "image": "x", "resources": resources}]}))
    ours = ours_in(pod)["resources"]
    assert ours["limits"].get("cpu") == cpu_limit
    assert ours["requests"]["cpu"] == (cpu_limit or "5m")


def test_a_budget_of_the_whole_pod_bounds_the_sidecar() -> None:
    assert "resources" not in ours_in(pod_of(tracked(pod={"resources": CAPPED})))


@pytest.mark.parametrize(
    ("user", "expected"), [(0, 65532), (1000, None), (None, None)], ids=["root", "user", "unset"]
)
def test_a_user_is_named_only_where_the_pod_says_root(
    user: int | None, expected: int | None
) -> None:
    context = {} if user is None else {"securityContext": {"runAsUser": user}}
    ours = ours_in(pod_of(tracked(pod=context)))
    assert ours["securityContext"].get("runAsUser") == expected


def test_pull_secrets_are_added_once() -> None:
    settings = replace(SIDECAR, pull_secrets=("ours", "theirs"))
    pod = pod_of(tracked(pod={"imagePullSecrets": [{"name": "theirs"}]}), settings)
    assert pod["imagePullSecrets"] == [{"name": "theirs"}, {"name": "ours"}]
    assert "imagePullSecrets" not in pod_of(tracked())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (tracked(), None),
        (tracked(tracking={"sidecar": "Never"}), "Disabled"),
        (tracked(pod={"os": {"name": "windows"}}), "WindowsPod"),
        (tracked(pod={"nodeSelector": {"kubernetes.io/os": "windows"}}), "WindowsPod"),
        (tracked(pod={"containers": [{"name": "rollcall", "image": "x"}]}), "NameTaken"),
        (tracked(pod={"initContainers": [{"name": "rollcall", "image": "x"}]}), "NameTaken"),
        (tracked(pod={"volumes": [{"name": "rollcall-token", "emptyDir": {}}]}), "NameTaken"),
        (tracked(pod={"containers": [USES_THE_PORT]}), "PortTaken"),
        (tracked(pod={"hostNetwork": True, "containers": [USES_THE_PORT]}), None),
        (
            tracked(tracking={"port": 7000}, pod={"containers": [USES_THE_PORT]}),
            None,
        ),
        (
            tracked(job={"backoffLimit": 0}, pod={"restartPolicy": "OnFailure"}),
            "OnFailureWithoutRetries",
        ),
        (tracked(job={"backoffLimit": 1}, pod={"restartPolicy": "OnFailure"}), None),
        (tracked(job={"backoffLimit": 0}), None),
    ],
)
def test_when_the_sidecar_is_left_out(body: dict[str, Any], reason: str | None) -> None:
    assert obstacle(body) == reason


def test_always_overrides_a_guess_but_never_a_certainty() -> None:
    always = {"sidecar": "Always"}
    risky: dict[str, Any] = {"job": {"backoffLimit": 0}, "pod": {"restartPolicy": "OnFailure"}}
    assert obstacle(tracked(tracking=always, **risky)) is None
    assert obstacle(tracked(tracking=always, pod={"os": {"name": "windows"}})) == "WindowsPod"
    refused = injection.Obstacle(reason="SidecarRefused", message="", is_guess=True)
    gone = injection.Obstacle(reason="ImageUnavailable", message="")
    for withheld, expected in ((refused, None), (gone, gone)):
        plan = manifests.build(tracked(tracking=always), sidecar=SIDECAR, withheld=withheld)
        assert plan.obstacle == expected


def test_without_a_sidecar_image_nothing_is_injected() -> None:
    assert obstacle(tracked(), replace(SIDECAR, image="")) == "NotConfigured"


def test_left_out_means_that_only_labels_and_log_policy_are_added() -> None:
    pod = pod_of(tracked(tracking={"sidecar": "Never"}))
    container = {**POD["containers"][0], "terminationMessagePolicy": "FallbackToLogsOnError"}
    assert pod == {**POD, "containers": [container]}

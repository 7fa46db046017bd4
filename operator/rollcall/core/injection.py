"""The sidecar in a user's pod template: whether it can be there, and exactly what it adds.

Invariants:
- What is added is a closed list: the init container, its token volume, ROLLCALL_URL in the user's
  containers, names of pull secrets. Everything else of the template stays byte for byte.
- The sidecar cannot stop a pod by itself: no probe, no command, no ConfigMap, no emptyDir.
- No API token enters the sidecar: ours lies where Kubernetes would mount one.
- Programs talk to it on a loopback address that is their pod's own, or not at all.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rollcall.core import names, quantities, termination, tracking

TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
TOKEN_SECONDS = 3600  # kubelet renews it at 80 %
USER = 65532  # of the image; said only where the pod says root

Template = dict[str, Any]

# Measured: 13 MB resident, 23 with a full buffer over https; some cpu at start, then next to none.
_RESOURCES = {"requests": {"cpu": "5m", "memory": "48Mi"}, "limits": {"memory": "48Mi"}}
_GUARANTEED = {
    "requests": {"cpu": "100m", "memory": "48Mi"},
    "limits": {"cpu": "100m", "memory": "48Mi"},
}


class Settings(Protocol):
    """The installation's part of the sidecar."""

    @property
    def image(self) -> str:
        """Empty: nothing is injected anywhere."""

    @property
    def ingest_url(self) -> str:
        """Where pods of any namespace reach us."""

    @property
    def pull_policy(self) -> str:
        """As in a container."""

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Names of Secrets in the job's namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a pod gets no sidecar; `sidecar: Always` overrides a guess, never a certainty."""

    reason: str
    message: str
    is_guess: bool = False


def obstacle(
    job: Mapping[str, Any], wish: tracking.Tracking, settings: Settings
) -> Obstacle | None:
    """Say why this Job template cannot have the sidecar, None if nothing is in its way."""
    pod = job["template"]["spec"]
    if wish.sidecar is tracking.Sidecar.NEVER:
        return Obstacle(reason="Disabled", message="tracking.sidecar is Never")
    if not settings.image:
        return Obstacle(reason="NotConfigured", message="the installation names no sidecar image")
    port_taken = None if beats_only(pod) else _port_taken(pod, wish.port)
    found = _windows(pod) or _name_taken(pod) or port_taken or _no_retries(job)
    return unless_overridden(found, wish)


def unless_overridden(found: Obstacle | None, wish: tracking.Tracking) -> Obstacle | None:
    """Drop a guess that the job overrides."""
    insists = wish.sidecar is tracking.Sidecar.ALWAYS
    return None if found and found.is_guess and insists else found


def beats_only(pod: Mapping[str, Any]) -> bool:
    """Whether a sidecar of this pod takes no reports.

    With hostNetwork the loopback address is the node's: whoever runs there could report for this
    run, and this pod's program could find another run's sidecar at the port.
    """
    return bool(pod.get("hostNetwork"))


def add(pod: Template, wish: tracking.Tracking, settings: Settings) -> None:
    """Put the sidecar into a pod's spec, in place."""
    for user in () if beats_only(pod) else containers(pod):
        _offer_url(user, wish.port)
    ours = _container(pod, wish, settings)
    pod["initContainers"] = [ours, *(pod.get("initContainers") or ())]
    pod["volumes"] = [*(pod.get("volumes") or ()), _token_volume()]
    _add_pull_secrets(pod, settings.pull_secrets)


def containers(pod: Mapping[str, Any]) -> Iterator[Template]:
    """Yield the regular containers, then the init containers."""
    yield from pod.get("containers") or ()
    yield from pod.get("initContainers") or ()


def _windows(pod: Mapping[str, Any]) -> Obstacle | None:
    selected = (pod.get("nodeSelector") or {}).get("kubernetes.io/os")
    if "windows" in {(pod.get("os") or {}).get("name"), selected}:
        return Obstacle(reason="WindowsPod", message="the sidecar image is built for Linux")
    return None


def _name_taken(pod: Mapping[str, Any]) -> Obstacle | None:
    if any(user.get("name") == names.CONTAINER for user in containers(pod)):
        what = f"the template has a container named {names.CONTAINER}"
    elif any(volume.get("name") == names.TOKEN_VOLUME for volume in pod.get("volumes") or ()):
        what = f"the template has a volume named {names.TOKEN_VOLUME}"
    else:
        return None
    return Obstacle(reason="NameTaken", message=f"{what}; give it another name")


def _port_taken(pod: Mapping[str, Any], port: int) -> Obstacle | None:
    for user in containers(pod):
        for declared in user.get("ports") or ():
            if port in {declared.get("containerPort"), declared.get("hostPort")}:
                return Obstacle(
                    reason="PortTaken",
                    message=f"container {user.get('name')} uses port {port}; "
                    "set tracking.port to a free one",
                )
    return None


def _no_retries(job: Mapping[str, Any]) -> Obstacle | None:
    restarts = job["template"]["spec"].get("restartPolicy") == "OnFailure"
    if restarts and job.get("backoffLimit") == 0:
        return Obstacle(
            reason="OnFailureWithoutRetries",
            message="with restartPolicy OnFailure and backoffLimit 0 a restart of the sidecar "
            "would fail the Job; set tracking.sidecar to Always to take that risk",
            is_guess=True,
        )
    return None


def _offer_url(user: Template, port: int) -> None:
    env = user.get("env") or []
    if not any(item.get("name") == "ROLLCALL_URL" for item in env):
        user["env"] = [*env, {"name": "ROLLCALL_URL", "value": f"http://127.0.0.1:{port}"}]


def _container(pod: Template, wish: tracking.Tracking, settings: Settings) -> Template:
    container = {
        "name": names.CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "restartPolicy": "Always",
        "env": _environment(pod, wish, settings),
        "securityContext": _security(pod),
        "volumeMounts": [
            {"name": names.TOKEN_VOLUME, "mountPath": TOKEN_DIRECTORY, "readOnly": True}
        ],
    }
    # Where the pod as a whole has a budget, that budget bounds the sidecar too.
    if not pod.get("resources"):
        ours = _GUARANTEED if _is_guaranteed(pod) else _RESOURCES
        container["resources"] = copy.deepcopy(ours)
    return container


def _environment(pod: Template, wish: tracking.Tracking, settings: Settings) -> list[Template]:
    values = {
        "ROLLCALL_INGEST_URL": settings.ingest_url,
        "ROLLCALL_HEARTBEAT_SECONDS": str(int(wish.heartbeat.total_seconds())),
    }
    if beats_only(pod):
        values["ROLLCALL_PORT"] = "none"
    elif wish.port != tracking.DEFAULT_PORT:
        values["ROLLCALL_PORT"] = str(wish.port)
    room = termination.room(sum(1 for _ in containers(pod)) + 1)
    if room < termination.LONGEST:
        values["ROLLCALL_TERMINATION_BYTES"] = str(room)
    fields = {
        "ROLLCALL_NAMESPACE": "metadata.namespace",
        "ROLLCALL_POD_NAME": "metadata.name",
        "ROLLCALL_POD_UID": "metadata.uid",
    }
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        *(
            {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
            for name, path in fields.items()
        ),
    ]


def _security(pod: Mapping[str, Any]) -> Template:
    """Satisfy the restricted Pod Security Standard, whatever the user's containers need."""
    context: Template = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if (pod.get("securityContext") or {}).get("runAsUser") == 0:
        context["runAsUser"] = USER
    return context


def _token_volume() -> Template:
    token = {
        "audience": names.TOKEN_AUDIENCE,
        "expirationSeconds": TOKEN_SECONDS,
        "path": "token",
    }
    return {
        "name": names.TOKEN_VOLUME,
        "projected": {"sources": [{"serviceAccountToken": token}]},
    }


def _add_pull_secrets(pod: Template, wanted: tuple[str, ...]) -> None:
    present = pod.get("imagePullSecrets") or []
    known = {secret.get("name") for secret in present}
    added = [{"name": name} for name in wanted if name not in known]
    if added:
        pod["imagePullSecrets"] = [*present, *added]


def _is_guaranteed(pod: Mapping[str, Any]) -> bool:
    """Whether the kubelet would give the pod the QoS class Guaranteed without us."""
    return all(_is_capped(user.get("resources") or {}) for user in containers(pod))


def _is_capped(resources: Mapping[str, Any]) -> bool:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name in ("cpu", "memory"):
        limit = quantities.parse(limits.get(name))
        if not limit or quantities.parse(requests.get(name, limits[name])) != limit:
            return False
    return True

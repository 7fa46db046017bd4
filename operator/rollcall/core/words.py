"""Why something does not start or fails: what Kubernetes says, told to somebody who is tired."""

import re
import signal
from collections.abc import Mapping
from datetime import datetime

_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S+), used: (?P<used>\S+),"
    r" limited: (?P<limited>\S+)"
)
_RESOURCES: Mapping[str, str] = {
    "count/jobs.batch": "Jobs",
    "requests.cpu": "CPU requests",
    "limits.cpu": "CPU limits",
    "requests.memory": "memory requests",
    "limits.memory": "memory limits",
}
_SIGNALLED = 128  # a shell's and runtime's exit code for a signal begins here
# What a shell says of a command that it cannot run.
NOT_RUN: Mapping[int, str] = {126: "NotExecutable", 127: "NotFound"}
_BEGINNINGS: Mapping[str, str] = {
    "ImagePullBackOff": "an image cannot be pulled",
    "CreateContainerConfigError": "a container lacks something that it needs",
    "ContainerCannotStart": "a container's command cannot be started",
    "Unschedulable": "no node takes the pod",
    "VolumeNotReady": "a volume cannot be mounted",
    "SandboxNotReady": "the node cannot set up the pod",
    "QuotaExceeded": "a quota of the namespace is used up",
    "AdmissionDenied": "the cluster does not let it in",
    "PodsRefused": "its pods cannot be created",
}

_ENDS: Mapping[str, str] = {
    "OOMKilled": "out of memory, it used more than its limit",
    "DeadlineExceeded": "it ran longer than activeDeadlineSeconds allows",
    "BackoffLimitExceeded": "no retries are left",
    "PodFailurePolicy": "a rule of podFailurePolicy failed it at once",
    "MaxFailedIndexesExceeded": "more indexes failed than may",
    "FailedIndexes": "some of its indexes failed",
    "Error": "it ended with an error",
    "Evicted": "its pod was taken off the node",
    "Preempted": "its pod had to make room for a more important one",
    "NodeLost": "its node went away",
    "NodeRefused": "the node refused its pod",
    "PodDeleted": "its pod was deleted",
}


def end(reason: str) -> str:
    """Say why a run failed, from a reason of the closed list."""
    return _ENDS.get(reason, reason)


def cause(reason: str, message: str | None) -> str:
    """Say why, from a reason of the closed list and what was said of it."""
    quota = _QUOTA.search(message or "")
    if quota:
        return _used_up(quota)
    beginning = _BEGINNINGS.get(reason)
    return ": ".join(part for part in (beginning, message) if part) or reason


def exit_code(code: int) -> str:
    """Name an exit code; those of a shell or runtime for a signal by the signal."""
    name = _signal(code)
    return f"exit code {code} ({name})" if name else f"exit code {code}"


def exit_class(code: int | None) -> str | None:
    """Return in which other way than by an error of its own a program ended; None for that one."""
    if code is None:
        return None
    return NOT_RUN.get(code) or _signal(code)


def clock(at: datetime) -> str:
    """Write an instant as people read it."""
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _signal(code: int) -> str | None:
    try:
        return signal.Signals(code - _SIGNALLED).name
    except ValueError:
        return None


def _used_up(quota: re.Match[str]) -> str:
    used, limited = _amounts(quota["used"]), _amounts(quota["limited"])
    parts = [
        f"{used.get(name, '?')} of {limited.get(name, '?')} {_RESOURCES.get(name, name)}"
        f" ({wanted} more wanted)"
        for name, wanted in _amounts(quota["requested"]).items()
    ]
    return f"the namespace's quota {quota['name']} is used up: {', '.join(parts)}"


def _amounts(text: str) -> dict[str, str]:
    """Read `pods=1,requests.cpu=2`."""
    return {name: amount for name, _, amount in (part.partition("=") for part in text.split(","))}

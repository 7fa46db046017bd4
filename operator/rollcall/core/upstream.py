"""From the words of Kubernetes to our closed list of reasons; what was translated stays readable.

Sources: kubelet's reasons for waiting and ending (kubernetes pkg/kubelet/images/types.go,
pkg/kubelet/container/sync_result.go), reasons of the DisruptionTarget condition (KEP-3329), of Jobs
(api/batch/v1), and what the Job controller's FailedCreate Events say.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rollcall.core.reasons import REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A reason of the closed list, with what was said of it."""

    reason: str
    message: str | None = None


class Told(Protocol):
    """An Event as it was read."""

    @property
    def reason(self) -> str:
        """The Event's own word."""

    @property
    def message(self) -> str:
        """What it says."""


# What kubelet says of an image that does not come (kubernetes pkg/kubelet/images/types.go).
IMAGE_ERRORS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)

_WAITING: Mapping[str, str] = {
    **dict.fromkeys(IMAGE_ERRORS, "ImagePullBackOff"),
    **dict.fromkeys(
        (
            "CreateContainerError",
            "RunContainerError",
            "StartError",
            "ContainerCannotRun",
            "PreCreateHookError",
            "PreStartHookError",
            "PostStartHookError",
        ),
        "ContainerCannotStart",
    ),
    **dict.fromkeys(("SchedulingGated", "SchedulerError"), "Unschedulable"),
    **dict.fromkeys(("FailedMount", "FailedAttachVolume"), "VolumeNotReady"),
    "FailedCreatePodSandBox": "SandboxNotReady",
}

_ENDED: Mapping[str, str] = {
    **dict.fromkeys(("StartError", "ContainerCannotRun"), "ContainerCannotStart"),
    "PreemptionByScheduler": "Preempted",
    "Preempting": "Preempted",  # kubelet, for a pod that the node cannot do without
    **dict.fromkeys(
        (
            "TerminationByKubelet",
            "EvictionByEvictionAPI",
            "DeletionByTaintManager",
            "Terminated",  # graceful shutdown of the node
            "NodeShutdown",
        ),
        "Evicted",
    ),
    **dict.fromkeys(("DeletionByPodGC", "ContainerStatusUnknown"), "NodeLost"),
    **dict.fromkeys(("NodeAffinity", "UnexpectedAdmissionError"), "NodeRefused"),
}
_OUT_OF = "outof"  # OutOfcpu, OutOfmemory, OutOfpods, …
WORDS = frozenset(_WAITING) | frozenset(_ENDED)  # that are translated

_POD_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})

_CREATING = re.compile(r"^Error creating(?: job)?: ")
_FORBIDDEN = re.compile(r'^\S+ "[^"]*" is forbidden: ')
_QUOTA = "exceeded quota: "
_DENIED = re.compile(r"is forbidden: |admission webhook .* denied the request")


def waiting(word: str, message: str | None) -> Cause:
    """Say why a container or pod waits."""
    return _translated(word, message, _WAITING.get(word, word), otherwise="Waiting")


def ended(word: str, message: str | None) -> Cause:
    """Say why a container or pod ended badly."""
    ours = "NodeRefused" if word.lower().startswith(_OUT_OF) else _ENDED.get(word, word)
    return _translated(word, message, ours, otherwise="Error")


def failed(word: str, message: str | None) -> Cause:
    """Say why a Job failed."""
    return _translated(word, message, word, otherwise="JobFailed")


def succeeded(word: str, message: str | None) -> Cause:
    """Say why a Job counts as a success."""
    return _translated(word, message, word, otherwise="JobSucceeded")


def refused(message: str) -> Cause:
    """Say why a Job or its pods are not created, from the message of a FailedCreate Event.

    The random name of the pod that was refused is left out, so that the same cause reads the same.
    """
    text = _CREATING.sub("", message)
    reason = "PodsRefused"
    if _QUOTA in text:
        return Cause(reason="QuotaExceeded", message=text[text.index(_QUOTA) :])
    if _DENIED.search(text):
        reason = "AdmissionDenied"
    return Cause(reason=reason, message=_FORBIDDEN.sub("", text))


def told(events: Sequence[Told]) -> Cause | None:
    """Say what the Warning Events of a Job without pods, or of a pod that waits, name as the cause.

    `events` are oldest first; the newest that names a cause counts.
    """
    for event in reversed(events):
        if event.reason == "FailedCreate":
            return refused(event.message)
        if event.reason in _POD_EVENTS:
            return waiting(event.reason, event.message)
    return None


def _translated(word: str, message: str | None, ours: str, *, otherwise: str) -> Cause:
    reason = ours if ours in REASONS else otherwise
    if reason == word:
        return Cause(reason=reason, message=message)
    return Cause(reason=reason, message=f"{word}: {message}" if message else word)

"""What a Pod says of our own container: how far it has come, and whether the pod goes without."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rollcall.cluster import fields, timestamps
from rollcall.core import executions, names, sidecar_starts, termination

# Waiting without a named trouble: volumes, network and a pull that goes on look alike.
STARTING = frozenset({"ContainerCreating", "PodInitializing"})

# Of a process that the runtime could not start: it did not run, whatever else is said of it.
NEVER_RAN = frozenset({"ContainerCannotRun", "StartError"})

Body = Mapping[str, Any]


def read(body: Body, attempt: executions.Attempt) -> sidecar_starts.Start | None:
    """Read how our container starts; None for a pod without one. `attempt` is the same pod."""
    if not has_ours(body):
        return None
    status = own(body)
    word = fields.text(status, "state", "waiting", "reason")
    return sidecar_starts.Start(
        image=fields.message(_ours(body, "spec", "initContainers"), "image"),
        scheduled_at=_since(body, "PodScheduled"),
        began_at=_since(body, "PodReadyToStartContainers"),
        trouble=None if word in STARTING else word,
        message=_message(status),
        is_quiet=word in STARTING,
        ran_since=_ran_since(status, attempt),
        is_over=bool(attempt.started_at or attempt.ended_at),
    )


def has_ours(body: Body) -> bool:
    """Whether the container with our name is ours: a user's may have the name, never the volume."""
    volumes = fields.items(body, "spec", "volumes")
    return bool(_ours(body, "spec", "initContainers")) and any(
        volume.get("name") == names.TOKEN_VOLUME for volume in volumes
    )


def own(body: Body) -> Body:
    """Return the status of our container, empty without one."""
    return _ours(body, "status", "initContainerStatuses") if has_ours(body) else {}


def waits_for(status: Body) -> str | None:
    """Return the named trouble for which a container, ours or the user's, does not run."""
    reason = fields.text(status, "state", "waiting", "reason")
    return None if reason in STARTING else reason


def said(body: Body) -> str | None:
    """Return what our container left when it ended."""
    return fields.message(own(body), "state", "terminated", "message")


def ends(body: Body) -> tuple[executions.SidecarEnd, ...]:
    """Return the ends of our container's process that can still be seen, and lost something.

    In a pod that goes without its sidecar it is another program's.
    """
    return () if untracked(body) else tuple(_ends(own(body)))


def untracked(body: Body) -> executions.Untracked | None:
    """Read our mark on a pod that goes without its sidecar."""
    at, _, words = (
        fields.message(body, "metadata", "annotations", names.UNTRACKED) or ""
    ).partition(" ")
    since = timestamps.parse(at)
    return executions.Untracked(at=since, words=words) if since and words else None


def mark(untracked: executions.Untracked) -> str:
    """Write that mark."""
    return f"{timestamps.text(untracked.at)} {untracked.words}"


def _ours(body: Body, *path: str) -> Body:
    found = (one for one in fields.items(body, *path) if one.get("name") == names.CONTAINER)
    return next(found, {})


def _ends(status: Body) -> Iterator[executions.SidecarEnd]:
    """Yield what made it start again, and its last end if that was none of its own."""
    restarts = fields.number(status, "restartCount") or 0
    last = fields.mapping(status, "lastState", "terminated")
    # Nobody reads what one left that started again.
    if _ran(last) and (fields.number(last, "exitCode") != 0 or _left(last)):
        yield _end(restarts, last)
    final = fields.mapping(status, "state", "terminated")
    # What it left says what is lost.
    if _ran(final) and fields.number(final, "exitCode") and not _left(final):
        yield _end(restarts + 1, final)


def _ran(terminated: Body) -> bool:
    return bool(terminated) and fields.text(terminated, "reason") not in NEVER_RAN


def _left(terminated: Body) -> bool:
    return termination.last_words(fields.message(terminated, "message")) is not None


def _end(number: int, terminated: Body) -> executions.SidecarEnd:
    return executions.SidecarEnd(
        number=number,
        at=timestamps.parse(terminated.get("finishedAt")),
        exit_code=fields.number(terminated, "exitCode"),
        reason=fields.text(terminated, "reason"),
    )


def _since(body: Body, kind: str) -> datetime | None:
    for condition in fields.items(body, "status", "conditions"):
        if condition.get("type") == kind and condition.get("status") == "True":
            return timestamps.parse(condition.get("lastTransitionTime"))
    return None


def _ran_since(status: Body, attempt: executions.Attempt) -> datetime | None:
    """Return when it was started, at the earliest with its pod: clocks of nodes may be behind."""
    for state in ("running", "terminated"):
        at = timestamps.parse(fields.mapping(status, "state", state).get("startedAt"))
        if at:
            return max(at, attempt.created_at)
    return None


def _message(status: Body) -> str | None:
    """Return why it waits; of a container that is started again and again, why it ended."""
    waits = fields.message(status, "state", "waiting", "message")
    if fields.text(status, "state", "waiting", "reason") != "CrashLoopBackOff":
        return waits
    end = fields.mapping(status, "lastState", "terminated")
    return fields.message(end, "message") or fields.text(end, "reason") or waits

"""What a Pod's status says about the user's containers, in the order in which evidence is worth.

Our own container never counts, neither its start nor its exit code: `sidecarstatus` reads it. A
container that the runtime could not start did not run, whatever else its status says.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rollcall.cluster import fields, sidecarstatus, timestamps
from rollcall.core import upstream

MOST_IMAGES = 30  # of a pod
_INDEX_MAX = 2**31 - 1  # of the exit codes that the store can hold

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a pod ended; no reason means well."""

    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None


class Pod:
    """One reading of a Pod. `container` is the tracked one, None for the first."""

    def __init__(self, body: Mapping[str, Any], container: str | None) -> None:
        self._spec = fields.mapping(body, "spec")
        self._status = fields.mapping(body, "status")
        self._ours = sidecarstatus.own(body)
        first = next(fields.items(self._spec, "containers"), {})
        self._tracked = container or first.get("name")
        self._created_at = timestamps.parse(fields.text(body, "metadata", "creationTimestamp"))

    def started_at(self) -> datetime | None:
        """Return when the first container of the user's ran."""
        starts = [
            timestamps.parse(state.get("startedAt"))
            for status in self._users()
            for state in _states(status)
            if fields.text(state, "reason") not in sidecarstatus.NEVER_RAN
        ]
        return min((at for at in starts if at), default=None)

    def ended_at(self) -> datetime | None:
        """Return when the user's containers had all ended for good, whatever the sidecar does."""
        if not self._has_ended():
            return None
        ends = [
            timestamps.parse(fields.mapping(status, "state", "terminated").get("finishedAt"))
            for status in self._users()
        ]
        known = [at for at in ends if at] or [
            at
            for condition in fields.items(self._status, "conditions")
            if (at := timestamps.parse(condition.get("lastTransitionTime")))
        ]
        started = timestamps.parse(self._status.get("startTime"))
        return max(known, default=started or self._created_at)

    def end(self) -> End:
        """Explain the end of a pod that has ended."""
        name, terminated = self._culprit()
        code = fields.number(terminated, "exitCode")
        phase = fields.text(self._status, "phase")
        if phase == "Succeeded" or (phase != "Failed" and code == 0):
            return End(exit_code=code, message=fields.message(terminated, "message"))
        stored = code if code is not None and abs(code) <= _INDEX_MAX else None
        cause = self._disruption() or self._own_reason() or _of_container(terminated)
        if cause is None:
            cause = upstream.Cause(reason="Error") if phase == "Failed" else None
        text = (cause.message if cause else None) or fields.message(terminated, "message")
        if text and name and name != self._tracked:
            text = fields.clean(f"container {name}: {text}")
        return End(exit_code=stored, reason=cause.reason if cause else None, message=text)

    def waits_for(self) -> upstream.Cause | None:
        """Return the named trouble for which the user's containers do not run.

        It can be our own container's: theirs wait for it.
        """
        for condition in fields.items(self._status, "conditions"):
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                word = fields.text(condition, "reason") or "Unschedulable"
                return upstream.waiting(word, fields.message(condition, "message"))
        for status in (*self._users(), self._ours):
            named = sidecarstatus.waits_for(status)
            if named:
                message = fields.message(status, "state", "waiting", "message")
                return upstream.waiting(named, message)
        return None

    def node(self) -> str | None:
        """Return where it runs."""
        return fields.text(self._spec, "nodeName")

    def image_ids(self) -> Mapping[str, str] | None:
        """Return what was found behind the images of the user's containers, None before that."""
        found = {
            name: image
            for status in self._users()
            if (name := fields.text(status, "name")) and (image := fields.text(status, "imageID"))
        }
        return _shared(tuple(sorted(found.items())[:MOST_IMAGES])) if found else None

    def _has_ended(self) -> bool:
        if fields.text(self._status, "phase") in {"Succeeded", "Failed"}:
            return True
        if any("restartPolicyRules" in one for one in fields.items(self._spec, "containers")):
            return False
        ends = [fields.mapping(status, "state", "terminated") for status in self._regular()]
        never = self._spec.get("restartPolicy") == "Never"
        return bool(ends) and all(end and (never or end.get("exitCode") == 0) for end in ends)

    def _culprit(self) -> tuple[str | None, Status]:
        """Return the container whose end explains the pod's: failed ones first, ours never."""
        ended = [
            (fields.text(status, "name"), end)
            for status in sorted(self._users(), key=self._is_not_tracked)
            if (end := fields.mapping(status, "state", "terminated") or _last_end(status))
        ]
        failed = [(name, end) for name, end in ended if end.get("exitCode") != 0]
        return next(iter(failed or ended), (None, {}))

    def _is_not_tracked(self, status: Status) -> bool:
        return status.get("name") != self._tracked

    def _disruption(self) -> upstream.Cause | None:
        for condition in fields.items(self._status, "conditions"):
            if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
                word = fields.text(condition, "reason") or "Disrupted"
                cause = upstream.ended(word, fields.message(condition, "message"))
                # A node that was only tainted still says how the containers ended.
                lost = word == "DeletionByTaintManager" and not any(self._ends())
                return replace(cause, reason="NodeLost") if lost else cause
        return None

    def _own_reason(self) -> upstream.Cause | None:
        word = fields.text(self._status, "reason")
        return upstream.ended(word, fields.message(self._status, "message")) if word else None

    def _ends(self) -> Iterator[Status]:
        yield from (fields.mapping(status, "state", "terminated") for status in self._users())

    def _users(self) -> Iterator[Status]:
        yield from self._regular()
        yield from (status for status in self._inits() if status is not self._ours)

    def _regular(self) -> Iterator[Status]:
        return fields.items(self._status, "containerStatuses")

    def _inits(self) -> Iterator[Status]:
        return fields.items(self._status, "initContainerStatuses")


@functools.lru_cache(maxsize=20_000)
def _shared(images: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return one object for all pods that have the same."""
    return dict(images)


def _states(status: Status) -> Iterator[Status]:
    yield fields.mapping(status, "state", "running")
    yield fields.mapping(status, "state", "terminated")
    yield _last_end(status)


def _last_end(status: Status) -> Status:
    return fields.mapping(status, "lastState", "terminated")


def _of_container(terminated: Status) -> upstream.Cause | None:
    if not terminated:
        return None
    word = fields.text(terminated, "reason") or "Error"
    return upstream.ended(word, fields.message(terminated, "message"))

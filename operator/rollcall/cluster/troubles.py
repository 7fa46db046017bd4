"""Which jobs' sidecars cannot start, and which pods therefore get none for a while.

- What is told of a job lasts until a pod of its own with our image runs. After a restart the pods
  that went without theirs say it again, and where those are gone too, the status that we wrote.
- Pods outlive their job, and another may have its name: only pods of the job that is there count.
- Whether the sidecar is left out rests on what this process has seen: a restart, which may bring
  another image, tries at once. A job is judged by its own pods, for nodes and pull secrets differ;
  the installation by its jobs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollcall.cluster import fields, inventory, managedfields, timestamps
from rollcall.core import breakers, injection, names, sidecar_starts

# What `Reporting` says after the trouble itself begins so.
AND_SO = "; without reports"
_LEFT_OUT = "; new pods get none"
_ELSEWHERE = "the sidecar could not start elsewhere"  # said of a job without a trouble of its own

Key = inventory.Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why the last pod of a job without its sidecar had none."""

    at: datetime
    reason: str  # of the condition
    message: str


class Troubles:
    """`changed` hears of which jobs something else is to be told.

    `clock` is the API server's, as that of the pods' times is.
    """

    def __init__(self, *, changed: Callable[[Key], None], clock: Callable[[], datetime]) -> None:
        self._changed = changed
        self._clock = clock
        self._told: dict[Key, Trouble] = {}
        self._recalled: dict[Key, str] = {}  # UIDs of jobs whose status was read
        self._of_job: dict[Key, breakers.Breaker] = {}
        self._of_all = breakers.CLOSED
        self._last_reason = sidecar_starts.IMAGE_UNAVAILABLE  # of any job's failures

    def recall(self, key: Key, tracked: Mapping[str, Any]) -> None:
        """Take what the status of a job said before this process came; later we know better."""
        uid = fields.text(tracked, "metadata", "uid") or ""
        if self._recalled.get(key) == uid:
            return
        self.forget(key)
        self._recalled[key] = uid
        trouble = _written(tracked)
        if trouble:
            self._told[key] = trouble

    def forget(self, key: Key) -> None:
        """Drop what is known of a job."""
        for known in (self._told, self._recalled, self._of_job):
            known.pop(key, None)

    def knows(self, key: Key, uid: str) -> bool:
        """Whether the job of this UID is the one that is there."""
        return self._recalled.get(key) == uid

    def told(self, key: Key) -> Trouble | None:
        """Return what is to be told of a job's sidecar, None if nothing is wrong with it."""
        return self._told.get(key)

    def tell(self, key: Key, trouble: Trouble) -> None:
        """Take the trouble of a pod; an earlier pod's does not replace a later one's."""
        known = self._told.get(key)
        if known != trouble and (known is None or known.at <= trouble.at):
            self._told[key] = trouble
            self._changed(key)

    def failed(self, key: Key, pod: str, reason: str) -> bool:
        """Count a pod that had to go without; whether other jobs have to do without now, too."""
        self._last_reason = reason
        now, before = self._clock(), self._of_all
        mine = self._of_job.get(key, breakers.CLOSED)
        self._of_job[key] = breakers.after_failure(mine, pod, now)
        self._of_all = breakers.after_failure(before, str(key), now)
        return self._of_all.until != before.until

    def ran(self, key: Key, since: datetime) -> bool:
        """Take that our image runs in a pod of the job; whether that lets other jobs have it."""
        before = self._of_all
        self._of_all = breakers.after_success(before, since)
        if key in self._of_job:
            self._of_job[key] = breakers.after_success(self._of_job[key], since)
            if self._of_job[key] == breakers.CLOSED:
                del self._of_job[key]
        told = self._told.get(key)
        if told and told.at < since:
            del self._told[key]
            self._changed(key)
        return self._of_all.until != before.until

    def withheld(self, key: Key) -> injection.Obstacle | None:
        """Say why new pods of a job get no sidecar, None while they do."""
        now = self._clock()
        for breaker, whose in (
            (self._of_job.get(key, breakers.CLOSED), "pods of this job"),
            (self._of_all, "jobs"),
        ):
            if breaker.until and breakers.is_open(breaker, now):
                return self._obstacle(key, whose, breaker.until)
        return None

    def _obstacle(self, key: Key, whose: str, until: datetime) -> injection.Obstacle:
        told = self._told.get(key)
        return injection.Obstacle(
            reason=told.reason if told else self._last_reason,
            message=fields.cut(told.message if told else _ELSEWHERE)
            + f"{_LEFT_OUT} until {timestamps.text(until)}, after {breakers.FAILURES} {whose} "
            "in a row",
        )


def _written(tracked: Mapping[str, Any]) -> Trouble | None:
    """Read the trouble that a status tells of; whatever ran before it was written was known then.

    The condition's own time says less: it may have been False for another reason before.
    """
    written_at = managedfields.written_at(tracked, names.MANAGER, "status")
    for condition in fields.items(tracked, "status", "conditions"):
        reason, message = fields.text(condition, "reason"), fields.message(condition, "message")
        at = timestamps.parse(condition.get("lastTransitionTime"))
        is_ours = condition.get("type") == "Reporting" and reason in sidecar_starts.UNAVAILABLE
        words = (message or "").partition(AND_SO)[0].partition(_LEFT_OUT)[0]
        if is_ours and reason and at and words not in {"", _ELSEWHERE}:
            return Trouble(at=max(at, written_at or at), reason=reason, message=words)
    return None

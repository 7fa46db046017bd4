"""What became of a slot, or of a run that belongs to none.

The rules:
- The verdict is the Job's: its conditions decide, never pod counts, never the sidecar.
- TRANSITIONS is the whole state machine. A step that it does not have changes nothing.
- `missed`, `skipped` and `unknown` are verdicts about a run that nobody saw; they may be corrected
  once, by a Job that turns up later. A success becomes `partial` when the program's own word for it
  comes after the Job's. Every other terminal status is final.
- Started means that a container of the user's ran, in whichever pod; our own does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Status(StrEnum):
    """The statuses of an execution, stored by value."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REPLACED = "replaced"
    MISSED = "missed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Trigger(StrEnum):
    """What caused an execution, stored by value."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


_OPEN = frozenset({Status.PENDING, Status.QUEUED, Status.RUNNING})
_ENDS = frozenset(
    {
        Status.SUCCEEDED,
        Status.PARTIAL,
        Status.FAILED,
        Status.CANCELLED,
        Status.REPLACED,
        Status.UNKNOWN,
    }
)
_FOUND_LATER = _OPEN | (_ENDS - {Status.UNKNOWN})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.QUEUED, Status.RUNNING}) | _ENDS,
    Status.QUEUED: frozenset({Status.PENDING, Status.RUNNING}) | _ENDS,
    # A preempted Job goes back to its queue.
    Status.RUNNING: frozenset({Status.QUEUED}) | _ENDS,
    Status.MISSED: _FOUND_LATER,
    Status.SKIPPED: _FOUND_LATER,
    Status.UNKNOWN: _FOUND_LATER,
    Status.SUCCEEDED: frozenset({Status.PARTIAL}),
    Status.PARTIAL: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.REPLACED: frozenset(),
}

OPEN = _OPEN
NEVER_RAN = frozenset({Status.MISSED, Status.SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate:
    """What a Job was made from: a hash that names it, and its summary as JSON.

    The summary has `images`, as written, by container, and `parts`: a short hash for each part that
    the template has, by name. Of values that may be secret it has nothing else.
    """

    hash: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobObservation:
    """What one reading of a batch Job says."""

    namespace: str
    job_name: str
    job_uid: str
    tracked_uid: str  # label rollcall.dev/uid
    owner_uid: str | None  # UID of the CronJob that owns it, None without one
    slot_at: datetime | None  # from the scheduled-timestamp annotation alone
    created_at: datetime
    job_started_at: datetime | None  # the Job controller took it up; says nothing of its pods
    suspended: bool
    decided: Status | None  # succeeded or failed, as soon as the controller has decided
    ended_at: datetime | None
    reason: str | None
    message: str | None
    decided_at: datetime | None = None  # pods that end later did not bring the verdict about
    owner_name: str | None = None  # of that CronJob
    template: JobTemplate | None = None  # None while it may still be changed


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarEnd:
    """The end of a sidecar's process that nobody asked for; `number` counts those of its pod."""

    number: int
    at: datetime | None
    exit_code: int | None
    reason: str | None  # OOMKilled, Error, …


@dataclass(frozen=True, slots=True, kw_only=True)
class Untracked:
    """Since when a pod goes without its sidecar, and why: in the kubelet's words."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One pod of an execution, as last seen."""

    pod_uid: str
    pod_name: str
    job_uid: str
    index: int  # completion index, 0 without one
    created_at: datetime
    started_at: datetime | None  # first container of the user's
    ended_at: datetime | None
    waiting_reason: str | None  # why it does not start: ImagePullBackOff, Unschedulable, …
    exit_code: int | None  # of the tracked container
    reason: str | None  # why it ended: OOMKilled, Evicted, Error, …
    message: str | None
    sidecar_waiting: str | None = None  # why our own container does not start
    waiting_message: str | None = None  # not stored with the pod: the execution's message has it
    result: str | None = None  # what the program reported of its work (`reporting.Verdict`)
    result_message: str | None = None
    # The termination message of our own container: read (`core.termination`), not stored.
    sidecar_said: str | None = None
    sidecar_ends: Sequence[SidecarEnd] = ()  # told (`core.pod_events`), not stored
    untracked: Untracked | None = None  # not stored with the pod: the run's story has it
    # Stored, and read where runs are compared (`core.setups`).
    node: str | None = None
    image_ids: Mapping[str, str] | None = None  # by container, of those that were pulled


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of an execution's story: evidence that outlives the Job, its pods and their Events.

    `source` is who says so: kubernetes, pod, report or command.
    """

    at: datetime
    source: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One row of the ledger. Instants are aware UTC."""

    id: UUID
    cronjob_id: UUID
    slot_at: datetime
    trigger: Trigger
    status: Status
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    job_name: str | None = None
    job_uid: str | None = None
    created_at: datetime | None = None  # the Job's
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    waiting_since: datetime | None = None  # it has waited for its reason, while it is pending
    template_hash: str | None = None  # of what its Job was made from, as first seen

    @property
    def is_open(self) -> bool:
        """Whether it may still end."""
        return self.status in _OPEN

    @property
    def has_run(self) -> bool:
        """Whether something was really started, whatever came of it."""
        return self.started_at is not None or self.status in {
            Status.RUNNING,
            Status.SUCCEEDED,
            Status.PARTIAL,
            Status.FAILED,
        }

    @property
    def duration(self) -> timedelta | None:
        """How long it ran, once it has ended; nothing where a clock was set back meanwhile."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(self.ended_at - self.started_at, timedelta())


def may_become(current: Status, new: Status) -> bool:
    """Whether the table has this step; staying the same is always allowed."""
    return current is new or new in TRANSITIONS[current]


def conclude(
    execution: Execution, status: Status, *, reason: str, at: datetime, message: str | None = None
) -> Execution:
    """End an execution whose Job is gone; an ended one stays as it is."""
    if not may_become(execution.status, status) or not execution.is_open:
        return execution
    return replace(execution, status=status, reason=reason, message=message, ended_at=at)

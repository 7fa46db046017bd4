"""What became of a slot, or of a run that belongs to none.

The rules:
- The verdict is the Job's: its conditions decide, never pod counts, never the sidecar.
- TRANSITIONS is the whole state machine. A step that it does not have changes nothing.
- `missed`, `skipped` and `unknown` are verdicts about a run that nobody saw; they may be corrected
  once, by a Job that turns up later. Every other terminal status is final.
- Started means that a container of the user's ran, in whichever pod; our own does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
    # A preempted Job goes back to its queue; a pod that was lost leaves its Job waiting again.
    Status.RUNNING: frozenset({Status.QUEUED}) | _ENDS,
    Status.MISSED: _FOUND_LATER,
    Status.SKIPPED: _FOUND_LATER,
    Status.UNKNOWN: _FOUND_LATER,
    Status.SUCCEEDED: frozenset(),
    Status.PARTIAL: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.REPLACED: frozenset(),
}

OPEN = _OPEN
NEVER_RAN = frozenset({Status.MISSED, Status.SKIPPED})


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
    finished: bool  # Complete or Failed: all pods have ended
    ended_at: datetime | None
    reason: str | None
    message: str | None


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


def may_become(current: Status, new: Status) -> bool:
    """Whether the table has this step; staying the same is always allowed."""
    return current is new or new in TRANSITIONS[current]


def observe(execution: Execution, job: JobObservation, attempts: Sequence[Attempt]) -> Execution:
    """Return the execution as this reading of its Job and pods shows it.

    Readings may come repeated or out of order: one that the table refuses changes nothing, so the
    furthest status wins.
    """
    status = _status(job, attempts)
    if not may_become(execution.status, status):
        return execution
    newest = _newest(attempts)
    started_at = _started_at(execution, job, attempts, status)
    reason, message = _explanation(job, newest, status)
    return replace(
        execution,
        status=status,
        reason=reason,
        message=message,
        exit_code=newest.exit_code if newest else execution.exit_code,
        job_name=job.job_name,
        job_uid=job.job_uid,
        created_at=job.created_at,
        started_at=started_at,
        ended_at=_ended_at(execution, job, status),
        attempts=max(len(attempts), execution.attempts),
    )


def conclude(execution: Execution, status: Status, *, reason: str, at: datetime) -> Execution:
    """End an execution whose Job is gone; an ended one stays as it is."""
    if not may_become(execution.status, status) or not execution.is_open:
        return execution
    return replace(execution, status=status, reason=reason, ended_at=execution.ended_at or at)


def _status(job: JobObservation, attempts: Sequence[Attempt]) -> Status:
    if job.decided is not None:
        return job.decided
    if any(attempt.started_at and not attempt.ended_at for attempt in attempts):
        return Status.RUNNING
    if job.suspended:
        return Status.QUEUED
    if any(attempt.started_at for attempt in attempts):
        return Status.RUNNING  # between two attempts
    return Status.PENDING


def _newest(attempts: Sequence[Attempt]) -> Attempt | None:
    return max(attempts, key=lambda attempt: (attempt.created_at, attempt.pod_uid), default=None)


def _started_at(
    execution: Execution, job: JobObservation, attempts: Sequence[Attempt], status: Status
) -> datetime | None:
    seen = [attempt.started_at for attempt in attempts if attempt.started_at]
    if execution.started_at:
        seen.append(execution.started_at)
    if not seen and status is Status.SUCCEEDED and job.job_started_at:
        seen.append(job.job_started_at)  # it ran, and its pods went before we saw them
    return min(seen, default=None)


def _ended_at(execution: Execution, job: JobObservation, status: Status) -> datetime | None:
    if status in _OPEN:
        return None  # also where a verdict about a run that nobody saw is corrected
    earlier = execution.ended_at if execution.status is status else None
    return job.ended_at or earlier


def _explanation(
    job: JobObservation, newest: Attempt | None, status: Status
) -> tuple[str | None, str | None]:
    if status is Status.SUCCEEDED:
        return job.reason, newest.message if newest else None
    if status is not Status.FAILED:
        return (newest.waiting_reason if newest else None), None
    # The Job says that it gave up; the pod says why. The pod's word is worth more where the Job's
    # is only that its retries are used up.
    pod_reason = newest.reason if newest else None
    reason = job.reason
    if reason in {None, "BackoffLimitExceeded"} and pod_reason not in {None, "Error"}:
        reason = pod_reason
    message = (newest.message if newest else None) or job.message
    return reason, message

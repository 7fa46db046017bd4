"""From readings of a Job and its pods to the execution that they show, with reason and message.

The rules:
- The Job decides the status; the pod that brought the verdict about explains it. What the program
  itself says makes a success `partial`, and nothing else (`core.results`).
- Readings may come repeated or out of order: the table of statuses lets the furthest win.
- A run that waits says why: its pod if it can, else what Events name.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rollcall.core import reporting, results, words
from rollcall.core.executions import (
    OPEN,
    Attempt,
    Execution,
    JobObservation,
    Status,
    may_become,
)
from rollcall.core.upstream import Cause

_NOTHING = (None, None)
_USED_UP = "BackoffLimitExceeded"
_WELL = frozenset({Status.SUCCEEDED, Status.PARTIAL})  # the Job has succeeded
# The program itself ended so: its exit code says most.
_OF_THE_PROGRAM = frozenset({_USED_UP, "Error", "OOMKilled"})

Told = tuple[str | None, str | None]  # reason, message


def observe(
    execution: Execution,
    job: JobObservation,
    attempts: Sequence[Attempt],
    obstacle: Cause | None = None,
) -> Execution:
    """Return the execution as this reading of its Job and pods shows it.

    `obstacle` is what Events name as the cause where neither Job nor pods say why nothing starts.
    A reading whose status the table refuses changes nothing.
    """
    status = _status(job, attempts)
    if not may_become(execution.status, status):
        return execution
    decisive = _decisive(job, attempts, status)
    if status in OPEN:
        reason, message = _why_waiting(execution, attempts, obstacle, status)
    else:
        reason, message = _why_ended(job, attempts, decisive, status)
    return replace(
        execution,
        status=status,
        reason=reason,
        message=message,
        exit_code=decisive.exit_code if decisive else execution.exit_code,
        job_name=job.job_name,
        job_uid=job.job_uid,
        created_at=job.created_at,
        started_at=_started_at(execution, job, attempts, status),
        ended_at=_ended_at(execution, job, status),
        attempts=max(len(attempts), execution.attempts),
        template_hash=execution.template_hash or (job.template.hash if job.template else None),
    )


def waiting_since(before: Execution, after: Execution, now: datetime) -> datetime | None:
    """Say since when a run waits for the reason that it names; None if it does not."""
    if after.status is not Status.PENDING or not after.reason:
        return None
    return before.waiting_since if before.reason == after.reason else now


def _status(job: JobObservation, attempts: Sequence[Attempt]) -> Status:
    if job.decided is Status.SUCCEEDED and results.is_partial(attempts):
        return Status.PARTIAL
    if job.decided is not None:
        return job.decided
    if any(attempt.started_at and not attempt.ended_at for attempt in attempts):
        return Status.RUNNING
    if job.suspended:
        return Status.QUEUED
    if any(attempt.started_at for attempt in attempts):
        return Status.RUNNING  # between two attempts
    return Status.PENDING


def _decisive(job: JobObservation, attempts: Sequence[Attempt], status: Status) -> Attempt | None:
    """Return the pod that explains the run: of several, the last that ended as the Job did.

    Pods that end after a failure was decided were ended because of it.
    """
    if status in _WELL:
        return _newest([one for one in attempts if not one.reason]) or _newest(attempts)
    failed = [(one.ended_at, one) for one in attempts if one.reason and one.ended_at]
    if status is not Status.FAILED or not failed:
        return _newest(attempts)
    before = [(at, one) for at, one in failed if job.decided_at is None or at <= job.decided_at]
    return max(before or failed, key=lambda pair: (pair[0], pair[1].pod_uid))[1]


def _newest(attempts: Sequence[Attempt]) -> Attempt | None:
    return max(attempts, key=lambda attempt: (attempt.created_at, attempt.pod_uid), default=None)


def _why_ended(
    job: JobObservation, attempts: Sequence[Attempt], decisive: Attempt | None, status: Status
) -> Told:
    if status in _WELL:
        return _why_done(job, results.worst(attempts), decisive, status)
    if decisive is None or not decisive.reason:
        return job.reason or "JobFailed", job.message
    last_words = _last_words(decisive)
    if job.reason not in {None, _USED_UP}:
        said = [text for text in (job.message, last_words) if text]
        return job.reason, "; ".join(said) or None
    # That its retries are used up is all that the Job says here: the pod's reason is worth more.
    reason = decisive.reason if decisive.reason != "Error" else job.reason or "Error"
    return reason, (last_words if reason in _OF_THE_PROGRAM else decisive.message) or job.message


def _why_done(
    job: JobObservation, told: Attempt | None, decisive: Attempt | None, status: Status
) -> Told:
    """Explain a success by what the program said of it, then by its last words."""
    reason = "PartialResult" if status is Status.PARTIAL else job.reason
    words = (decisive.message if decisive else None) or job.message
    if told is None:
        return reason, words
    if told.result == reporting.Verdict.FAILED:
        said = told.result_message or words
        return reason, f"the program reported failed{f': {said}' if said else ''}"
    return reason, told.result_message or words


def _last_words(attempt: Attempt) -> str | None:
    """Return exit code and signal of a container, and what it said last."""
    code = None if attempt.exit_code is None else words.exit_code(attempt.exit_code)
    said = [text for text in (code, attempt.message) if text]
    return ": ".join(said) or None


def _why_waiting(
    execution: Execution,
    attempts: Sequence[Attempt],
    obstacle: Cause | None,
    status: Status,
) -> Told:
    named = _newest([one for one in attempts if one.waiting_reason])
    if named:
        earlier = execution.message if execution.reason == named.waiting_reason else None
        return named.waiting_reason, named.waiting_message or earlier
    if status is not Status.PENDING:
        return _NOTHING
    if obstacle:
        return obstacle.reason, obstacle.message
    if attempts or execution.status is not Status.PENDING:
        return _NOTHING
    return execution.reason, execution.message  # what keeps it from having pods still does


def _started_at(
    execution: Execution, job: JobObservation, attempts: Sequence[Attempt], status: Status
) -> datetime | None:
    seen = [attempt.started_at for attempt in attempts if attempt.started_at]
    if seen:
        return min(seen)
    if execution.started_at is None and status in _WELL:
        return job.job_started_at  # it ran, and its pods went before we saw them
    return execution.started_at


def _ended_at(execution: Execution, job: JobObservation, status: Status) -> datetime | None:
    if status in OPEN:
        return None  # also where a verdict about a run that nobody saw is corrected
    earlier = execution.ended_at if execution.status is status else None
    return job.ended_at or earlier

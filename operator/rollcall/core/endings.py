"""How a run ended whose Job is gone without a verdict.

The rules:
- With its owner a Job is deleted by Kubernetes: cancelled, OwnerDeleted.
- A Job that only a list no longer has may have ended while nobody saw: unknown, JobGone.
- Under Replace, a Job that goes within a minute of the next slot's Job made room for it.
- Any other Job that was deleted before it ended was deleted by somebody: cancelled, JobDeleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core.executions import Execution, Status, Trigger

REPLACED_WITHIN = timedelta(seconds=60)
# Replace deletes first and creates then: so long nobody can say yet which it was.
REPLACEMENT_SHOWS_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a run without a verdict of its Job."""

    status: Status
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What is known of a Job that is gone."""

    at: datetime  # when we heard of it
    was_seen: bool  # the API server told us of its deletion
    owner_is_gone: bool
    concurrency: str  # of the CronJob: Allow, Forbid or Replace


_OWNER = Ending(
    status=Status.CANCELLED,
    reason="OwnerDeleted",
    message="the CronJob was deleted, and its Job with it",
)
UNSEEN = Ending(
    status=Status.UNKNOWN,
    reason="JobGone",
    message="the Job went while nobody saw; it may have ended before",
)
_DELETED = Ending(
    status=Status.CANCELLED,
    reason="JobDeleted",
    message="the Job was deleted before it ended",
)


def ending(
    run: Execution, departure: Departure, recent: Sequence[Execution], *, now: datetime
) -> Ending | None:
    """Say how the run ended; None while it is too early to say.

    `recent` are the job's executions around the run.
    """
    if departure.owner_is_gone:
        return _OWNER
    if not departure.was_seen:
        return UNSEEN
    if departure.concurrency == "Replace":
        replacement = _replacement(run, departure, recent)
        if replacement:
            return _replaced(replacement)
        if now - departure.at < REPLACEMENT_SHOWS_WITHIN:
            return None
    return _DELETED


def _replacement(
    run: Execution, departure: Departure, recent: Sequence[Execution]
) -> Execution | None:
    near = [
        other
        for other in recent
        if other.trigger is Trigger.SCHEDULE
        and other.slot_at > run.slot_at
        and other.created_at
        and _near(other.created_at, departure.at)
    ]
    return min(near, key=lambda other: other.slot_at, default=None)


def _near(one: datetime, other: datetime) -> bool:
    return abs(one - other) <= REPLACED_WITHIN


def _replaced(by: Execution) -> Ending:
    return Ending(
        status=Status.REPLACED,
        reason="Replaced",
        message=f"made room for {by.job_name} (concurrencyPolicy Replace)",
    )

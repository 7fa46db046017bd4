"""What happened several times in a row, newest first, and how often of all times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rollcall.core import blindness, slots
from rollcall.core.executions import Execution, Status, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """Slots in a row in which nothing ran; reason and message are the newest one's."""

    count: int
    since: datetime  # the first of them was final
    last_at: datetime  # the newest of them
    reason: str
    message: str
    execution_id: UUID | None  # of the newest that has a row
    until_at: datetime | None  # the newest could be started until then, where it has a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many of the runs of slots failed, and how many of them failed or succeeded."""

    failed: int
    total: int


def tally(recent: Sequence[Execution], since: datetime) -> Tally:
    """Count the runs of slots since then; those that neither failed nor succeeded are neutral."""
    decided = [
        run.status
        for run in recent
        if run.trigger is Trigger.SCHEDULE
        and run.status in {Status.FAILED, Status.SUCCEEDED}
        and run.slot_at > since
    ]
    return Tally(failed=decided.count(Status.FAILED), total=len(decided))


def successes_in_a_row(recent: Sequence[Execution]) -> int:
    """Count the newest successes since the last missed or failed slot.

    A failure by hand neither counts nor ends the row.
    """
    count = 0
    for run in recent:
        if run.status in {Status.FAILED, Status.MISSED} and run.trigger is Trigger.SCHEDULE:
            break
        count += run.status is Status.SUCCEEDED
    return count


def failures_in_a_row(recent: Sequence[Execution]) -> list[Execution]:
    """Return the scheduled failures since the last success by any trigger, newest first.

    Everything else is neutral: it neither counts nor ends the row.
    """
    row = []
    for run in recent:
        if run.status is Status.SUCCEEDED:
            break
        if run.status is Status.FAILED and run.trigger is Trigger.SCHEDULE:
            row.append(run)
    return row


def newest_failures(recent: Sequence[Execution]) -> list[Execution]:
    """Return the newest row of failures, whether or not a success has ended it."""
    for place, run in enumerate(recent):
        if run.status is Status.FAILED and run.trigger is Trigger.SCHEDULE:
            return failures_in_a_row(recent[place:])
    return []


def last_ran_at(recent: Sequence[Execution]) -> datetime | None:
    """Return the slot of the newest run that ends a row of misses: scheduled, or any success."""
    for run in recent:
        if run.has_run and (run.trigger is Trigger.SCHEDULE or run.status is Status.SUCCEEDED):
            return run.slot_at
    return None


def misses_in_a_row(recent: Sequence[Execution], gaps: Sequence[slots.Gap] = ()) -> Misses | None:
    """Count the missed slots since anything ran; `gaps`, oldest first, tell those without rows."""
    ran_at = last_ran_at(recent)
    row = [run for run in recent if run.status is Status.MISSED and _is_later(run.slot_at, ran_at)]
    later = [gap for gap in gaps if gap.status == Status.MISSED and _is_later(gap.from_at, ran_at)]
    told = [(run.slot_at, run.reason, run.message) for run in row[:1]]
    told += [(gap.until_at or gap.from_at, gap.reason, gap.message) for gap in later[-1:]]
    if not told:
        return None
    last_at, reason, message = max(told, key=lambda each: each[0])
    begins = [_ended_at(run) for run in row[-1:]] + [gap.from_at for gap in later[:1]]
    return Misses(
        count=len(row) + sum(gap.count for gap in later),
        since=min(begins),
        last_at=last_at,
        reason=reason or "NotStarted",
        message=message or "",
        execution_id=row[0].id if row else None,
        until_at=row[0].ended_at if row else None,
    )


def unseen_misses(
    recent: Sequence[Execution],
    gaps: Sequence[slots.Gap],
    *,
    after: datetime,
    sight: blindness.Sight,
) -> Misses | None:
    """Count the missed slots after `after` of which nobody was told in time: we were blind then."""
    hidden = [run for run in recent if run.slot_at > after and sight.hid(_ended_at(run))]
    told = [gap for gap in gaps if gap.from_at > after and sight.hid(gap.from_at)]
    return misses_in_a_row([run for run in hidden if run.status is Status.MISSED], told)


def skips_in_a_row(recent: Sequence[Execution]) -> list[Execution]:
    """Return the slots that were skipped since the last one that ran, newest first.

    Everything else is neutral. A slot that waits for its pods has not run.
    """
    row = []
    for run in recent:
        if run.has_run and run.trigger is Trigger.SCHEDULE:
            break
        if run.status is Status.SKIPPED:
            row.append(run)
    return row


def _ended_at(run: Execution) -> datetime:
    return run.ended_at or run.slot_at


def _is_later(at: datetime, ran_at: datetime | None) -> bool:
    return ran_at is None or at > ran_at

"""Long series of slots in which nothing ran, as far as we know: ten rows, and one gap for the rest.

A series ends where a slot ran or was skipped. Runs that belong to no slot neither end it nor count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.core import executions, slots, verdicts

ROWS = 10
STATUSES = frozenset({executions.Status.MISSED, executions.Status.UNKNOWN})
_NAMES = frozenset(status.value for status in STATUSES)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How many slots in a row had no run so far, and the gap that tells the newest of them."""

    length: int = 0
    gap: slots.Gap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is to be written: rows for some slots, and gaps."""

    rows: Sequence[tuple[slots.Slot, verdicts.Verdict]]
    gaps: Sequence[slots.Gap]
    through: datetime | None  # the last slot that is told, None for none


NONE = Series()


def may_have_gap(recent: Sequence[executions.Execution]) -> bool:
    """Whether these rows, newest first, hold a series so long that a gap can follow it."""
    length = 0
    for run in _of_slots(recent):
        length = length + 1 if run.status in STATUSES else 0
        if length >= ROWS:
            return True
    return False


def before(
    at: datetime, recent: Sequence[executions.Execution], gaps: Sequence[slots.Gap]
) -> Series:
    """Return the series that a slot at `at` would continue; `recent` are newest first."""
    length, newest = 0, None
    for run in _of_slots(recent):
        if run.slot_at >= at:
            continue
        if run.status not in STATUSES:
            break
        newest = newest or run.slot_at
        length += 1
    if newest is None or length < ROWS:
        return Series(length=length)
    later = [gap for gap in gaps if gap.status in _NAMES and newest < gap.from_at < at]
    return Series(
        length=length + sum(gap.count for gap in later),
        gap=max(later, key=lambda gap: gap.from_at, default=None),
    )


def tell(
    cronjob_id: UUID,
    series: Series,
    judged: Iterable[tuple[slots.Slot, verdicts.Verdict | executions.Status | None]],
    at_most: int,
) -> Told:
    """Continue a series, until there are so many rows to write.

    `judged` are slots in order, with a verdict, or the status of the row that they have, or None
    where nothing was expected after all.
    """
    rows: list[tuple[slots.Slot, verdicts.Verdict]] = []
    gaps: dict[tuple[datetime, str], slots.Gap] = {}
    through = None
    for slot, found in judged:
        through = slot.at
        if isinstance(found, verdicts.Verdict):
            series = _with_verdict(cronjob_id, series, slot, found)
            if series.gap:
                gaps[series.gap.from_at, series.gap.status] = series.gap
            else:
                rows.append((slot, found))
        elif found in STATUSES:
            series = replace(series, length=series.length + 1)
        elif found:
            series = NONE
        if len(rows) >= at_most:
            break
    return Told(rows=rows, gaps=list(gaps.values()), through=through)


def recounted(
    gap: slots.Gap,
    revisions: Sequence[slots.Revision],
    recent: Sequence[executions.Execution],
) -> slots.Gap:
    """Leave out of a gap's count the slots that have got a row since, because a Job turned up."""
    if gap.until_at is None or gap.status not in _NAMES:
        return gap
    due = slots.count_expected(revisions, after=gap.from_at - _INSTANT, until=gap.until_at)
    told = sum(gap.from_at <= run.slot_at <= gap.until_at for run in _of_slots(recent))
    return replace(gap, count=min(gap.count, max(due - told, 0)))


def merged(gaps: Sequence[slots.Gap], written: Sequence[slots.Gap]) -> list[slots.Gap]:
    """Put gaps that were written in the place of what they were before, oldest first."""
    latest = {(gap.from_at, gap.status): gap for gap in (*gaps, *written)}
    return sorted(latest.values(), key=lambda gap: gap.from_at)


def since(
    ran_at: datetime | None, gaps: Sequence[slots.Gap], revisions: Sequence[slots.Revision]
) -> list[slots.Gap]:
    """Cut off what lies before the last run, for a Job that turned up in the middle of a gap."""
    later = []
    for gap in gaps:
        if ran_at and gap.until_at and gap.from_at <= ran_at < gap.until_at:
            left = slots.count_expected(revisions, after=ran_at, until=gap.until_at)
            later.append(replace(gap, from_at=ran_at + _INSTANT, count=min(gap.count, left)))
        else:
            later.append(gap)
    return later


def _with_verdict(
    cronjob_id: UUID, series: Series, slot: slots.Slot, verdict: verdicts.Verdict
) -> Series:
    if verdict.status not in STATUSES:
        return NONE
    length = series.length + 1
    if length <= ROWS:
        return Series(length=length)
    gap = series.gap
    if gap is None or (gap.status, gap.reason) != (verdict.status.value, verdict.reason):
        gap = _new_gap(cronjob_id, slot, verdict)
    gap = replace(gap, until_at=slot.at, message=verdict.message, count=gap.count + 1)
    return Series(length=length, gap=gap)


def _new_gap(cronjob_id: UUID, slot: slots.Slot, verdict: verdicts.Verdict) -> slots.Gap:
    return slots.Gap(
        cronjob_id=cronjob_id,
        from_at=slot.at,
        until_at=slot.at,
        status=verdict.status.value,
        reason=verdict.reason,
        message=verdict.message,
        count=0,
    )


def _of_slots(recent: Sequence[executions.Execution]) -> Iterable[executions.Execution]:
    return (run for run in recent if run.trigger is executions.Trigger.SCHEDULE)

"""Long series of slots in which nothing ran: ten rows, and a gap for the rest."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollcall.core import executions, series, slots, verdicts
from rollcall.core.executions import Status, Trigger
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
MINUTELY = builders.revision(schedule="* * * * *")
JOB = builders.job().id
MANY = 1000


def minute(number: int) -> datetime:
    return AT + number * MINUTE


def verdict(status: Status = Status.MISSED, reason: str = "NotStarted") -> verdicts.Verdict:
    return verdicts.Verdict(status=status, reason=reason, message=f"because of {reason}")


def judged(
    *found: verdicts.Verdict | Status | None, first: int = 0
) -> list[tuple[slots.Slot, verdicts.Verdict | Status | None]]:
    until = minute(first + len(found) - 1)
    due = slots.expected([MINUTELY], after=minute(first) - MINUTE, until=until)
    return list(zip(due, found, strict=True))


def row(number: int, status: Status = Status.MISSED, **changes: Any) -> executions.Execution:  # noqa: ANN401 - fields of an execution
    return builders.execution(slot_at=minute(number), status=status, **changes)


def rows(*numbers: int, status: Status = Status.MISSED) -> list[executions.Execution]:
    return [row(number, status) for number in sorted(numbers, reverse=True)]


def gap(first: int, last: int, status: str = "missed", reason: str = "NotStarted") -> slots.Gap:
    return slots.Gap(
        cronjob_id=JOB,
        from_at=minute(first),
        until_at=minute(last),
        status=status,
        reason=reason,
        message=f"because of {reason}",
        count=last - first + 1,
    )


def told(
    found: Sequence[verdicts.Verdict | Status | None],
    *,
    begun: series.Series = series.NONE,
    first: int = 0,
    at_most: int = MANY,
) -> tuple[int, list[slots.Gap]]:
    result = series.tell(JOB, begun, judged(*found, first=first), at_most)
    return len(result.rows), list(result.gaps)


@pytest.mark.parametrize("count", [1, 10])
def test_up_to_ten_in_a_row_are_rows(count: int) -> None:
    assert told([verdict()] * count) == (count, [])


def test_the_rest_of_a_longer_series_is_one_gap() -> None:
    assert told([verdict()] * 40) == (10, [gap(10, 39)])


def test_a_gap_goes_on_in_the_next_look() -> None:
    begun = series.before(minute(40), rows(*range(10)), [gap(10, 39)])
    assert told([verdict()] * 5, begun=begun, first=40) == (0, [gap(10, 44)])


def test_a_series_of_ten_rows_goes_on_in_a_new_gap() -> None:
    begun = series.before(minute(10), rows(*range(10)), [])
    assert told([verdict()], begun=begun, first=10) == (0, [gap(10, 10)])


def test_another_reason_or_status_is_another_gap() -> None:
    unknown = verdict(Status.UNKNOWN, "NotSeen")
    found = [verdict()] * 12 + [verdict(reason="QuotaExceeded")] * 2 + [unknown] * 3
    assert told(found) == (
        10,
        [gap(10, 11), gap(12, 13, reason="QuotaExceeded"), gap(14, 16, "unknown", "NotSeen")],
    )


@pytest.mark.parametrize("end", [Status.SUCCEEDED, verdict(Status.SKIPPED)])
def test_a_slot_that_ran_or_was_skipped_ends_a_series(end: Status | verdicts.Verdict) -> None:
    skipped = isinstance(end, verdicts.Verdict)
    found = [*[verdict()] * 10, end, *[verdict()] * 10]
    assert told(found) == (20 + skipped, [])


def test_a_missed_slot_that_has_its_row_already_counts_and_one_not_expected_does_not() -> None:
    found = [*[verdict()] * 9, Status.MISSED, None, verdict(), verdict()]
    assert told(found) == (9, [gap(11, 12)])


def test_no_more_rows_are_told_than_asked_for() -> None:
    found = judged(*[verdict(Status.SKIPPED)] * 5)
    result = series.tell(JOB, series.NONE, found, at_most=3)
    assert (len(result.rows), result.through) == (3, minute(2))
    assert series.tell(JOB, series.NONE, [], at_most=3).through is None


def test_a_series_reaches_back_to_the_last_slot_that_ran() -> None:
    recent = [*rows(8, 9), row(7, Status.SUCCEEDED), *rows(5, 6)]
    assert series.before(minute(10), recent, []) == series.Series(length=2)
    assert series.before(minute(9), recent, []) == series.Series(length=1)


def test_runs_by_hand_neither_count_nor_end_a_series() -> None:
    by_hand = row(9, Status.SUCCEEDED, trigger=Trigger.MANUAL)
    recent = [row(10), by_hand, row(8)]
    assert series.before(minute(11), recent, []).length == 2


def test_a_gap_of_an_earlier_series_is_not_continued() -> None:
    recent = rows(*range(50, 60))
    assert series.before(minute(60), recent, [gap(10, 39)]) == series.Series(length=10)


def test_only_ten_in_a_row_can_have_a_gap() -> None:
    assert series.may_have_gap(rows(*range(10)))
    assert series.may_have_gap([row(20, Status.SUCCEEDED), *rows(*range(10))])
    assert not series.may_have_gap([*rows(*range(5, 10)), row(4, Status.FAILED), *rows(*range(4))])


def test_a_job_that_turns_up_in_a_gap_leaves_its_count_once() -> None:
    recent = [row(20, Status.SUCCEEDED), *rows(*range(10))]
    once = series.recounted(gap(10, 39), [MINUTELY], recent)
    assert once.count == 29
    assert series.recounted(once, [MINUTELY], recent) == once


def test_a_suspension_is_not_recounted() -> None:
    suspended = gap(10, 39, "suspended")
    assert series.recounted(suspended, [MINUTELY], rows(20)) == suspended
    still = replace(suspended, until_at=None)
    assert series.recounted(still, [MINUTELY], rows(20)) == still


def test_of_a_gap_only_what_came_after_the_last_run_counts() -> None:
    [left] = series.since(minute(20), [gap(10, 39)], [MINUTELY])
    assert left.count == 19
    assert left.from_at > minute(20)
    assert series.since(minute(9), [gap(10, 39)], [MINUTELY]) == [gap(10, 39)]
    assert series.since(None, [gap(10, 39)], [MINUTELY]) == [gap(10, 39)]


def test_a_written_gap_takes_the_place_of_what_it_was() -> None:
    assert series.merged([gap(10, 39)], [gap(50, 51), gap(10, 44)]) == [gap(10, 44), gap(50, 51)]

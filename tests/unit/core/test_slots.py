"""Which slots were due, and until when each could start."""

from datetime import datetime, timedelta

import pytest

from rollcall.core import slots
from support import builders

AT = builders.SLOT_AT
FIVE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CRONJOB_ID = builders.job().id


def slot(**changes: object) -> slots.Slot:
    found = slots.expected([builders.revision(**changes)], after=AT - SECOND, until=AT)
    return next(found)


def test_a_slot_is_final_a_minute_after_the_next_one() -> None:
    assert slot().final_at == AT + FIVE + 60 * SECOND


def test_a_slot_is_final_a_minute_after_its_deadline() -> None:
    assert slot(deadline=30 * SECOND).final_at == AT + 90 * SECOND


def test_nothing_is_expected_within_a_minute_of_either_side_of_a_new_schedule() -> None:
    begin = AT + 10 * FIVE
    series = [builders.revision(), builders.revision(schedule="* * * * *", effective_from=begin)]
    found = [one.at for one in slots.expected(series, after=begin - 2 * FIVE, until=begin + FIVE)]
    assert found[0] == begin - FIVE
    assert found[1] == begin + timedelta(minutes=1)


def test_a_suspended_schedule_expects_nothing_and_has_no_next() -> None:
    series = [builders.revision(suspended=True)]
    assert list(slots.expected(series, after=AT, until=AT + 12 * FIVE)) == []
    assert slots.next_after(series, AT) is None
    assert slots.first_expected(series) is None
    assert slots.first_expected([]) is None


def test_the_first_expected_slot_counts_from_the_resumption() -> None:
    series = [builders.revision(suspended=True), builders.revision(effective_from=AT)]
    assert slots.first_expected(series) == AT + FIVE


def test_only_what_moves_slots_makes_another_rhythm() -> None:
    rhythm = builders.revision()
    assert rhythm.same_rhythm(builders.revision(generation=9, effective_from=AT))
    for change in ({"schedule": "@daily"}, {"time_zone": "Asia/Tokyo"}, {"deadline": FIVE}):
        assert not rhythm.same_rhythm(builders.revision(**change))
    assert not rhythm.same_rhythm(builders.revision(suspended=True))
    assert not rhythm.same_rhythm(builders.revision(concurrency="Allow"))


@pytest.mark.parametrize(
    ("change", "startable_for"),
    [
        ({"schedule": "@daily"}, 10 * MINUTE),
        ({"time_zone": "Asia/Tokyo"}, 10 * MINUTE),
        ({"suspended": True}, 10 * MINUTE),
        ({"deadline": FIVE}, HOUR),
        ({"concurrency": "Allow"}, HOUR),
    ],
    ids=["schedule", "zone", "suspended", "deadline", "concurrency"],
)
def test_a_waiting_slot_is_given_up_where_other_ticks_take_over(
    change: dict[str, object], startable_for: timedelta
) -> None:
    hourly = {"schedule": "0 * * * *"}
    edited = builders.revision(**hourly | change, effective_from=AT + 10 * MINUTE)
    [waiting] = slots.expected(
        [builders.revision(**hourly), edited], after=AT - SECOND, until=AT + 9 * MINUTE
    )
    assert waiting.startable_until == AT + startable_for


def test_a_year_of_minutes_is_counted_without_visiting_each() -> None:
    series = [
        builders.revision(schedule="* * * * *"),
        builders.revision(suspended=True, effective_from=AT + HOUR),
        builders.revision(schedule="* * * * *", effective_from=AT + 2 * HOUR),
    ]
    until = AT + 365 * 24 * HOUR
    # 59 up to a minute before the suspension, then from a minute after the resumption on.
    assert slots.count_expected(series, after=AT, until=until) == 59 + (365 * 24 - 2) * 60
    few = AT + 3 * HOUR
    visited = list(slots.expected(series, after=AT, until=few))
    assert slots.count_expected(series, after=AT, until=few) == len(visited)


def suspended_at(begin: datetime, end: datetime | None) -> list[slots.Revision]:
    revisions = [
        builders.revision(),
        builders.revision(suspended=True, effective_from=begin),
        builders.revision(suspended=True, deadline=FIVE, effective_from=begin + MINUTE),
    ]
    return [*revisions, builders.revision(effective_from=end)] if end else revisions


def test_a_suspension_is_one_gap_with_the_slots_that_it_left_out() -> None:
    [gap] = slots.suspensions(CRONJOB_ID, suspended_at(AT, AT + HOUR), AT - HOUR)
    assert (gap.from_at, gap.until_at, gap.status, gap.count) == (AT, AT + HOUR, "suspended", 12)
    [still] = slots.suspensions(CRONJOB_ID, suspended_at(AT, None), AT + 9 * HOUR)
    assert (still.from_at, still.until_at, still.count) == (AT, None, 0)


def test_a_suspension_that_is_told_already_is_left_out() -> None:
    assert slots.suspensions(CRONJOB_ID, suspended_at(AT, AT + HOUR), AT + HOUR) == []

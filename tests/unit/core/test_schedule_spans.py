"""What a schedule answers about spans of time: last slots, ranges, counts, gaps."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import schedule

AWARE = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_latest_slot_may_be_the_instant_itself() -> None:
    hourly = schedule.parse("0 * * * *", "UTC")
    assert hourly.latest_at_or_before(at("2026-01-01T05:00Z"), AWARE) == at("2026-01-01T05:00Z")
    assert hourly.latest_at_or_before(at("2026-01-01T05:59:59Z"), AWARE) == at("2026-01-01T05:00Z")


def test_the_latest_slot_is_found_far_back() -> None:
    seasonal = schedule.parse("* 9 1-5 3 *", "Europe/Berlin")
    latest = seasonal.latest_at_or_before(at("2026-12-24T00:00Z"), AWARE)
    assert latest == at("2026-03-05T08:59Z")


def test_no_slot_is_sought_before_the_limit_which_itself_counts() -> None:
    yearly = schedule.parse("@yearly", "UTC")
    asked = at("2026-12-24T00:00Z")
    assert yearly.latest_at_or_before(asked, AWARE) == AWARE
    assert yearly.latest_at_or_before(asked, AWARE + timedelta(microseconds=1)) is None
    assert yearly.latest_at_or_before(AWARE, asked) is None


# Asunción's clocks jumped over the midnight of 1 October, so that a search by months went on from
# the evening of 30 September to those of the 30th of other months.
ASUNCION = {
    "a month passed over going forward is passed over going back": (
        ("14 23 * 10 *", "1982-09-28T22:34Z", "1982-10-12T03:13Z"),
        None,
    ),
    "so is one long after the change": (
        ("47 0 12 2 *", "2000-02-01T00:00Z", "2001-05-18T00:00Z"),
        "2000-02-12T03:47Z",
    ),
    "its rest is found": (
        ("12 0 * 10 *", "1983-09-21T16:08Z", "1984-10-07T13:08Z"),
        "1983-10-31T03:12Z",
    ),
    "from a moment after the change nothing is passed over": (
        ("14 23 * 10 *", "1982-10-02T00:00Z", "1982-10-12T03:13Z"),
        "1982-10-12T02:14Z",
    ),
}


@pytest.mark.parametrize(("question", "latest"), ASUNCION.values(), ids=ASUNCION)
def test_the_latest_slot_beyond_a_change_where_the_search_stumbles(
    question: tuple[str, str, str], latest: str | None
) -> None:
    expression, not_before, instant = question
    found = schedule.parse(expression, "America/Asuncion").latest_at_or_before(
        at(instant), at(not_before)
    )
    assert found == (at(latest) if latest else None)


def test_the_limit_may_lie_at_the_beginning_of_time() -> None:
    impossible = schedule.parse("0 0 31 2 *", "Europe/Berlin")
    assert impossible.latest_at_or_before(AWARE, datetime.min.replace(tzinfo=UTC)) is None


def test_slots_between_leave_out_the_start_and_keep_the_end() -> None:
    hourly = schedule.parse("0 * * * *", "UTC")
    end = AWARE + timedelta(hours=2)
    assert list(hourly.slots_between(AWARE, end)) == [AWARE + timedelta(hours=1), end]
    assert list(hourly.slots_between(end, AWARE)) == []
    assert hourly.count_between(end, AWARE) == 0


def test_slots_between_are_made_one_at_a_time() -> None:
    minutely = schedule.parse("* * * * *", "UTC").slots_between(AWARE, at("9000-01-01T00:00Z"))
    assert next(minutely) == AWARE + timedelta(minutes=1)


def test_a_year_of_minutes_is_counted_through_both_changes_of_clocks() -> None:
    minutely = schedule.parse("* * * * *", "Europe/Berlin")
    assert minutely.count_between(AWARE, AWARE + timedelta(days=365)) == 365 * 24 * 60


GAPS = {
    "every minute": ("* * * * *", "Australia/Lord_Howe", timedelta(minutes=1)),
    "twice a day": ("0 8,14 * * *", "UTC", timedelta(hours=18)),
    "the longest gap of a single day may be within it": (
        "0 0,23 * * *",
        "UTC",
        timedelta(hours=23),
    ),
    "working days": ("0 9-17 * * 1-5", "UTC", timedelta(days=2, hours=16)),
    "a day is longer by the hour that clocks are put back": (
        "0 3 * * *",
        "Europe/Berlin",
        timedelta(hours=25),
    ),
    "a slot that clocks jump over": ("30 2 * * *", "Europe/Berlin", timedelta(hours=47)),
    "a season": ("0 0 * 1-3 *", "UTC", timedelta(days=276)),
    "once a year": ("@yearly", "UTC", None),
    "never": ("0 0 30 2 *", "UTC", None),
}


@pytest.mark.parametrize(("expression", "zone", "gap"), GAPS.values(), ids=GAPS)
def test_the_longest_gap_of_a_year(expression: str, zone: str, gap: timedelta | None) -> None:
    assert schedule.parse(expression, zone).longest_gap(AWARE) == gap


def test_the_shortest_gap_may_lie_between_two_days() -> None:
    gaps = schedule.parse("0 0,6,12,23 * * *", "UTC").gaps(AWARE)
    assert gaps == schedule.Gaps(shortest=timedelta(hours=1), longest=timedelta(hours=11))


def test_the_slots_of_a_day_are_told_by_offset() -> None:
    nightly = schedule.parse("30 1-3 * * *", "Europe/Berlin")
    days = nightly.days_between(at("2024-10-26T20:00Z"), at("2024-10-27T20:00Z"))
    told = [(day.offset // 3600, minute) for day in days for minute in day.minutes]
    assert told == [(2, 90), (2, 150), (1, 150), (1, 210)]


def test_a_gap_that_ends_beyond_the_days_asked_for_does_not_count() -> None:
    weekly = schedule.parse("0 12 * * 1", "UTC")
    assert weekly.longest_gap(AWARE, days=20) == timedelta(days=7)
    assert weekly.longest_gap(AWARE, days=7) is None


def test_a_single_slot_of_a_day_with_many_makes_no_gap() -> None:
    yearly_burst = schedule.parse("0,30 12 1 1 *", "UTC")
    assert yearly_burst.longest_gap(at("2026-01-01T12:15Z"), days=364) is None
    assert yearly_burst.longest_gap(at("2026-01-01T11:00Z"), days=1) == timedelta(minutes=30)

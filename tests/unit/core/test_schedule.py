"""What a schedule answers, case by case. Expected slots were computed by robfig/cron v3.0.1."""

import dataclasses
import itertools
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rollcall.core import schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def slots_after(expression: str, zone: str, instant: str, count: int) -> list[str]:
    """Return the next slots as UTC without seconds."""
    parsed = schedule.parse(expression, zone)
    slots = parsed.slots_between(at(instant), at(instant) + timedelta(days=2000))
    return [f"{slot:%Y-%m-%d %H:%M}" for slot in itertools.islice(slots, count)]


# Years that have passed: the database no longer changes them.
DAYLIGHT_SAVING = {
    "a time that the clocks jump over does not run that day": (
        ("30 2 * * *", "America/New_York", "2024-03-09T12:00Z"),
        ["2024-03-11 06:30", "2024-03-12 06:30"],
    ),
    "a date whose time the clocks jump over waits for the next year": (
        ("30 2 10 3 *", "America/New_York", "2024-03-01T00:00Z"),
        ["2025-03-10 06:30"],
    ),
    "a midnight that the clocks jump over does not run, west of Greenwich": (
        ("0 0 * * *", "America/Santiago", "2024-09-07T03:00Z"),
        ["2024-09-07 04:00", "2024-09-09 03:00"],
    ),
    "a midnight that the clocks jump over does not run, east of Greenwich": (
        ("0 0 * * *", "Africa/Cairo", "2024-04-24T00:00Z"),
        ["2024-04-24 22:00", "2024-04-26 21:00"],
    ),
    "a time that comes twice runs twice": (
        ("30 1 * * *", "America/New_York", "2024-11-03T00:00Z"),
        ["2024-11-03 05:30", "2024-11-03 06:30", "2024-11-04 06:30"],
    ),
    "a time that comes twice within half an hour runs twice": (
        ("45 1 * * *", "Australia/Lord_Howe", "2024-04-06T10:00Z"),
        ["2024-04-06 14:45", "2024-04-06 15:15", "2024-04-07 15:15"],
    ),
    "a midnight hour that comes twice runs twice": (
        ("*/30 0 * * *", "America/Havana", "2024-11-03T03:59Z"),
        ["2024-11-03 04:00", "2024-11-03 04:30", "2024-11-03 05:00", "2024-11-03 05:30"],
    ),
    "every half hour stays every half hour when clocks jump": (
        ("*/30 * * * *", "America/New_York", "2024-03-10T06:00Z"),
        ["2024-03-10 06:30", "2024-03-10 07:00", "2024-03-10 07:30"],
    ),
    "every half hour stays every half hour when clocks are put back": (
        ("*/30 * * * *", "America/New_York", "2024-11-03T05:00Z"),
        ["2024-11-03 05:30", "2024-11-03 06:00", "2024-11-03 06:30"],
    ),
    "a full hour that a jump of half an hour swallows is left out": (
        ("0 * * * *", "Australia/Lord_Howe", "2024-10-05T14:00Z"),
        ["2024-10-05 14:30", "2024-10-05 16:00"],
    ),
    "the hour before clocks are put back by half an hour hides the next full hour": (
        ("*/30 2 * * *", "Australia/Lord_Howe", "2024-04-06T14:45Z"),
        ["2024-04-06 16:00", "2024-04-07 15:30"],
    ),
    "so does the half hour that comes again": (
        ("*/30 2 * * *", "Australia/Lord_Howe", "2024-04-06T15:10Z"),
        ["2024-04-06 16:00", "2024-04-07 15:30"],
    ),
    "a time within two hours that come twice runs twice": (
        ("50 2 * * *", "Antarctica/Troll", "2024-10-26T12:00Z"),
        ["2024-10-27 00:50", "2024-10-27 02:50", "2024-10-28 02:50"],
    ),
    "a search by days passes over a day that has no midnight": (
        ("30 5 31 3 *", "Asia/Beirut", "2024-03-20T00:00Z"),
        ["2025-03-31 02:30"],
    ),
    "a search that reaches a day without midnight hour by hour finds it": (
        ("30 5 30-31 3 *", "Asia/Beirut", "2024-03-20T00:00Z"),
        ["2024-03-30 03:30", "2024-03-31 02:30"],
    ),
    "a search by days may end beyond the month": (
        ("35 */15 11-30 2-5 *", "Africa/Casablanca", "1978-05-30T17:58Z"),
        ["1978-06-10 23:35", "1979-02-11 00:35"],
    ),
    "a day that a zone leaves out does not run": (
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z"),
        ["2011-12-29 22:00", "2011-12-30 22:00"],
    ),
    # The library takes 2:50 for a slot of hour 3, because clocks are put back from 3:45 to 2:45,
    # and then for its own successor, again and again.
    "where the library stands still, the time comes again an hour later": (
        ("50 3 * * *", "Pacific/Chatham", "2024-04-06T12:00Z"),
        ["2024-04-06 14:05", "2024-04-06 15:05", "2024-04-07 15:05"],
    ),
}


@pytest.mark.parametrize(("question", "slots"), DAYLIGHT_SAVING.values(), ids=DAYLIGHT_SAVING)
def test_around_a_change_of_clocks(question: tuple[str, str, str], slots: list[str]) -> None:
    assert slots_after(*question, count=len(slots)) == slots


def test_odd_seconds_of_a_zone_before_standard_time_show_in_utc() -> None:
    monrovia = schedule.parse("*/10 * * * *", "Africa/Monrovia")
    slots = monrovia.slots_between(at("1971-06-01T00:00Z"), at("1971-06-01T00:30Z"))
    assert list(slots) == [at("1971-06-01T00:14:30Z"), at("1971-06-01T00:24:30Z")]


DAYS = {
    "a star in one of the day fields leaves the other to decide": ("0 0 13 * *", "13 13 13"),
    "a star with step 1 is a star": ("0 0 13 * */1", "13 13 13"),
    "a star in a list is a star": ("0 0 13 * *,1", "13 13 13"),
    "a question mark is a star": ("0 0 ? * 5", "2 9 16"),
    "two restricted fields match either": ("0 0 13 * 5", "2 9 13"),
    "a star with a larger step is no star": ("0 0 */2 * 1", "1 3 5"),
    "a range over the whole month is no star": ("0 0 1-31 * 1", "1 2 3"),
    "a step alone runs to the end of the field": ("0 0 29/1 * *", "29 30 31"),
}


@pytest.mark.parametrize(("expression", "days"), DAYS.values(), ids=DAYS)
def test_days_of_january_2026_and_on(expression: str, days: str) -> None:
    slots = slots_after(expression, "UTC", "2025-12-31T23:59Z", 3)
    assert " ".join(str(int(slot[8:10])) for slot in slots) == days


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_the_search_ends_with_the_fifth_year_ahead(zone: str) -> None:
    # 2100 is no leap year, 2104 is one. The year is that of the second after, in the zone.
    leap = schedule.parse("0 0 29 2 *", zone)
    last = datetime(2098, 12, 31, 23, 59, 58, tzinfo=zoneinfo.ZoneInfo(zone))
    assert leap.next_after(last) is None
    found = datetime(2104, 2, 29, tzinfo=zoneinfo.ZoneInfo(zone))
    assert leap.next_after(last + timedelta(seconds=1)) == found


def test_29_february_is_found_over_four_years() -> None:
    assert slots_after("0 0 29 2 *", "Europe/Berlin", "2024-03-01T00:00Z", 1) == [
        "2028-02-28 23:00"
    ]


NEVER = {
    "a date that does not exist": ("0 0 30 2 *", "Europe/Berlin", "2026-01-01T00:00Z"),
    "a date beyond the five years that the library searches": (
        "0 0 29 2 *",
        "UTC",
        "2096-03-01T00:00Z",
    ),
    "a minute field of nothing but commas": (", * * * *", "UTC", "2026-01-01T00:00Z"),
    "a month field of nothing but commas": ("* * * , *", "UTC", "2026-01-01T00:00Z"),
    "two day fields of nothing but commas": ("* * , * ,", "UTC", "2026-01-01T00:00Z"),
    "a day beyond one that its zone leaves out, where the library never returns": (
        "@monthly",
        "Pacific/Apia",
        "2011-12-02T00:00Z",
    ),
    "a year too late for Python": ("* * * * *", "UTC", "9995-01-01T00:00Z"),
    "the end of Python's time": ("* * * * *", "Pacific/Kiritimati", "9999-12-31T23:59:59Z"),
}


@pytest.mark.parametrize(("expression", "zone", "instant"), NEVER.values(), ids=NEVER)
def test_nothing_follows(expression: str, zone: str, instant: str) -> None:
    assert schedule.parse(expression, zone).next_after(at(instant)) is None


def test_the_next_slot_is_strictly_later() -> None:
    daily = schedule.parse("0 3 * * *", "UTC")
    assert daily.next_after(at("2026-01-01T03:00Z")) == at("2026-01-02T03:00Z")
    assert daily.next_after(at("2026-01-01T02:59:59.999Z")) == at("2026-01-01T03:00Z")


def test_the_next_slot_is_later_even_where_the_library_stands_still() -> None:
    early = schedule.parse("50 3 * * *", "Pacific/Chatham")
    assert early.next_after(at("2024-04-06T14:05Z")) == at("2024-04-06T15:05Z")


def test_time_begins_in_1970() -> None:
    first = schedule.parse("0 * * * *", "UTC").next_after(datetime.min.replace(tzinfo=UTC))
    assert first == at("1970-01-01T00:00Z")


def test_answers_are_in_utc_whatever_the_question_was_in() -> None:
    asked_in = timezone(timedelta(hours=-5))
    slot = schedule.parse("0 3 * * *", "Europe/Berlin").next_after(
        datetime(2026, 6, 30, 21, tzinfo=asked_in)
    )
    assert slot == datetime(2026, 7, 3, 1, tzinfo=UTC) - timedelta(days=1)
    assert slot is not None
    assert slot.tzinfo is UTC


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of the test
AWARE = datetime(2026, 1, 1, tzinfo=UTC)
Method = Callable[[schedule.Schedule], object]
NAIVE_QUESTIONS: dict[str, Method] = {
    "next_after": lambda asked: asked.next_after(NAIVE),
    "latest_at_or_before": lambda asked: asked.latest_at_or_before(NAIVE, AWARE),
    "latest_at_or_before, not_before": lambda asked: asked.latest_at_or_before(AWARE, NAIVE),
    "slots_between, start": lambda asked: asked.slots_between(NAIVE, AWARE),
    "slots_between, end": lambda asked: asked.slots_between(AWARE, NAIVE),
    "count_between": lambda asked: asked.count_between(AWARE, NAIVE),
    "days_between": lambda asked: asked.days_between(NAIVE, AWARE),
    "gaps": lambda asked: asked.gaps(NAIVE),
    "longest_gap": lambda asked: asked.longest_gap(NAIVE),
}


@pytest.mark.parametrize("ask", NAIVE_QUESTIONS.values(), ids=NAIVE_QUESTIONS)
def test_a_datetime_without_a_zone_is_refused_at_once(ask: Method) -> None:
    with pytest.raises(ValueError, match="has no time zone; pass an aware datetime"):
        ask(schedule.parse("* * * * *", "UTC"))


def test_a_schedule_is_a_value() -> None:
    parsed = schedule.parse("*/5 * * * *", "Europe/Berlin")
    assert (parsed.expression, parsed.zone) == ("*/5 * * * *", "Europe/Berlin")
    assert parsed == schedule.parse("*/5 * * * *", "Europe/Berlin")
    assert parsed != schedule.parse("*/5 * * * *", "UTC")
    assert repr(parsed) == "Schedule(expression='*/5 * * * *', zone='Europe/Berlin')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        parsed.zone = "UTC"  # type: ignore[misc]

"""Go's reading of local times."""

from datetime import UTC, datetime

import pytest

from rollcall.core import zones

HOUR = 3600
DAY = 24 * HOUR


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# What Go's time.Date makes of a civil time, then written in UTC.
CIVIL_TIMES = {
    "an ordinary time": ("America/New_York", "2024-06-01T12:00", "2024-06-01T16:00"),
    "skipped, west: taken for an hour earlier": (
        "America/New_York",
        "2024-03-10T02:30",
        "2024-03-10T06:30",
    ),
    "skipped, east: taken for an hour later": (
        "Europe/Berlin",
        "2024-03-31T02:30",
        "2024-03-31T01:30",
    ),
    "twice, west: the first": ("America/New_York", "2024-11-03T01:30", "2024-11-03T05:30"),
    "twice, east: the second": ("Europe/Berlin", "2024-10-27T02:30", "2024-10-27T01:30"),
    "on a day that is left out: a day earlier": (
        "Pacific/Apia",
        "2011-12-30T00:00",
        "2011-12-29T10:00",
    ),
}


@pytest.mark.parametrize(("zone", "civil", "instant"), CIVIL_TIMES.values(), ids=CIVIL_TIMES)
def test_a_civil_time_becomes_an_instant_as_in_go(zone: str, civil: str, instant: str) -> None:
    assert zones.load(zone).instant(seconds(civil)) == seconds(instant)


CHANGE = seconds("2024-03-31T01:00")  # Berlin's clocks jump from UTC+1 to UTC+2


def test_a_change_matters_by_the_offset_before_it() -> None:
    berlin = zones.load("Europe/Berlin")
    assert berlin.plain_until(CHANGE - 9 * HOUR, CHANGE + HOUR, HOUR) == CHANGE - HOUR - 1
    assert berlin.plain_until(CHANGE - 9 * HOUR, CHANGE - 3 * HOUR, HOUR) == CHANGE - 3 * HOUR


def test_a_change_matters_by_a_western_offset_after_it() -> None:
    change = seconds("2024-03-10T07:00")  # New York's clocks jump from UTC-5 to UTC-4
    new_york = zones.load("America/New_York")
    assert new_york.plain_until(change + 3 * HOUR, change + 9 * HOUR, -4 * HOUR) < change + 3 * HOUR
    assert (
        new_york.plain_until(change + 4 * HOUR, change + 9 * HOUR, -4 * HOUR) == change + 9 * HOUR
    )


def test_an_offset_of_odd_seconds_is_never_plain() -> None:
    start = seconds("1971-06-01T00:00")
    monrovia = zones.load("Africa/Monrovia")
    assert monrovia.offset(start) == -(44 * 60 + 30)
    assert monrovia.plain_until(start, start + HOUR, monrovia.offset(start)) < start


# The closest pairs of changes in the history of zones.
PAIRS = {
    "a week": ("America/Noronha", "2000-10-08T02:00", "2000-10-15T01:00"),
    "eight days": ("Africa/Tunis", "1943-04-17T00:00", "1943-04-25T01:00"),
}


@pytest.mark.parametrize(("name", "first", "second"), PAIRS.values(), ids=PAIRS)
def test_two_changes_close_to_each_other_are_both_seen(name: str, first: str, second: str) -> None:
    zone = zones.load(name)
    before, between, after = seconds(first) - 1, seconds(first), seconds(second)
    assert zone.offset(before) == zone.offset(after) != zone.offset(between)
    assert zone.plain_until(before, after + DAY, zone.offset(before)) < between
    assert zone.plain_until(after - DAY, after + DAY, zone.offset(between)) < after


def test_a_zone_without_changes_is_plain_for_years() -> None:
    start, end = seconds("2019-01-01T00:00"), seconds("2024-01-01T00:00")
    assert zones.load("Asia/Kolkata").plain_until(start, end, 5 * HOUR + 1800) == end


# Whether every day around a change of clocks begins at one midnight, an hour from the change.
MIDNIGHTS = {
    "at two": ("Europe/Berlin", "2024-03-31T01:00", True),
    "back to one": ("Europe/London", "2024-10-27T01:00", True),
    "at midnight": ("Asia/Beirut", "2024-03-30T22:00", False),
    "back to midnight": ("Atlantic/Azores", "2024-10-27T01:00", False),
    "back over midnight": ("Asia/Beirut", "2024-10-26T21:00", False),
    "over a whole day": ("Pacific/Apia", "2011-12-30T10:00", False),
}


@pytest.mark.parametrize(("zone", "change", "kept"), MIDNIGHTS.values(), ids=MIDNIGHTS)
def test_clocks_keep_midnights_if_they_change_at_least_an_hour_away(
    *, zone: str, change: str, kept: bool
) -> None:
    loaded, at = zones.load(zone), seconds(change)
    assert list(loaded.changes(at - 1, at)) == [at]
    assert loaded.keeps_midnights(at - DAY, at + DAY) is kept
    assert loaded.keeps_midnights(at + 1, at + DAY)
    assert loaded.keeps_midnights(at - DAY, at - 1)

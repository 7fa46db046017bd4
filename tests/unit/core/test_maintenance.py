"""When a maintenance window is open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, maintenance, schedule

HOUR = timedelta(hours=1)
SATURDAY = datetime(2026, 3, 28, tzinfo=UTC)
NIGHTLY = {"schedule": "0 2 * * *", "timeZone": "Europe/Berlin", "duration": "2h"}


def window(**changes: object) -> maintenance.Window:
    return maintenance.read(NIGHTLY | changes, "alerts.maintenance[0]")


@pytest.mark.parametrize(
    ("after", "closes_after"),
    [(59, None), (60, 180), (179, 180), (180, None)],
    ids=["before", "at its begin", "in its last minute", "at its end"],
)
def test_a_window_is_open_from_its_slot_until_its_end(after: int, closes_after: int | None) -> None:
    minute = timedelta(minutes=1)
    until = window().open_until(SATURDAY + after * minute)
    assert until == (SATURDAY + closes_after * minute if closes_after else None)


def test_a_window_lasts_as_long_where_the_clocks_change() -> None:
    # On the 29th 02:00 does not exist in Berlin; the library starts what is skipped by no slot.
    early = window(schedule="30 1 * * *")
    assert (
        early.open_until(SATURDAY + 24 * HOUR + 45 * timedelta(minutes=1)) == SATURDAY + 26.5 * HOUR
    )


def test_a_window_is_open_in_its_last_instant_too() -> None:
    instant = timedelta(microseconds=1)
    assert window().open_until(SATURDAY + 3 * HOUR - instant) == SATURDAY + 3 * HOUR


def test_without_a_zone_it_is_utc() -> None:
    assert window(timeZone=None).open_until(SATURDAY + 2 * HOUR) == SATURDAY + 4 * HOUR


def test_windows_that_overlap_are_open_until_the_last_of_them_closes() -> None:
    often = window(schedule="0 * * * *", duration="90m", timeZone="UTC")
    assert often.open_until(SATURDAY + 1.25 * HOUR) == SATURDAY + 2.5 * HOUR


EXPRESSIONS = st.sampled_from(["0 2 * * *", "*/7 * * * *", "30 1 * * 6,0", "15 3 1 * *", "@hourly"])
ZONES = st.sampled_from(["Etc/UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"])


@given(
    expression=EXPRESSIONS,
    zone=ZONES,
    minutes=st.integers(1, 7 * 24 * 60),
    seconds=st.integers(0, 370 * 24 * 3600),
)
def test_it_is_open_exactly_while_one_of_its_slots_is_younger_than_its_duration(
    expression: str, zone: str, minutes: int, seconds: int
) -> None:
    now, duration = SATURDAY + timedelta(seconds=seconds), timedelta(minutes=minutes)
    of = schedule.parse(expression, zone)
    slots = list(of.slots_between(now - duration, now))
    until = maintenance.Window(schedule=of, duration=duration).open_until(now)
    assert until == (slots[-1] + duration if slots else None)
    assert until is None or now < until <= now + duration


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no schedule": ({"schedule": None}, r"alerts.maintenance\[0\].schedule: "),
    "an impossible schedule": ({"schedule": "61 * * * *"}, r"alerts.maintenance\[0\].schedule: "),
    "an unknown zone": ({"timeZone": "Mars/Base"}, "Mars/Base"),
    "no duration": ({"duration": None}, r"\.duration: write a duration above zero"),
    "no time at all": ({"duration": "0s"}, "above zero and up to 7d"),
    "too long": ({"duration": "8d"}, "up to 7d"),
    "no duration that we read": ({"duration": "2 hours"}, "2 hours"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_window_is_refused_with_what_to_write(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.InvalidSpec, match=words):
        window(**changes)


def test_a_job_has_a_bounded_number_of_windows() -> None:
    assert len(maintenance.read_all([NIGHTLY] * maintenance.MOST, "alerts.maintenance")) == 20
    with pytest.raises(errors.InvalidSpec, match="at most 20 windows"):
        maintenance.read_all([NIGHTLY] * (maintenance.MOST + 1), "alerts.maintenance")

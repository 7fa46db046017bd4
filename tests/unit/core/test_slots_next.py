"""The next tick, and stretches of time without any."""

from datetime import UTC, datetime, timedelta

from rollcall.core import slots
from support import builders

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_next_tick_is_that_of_the_newest_revision() -> None:
    edited = builders.revision(schedule="30 * * * *", effective_from=AT + HOUR)
    series = [builders.revision(schedule="0 * * * *"), edited]
    assert slots.next_after(series, AT + HOUR) == AT + 1.5 * HOUR


def test_a_suspended_job_has_no_next_tick() -> None:
    assert slots.next_after([builders.revision(suspended=True)], AT) is None


def test_neither_has_a_job_that_was_never_applied() -> None:
    assert slots.next_after([], AT) is None


def test_no_slot_is_expected_of_a_time_without_ticks() -> None:
    yearly = [builders.revision(schedule="@yearly")]
    assert list(slots.expected(yearly, after=AT, until=AT + 24 * HOUR)) == []

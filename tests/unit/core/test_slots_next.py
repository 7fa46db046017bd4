"""The next tick, and stretches of time without any."""

from datetime import UTC, datetime, timedelta

import pytest

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


@pytest.mark.parametrize(
    ("schedule", "before"),
    [
        ("0 * * * *", AT - HOUR),
        ("30 11 * * *", AT - HOUR / 2),
        ("0 12 1 * *", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("0 12 10 3 *", datetime(2025, 3, 10, 12, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0 0 30 2 *", None),
    ],
    ids=["hour", "day", "month", "year", "leap year", "never"],
)
def test_the_tick_before_lies_before_however_seldom_they_come(
    schedule: str, before: datetime | None
) -> None:
    assert slots.before(builders.revision(schedule=schedule), AT) == before


def test_no_slot_is_expected_of_a_time_without_ticks() -> None:
    yearly = [builders.revision(schedule="@yearly")]
    assert list(slots.expected(yearly, after=AT, until=AT + 24 * HOUR)) == []


def test_a_rhythm_lasts_until_other_ticks_come_whatever_else_changes() -> None:
    edits = [
        builders.revision(schedule="@daily"),
        builders.revision(schedule="@hourly", effective_from=AT),
        builders.revision(schedule="@hourly", suspended=True, effective_from=AT + HOUR),
        builders.revision(schedule="@daily", effective_from=AT + 2 * HOUR),
    ]
    found = [(one.schedule, one.begin_at, one.end_at) for one in slots.rhythms(edits)]
    assert found == [
        ("@daily", builders.CREATED_AT, AT),
        ("@hourly", AT, AT + 2 * HOUR),
        ("@daily", AT + 2 * HOUR, None),
    ]
    assert slots.rhythms([]) == []

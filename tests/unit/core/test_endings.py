"""How a run ended whose Job is gone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rollcall.core import endings, executions
from rollcall.core.executions import Status, Trigger
from support import builders

AT = builders.SLOT_AT
FIVE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
RUN = builders.execution(slot_at=AT - FIVE, status=Status.RUNNING)


def said(
    *recent: executions.Execution, now: datetime = AT, **changes: object
) -> tuple[Status, str] | None:
    values: dict[str, Any] = {
        "at": AT,
        "was_seen": True,
        "owner_is_gone": False,
        "concurrency": "Replace",
    }
    ending = endings.ending(RUN, endings.Departure(**values | changes), recent, now=now)
    return (ending.status, ending.reason) if ending else None


def successor(
    created_at: datetime = AT, trigger: Trigger = Trigger.SCHEDULE
) -> executions.Execution:
    return builders.execution(slot_at=AT, created_at=created_at, trigger=trigger)


def test_a_job_that_goes_with_its_owner_is_cancelled_with_it() -> None:
    assert said(successor(), owner_is_gone=True) == (Status.CANCELLED, "OwnerDeleted")
    assert said(owner_is_gone=True, was_seen=False) == (Status.CANCELLED, "OwnerDeleted")


def test_a_job_that_nobody_saw_going_is_unknown() -> None:
    assert said(successor(), was_seen=False) == (Status.UNKNOWN, "JobGone")


def test_under_replace_the_next_slots_job_replaces() -> None:
    assert said(RUN, successor()) == (Status.REPLACED, "Replaced")


def test_of_several_later_jobs_the_next_slots_replaces() -> None:
    after = builders.execution(slot_at=AT + FIVE, created_at=AT, job_name="after")
    of_next = builders.execution(slot_at=AT, created_at=AT, job_name="next")
    departure = endings.Departure(at=AT, was_seen=True, owner_is_gone=False, concurrency="Replace")
    ending = endings.ending(RUN, departure, [after, of_next], now=AT)
    assert ending
    assert ending.message == "made room for next (concurrencyPolicy Replace)"


@pytest.mark.parametrize("concurrency", ["Allow", "Forbid", ""])
def test_without_replace_nothing_is_replaced(concurrency: str) -> None:
    assert said(successor(), concurrency=concurrency) == (Status.CANCELLED, "JobDeleted")


@pytest.mark.parametrize(
    "other",
    [
        successor(AT - 61 * SECOND),
        successor(AT + 61 * SECOND),
        successor(trigger=Trigger.MANUAL),
        builders.execution(slot_at=AT, status=Status.MISSED),
    ],
    ids=["long before", "long after", "by hand", "no job"],
)
def test_only_a_job_of_the_next_slot_at_that_time_replaces(other: executions.Execution) -> None:
    assert said(other, now=AT + FIVE) == (Status.CANCELLED, "JobDeleted")


def test_a_successor_may_show_a_moment_later() -> None:
    late = AT + endings.REPLACEMENT_SHOWS_WITHIN
    assert said(now=late - SECOND) is None
    assert said(now=late) == (Status.CANCELLED, "JobDeleted")

"""What may have come and gone while we were blind, and what proves that it did not."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rollcall.core import blindness, executions, slots, verdicts
from rollcall.core.executions import Status
from support import builders

AT = builders.SLOT_AT
FIVE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def slot(**rhythm: str) -> slots.Slot:
    return next(slots.expected([builders.revision(**rhythm)], after=AT - SECOND, until=AT))


def reading(**changes: object) -> slots.CronJobReading:
    values: dict[str, Any] = {
        "uid": "cronjob-uid",
        "suspended": False,
        "last_schedule_at": None,
        "created_at": AT - 30 * DAY,
        "keeps_failed": 1,
    }
    return slots.CronJobReading(**values | changes)


def seen(
    blind: timedelta, kept_since: datetime | None, cronjob: slots.CronJobReading | None = None
) -> Status:
    period = blindness.Blind(from_at=AT - MINUTE, until_at=AT - MINUTE + blind)
    found = verdicts.evidence(
        cronjob=cronjob or reading(),
        sight=blindness.Sight(blind=[period]),
        kept_since=kept_since,
    )
    said = verdicts.judge(slot(), found)
    assert said
    return said.status


LONG = verdicts.KEPT_AT_LEAST + SECOND


@pytest.mark.parametrize(
    ("blind", "kept_since", "status"),
    [
        (LONG, AT + SECOND, Status.UNKNOWN),
        (LONG, AT, Status.MISSED),
        (LONG, None, Status.MISSED),
        (verdicts.KEPT_AT_LEAST, AT + SECOND, Status.MISSED),
    ],
    ids=["its Job may be gone", "its Job would be there", "no Job is gone", "not blind for long"],
)
def test_what_may_have_come_and_gone_while_we_were_blind_is_unknown(
    blind: timedelta, kept_since: datetime | None, status: Status
) -> None:
    assert seen(blind, kept_since) is status


@pytest.mark.parametrize(
    ("until", "last_schedule_at", "status"),
    [
        (timedelta(), AT + DAY, Status.UNKNOWN),
        (-SECOND, AT + DAY, Status.MISSED),
        (timedelta(), AT - FIVE, Status.MISSED),
    ],
    ids=["it may have been replaced", "we saw it waiting", "nothing was started"],
)
def test_under_replace_a_job_may_go_while_we_are_blind_for_a_moment(
    until: timedelta, last_schedule_at: datetime, status: Status
) -> None:
    replacing = slot(concurrency="Replace")
    end = replacing.startable_until
    period = blindness.Blind(from_at=end - MINUTE, until_at=end + until)
    found = verdicts.evidence(
        cronjob=reading(last_schedule_at=last_schedule_at), sight=blindness.Sight(blind=[period])
    )
    said = verdicts.judge(replacing, found)
    assert said
    assert said.status is status


def test_a_cronjob_that_started_nothing_since_proves_the_miss() -> None:
    cronjob = reading(last_schedule_at=AT - FIVE)
    assert seen(LONG, AT + SECOND, cronjob) is Status.MISSED


def test_blindness_that_touches_no_minute_of_the_slot_hides_nothing() -> None:
    period = blindness.Blind(from_at=AT - DAY, until_at=AT - SECOND)
    found = verdicts.evidence(
        cronjob=reading(), sight=blindness.Sight(blind=[period]), kept_since=AT + DAY
    )
    said = verdicts.judge(slot(), found)
    assert said
    assert said.status is Status.MISSED


NOW = AT + DAY


def ended(minutes: int, status: Status, **changes: str) -> executions.JobObservation:
    return builders.observation(created_at=AT + minutes * MINUTE, decided=status, **changes)


@pytest.mark.parametrize(
    ("jobs", "changes", "since"),
    [
        ([], {"created_at": None}, None),
        ([], {}, AT - 30 * DAY),
        ([], {"keeps_for": 900 * SECOND}, NOW - 900 * SECOND),
        ([ended(3, Status.SUCCEEDED), ended(1, Status.SUCCEEDED)], {}, AT - 30 * DAY),
        ([ended(minute, Status.SUCCEEDED) for minute in (3, 1, 2)], {}, AT + MINUTE),
        (
            [ended(1, Status.FAILED, owner_uid="earlier"), ended(4, Status.FAILED)],
            {},
            AT + 4 * MINUTE,
        ),
        ([ended(4, Status.FAILED), ended(1, Status.SUCCEEDED)], {}, AT + 4 * MINUTE),
        ([], {"keeps_failed": 0}, NOW),
    ],
    ids=[
        "nothing",
        "the CronJob's making",
        "ttl",
        "below limits",
        "succeeded",
        "left over",
        "failed",
        "none",
    ],
)
def test_since_when_every_job_still_exists(
    jobs: list[executions.JobObservation], changes: dict[str, Any], since: datetime | None
) -> None:
    assert verdicts.kept_since(reading(**changes), jobs, NOW) == since


def test_without_a_cronjob_no_job_of_it_exists() -> None:
    assert verdicts.kept_since(None, [], NOW) == NOW

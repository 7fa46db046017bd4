"""The verdict of a slot without a Job."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rollcall.core import executions, slots
from rollcall.core.executions import Status
from support import builders

AT = builders.SLOT_AT
FIVE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)


def slot(**changes: object) -> slots.Slot:
    found = slots.expected([builders.revision(**changes)], after=AT - SECOND, until=AT)
    return next(found)


def reading(*, suspended: bool = False, last: datetime | None = None) -> slots.CronJobReading:
    return slots.CronJobReading(uid="cronjob-uid", suspended=suspended, last_schedule_at=last)


def event(reason: str, message: str = "because", at: datetime = AT) -> slots.EventReading:
    return slots.EventReading(reason=reason, message=message, last_at=at)


def verdict(
    *events: slots.EventReading,
    cronjob: slots.CronJobReading | None = None,
    runs: tuple[executions.Execution, ...] = (),
    **changes: object,
) -> tuple[Status, str]:
    said = slots.judge(slot(**changes), cronjob=cronjob, runs=runs, events=events)
    return said.status, said.reason


def blocker(ended_at: datetime | None) -> executions.Execution:
    status = Status.SUCCEEDED if ended_at else Status.RUNNING
    changes: dict[str, Any] = {"ended_at": ended_at} if ended_at else {}
    return builders.execution(slot_at=AT - FIVE, status=status, **changes)


def test_a_slot_is_final_a_minute_after_the_next_one() -> None:
    assert slot().final_at == AT + FIVE + 60 * SECOND


def test_a_slot_is_final_a_minute_after_its_deadline() -> None:
    assert slot(deadline=30 * SECOND).final_at == AT + 90 * SECOND


def test_a_slot_that_the_cronjob_says_it_started_is_unknown() -> None:
    assert verdict(cronjob=reading(last=AT)) == (Status.UNKNOWN, "JobGone")


@pytest.mark.parametrize("ended_at", [None, AT + FIVE], ids=["open", "ended with the slot"])
def test_a_run_that_held_the_slot_makes_it_skipped(ended_at: datetime | None) -> None:
    said = verdict(cronjob=reading(), runs=(blocker(ended_at),))
    assert said == (Status.SKIPPED, "ForbidConcurrent")


@pytest.mark.parametrize("concurrency", ["Allow", "Replace"])
def test_without_forbid_a_running_job_excuses_nothing(concurrency: str) -> None:
    said = verdict(cronjob=reading(), runs=(blocker(None),), concurrency=concurrency)
    assert said == (Status.MISSED, "NotStarted")


def test_a_run_that_ended_within_the_slot_excuses_nothing() -> None:
    said = verdict(cronjob=reading(), runs=(blocker(AT + FIVE - SECOND),))
    assert said == (Status.MISSED, "NotStarted")


def test_a_manual_run_excuses_nothing() -> None:
    run = builders.execution(
        slot_at=AT - FIVE, status=Status.RUNNING, trigger=executions.Trigger.MANUAL
    )
    assert verdict(cronjob=reading(), runs=(run,)) == (Status.MISSED, "NotStarted")


def test_without_a_cronjob_the_slot_is_missed_for_that() -> None:
    assert verdict() == (Status.MISSED, "CronJobDeleted")


def test_a_cronjob_suspended_by_hand_is_the_reason() -> None:
    assert verdict(cronjob=reading(suspended=True)) == (Status.MISSED, "Suspended")


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (event("FailedCreate", "exceeded quota: no-jobs"), "QuotaExceeded"),
        (event("FailedCreate", "denied by webhook"), "AdmissionDenied"),
        (event("UnknownTimeZone"), "UnknownTimeZone"),
        (event("SawCompletedJob"), "NotStarted"),
        (event("FailedCreate", at=AT - slots.EVIDENCE_BEFORE), "AdmissionDenied"),
        (event("FailedCreate", at=AT - slots.EVIDENCE_BEFORE - SECOND), "NotStarted"),
        (event("FailedCreate", at=AT + FIVE + 2 * slots.GRACE + SECOND), "NotStarted"),
    ],
    ids=["quota", "webhook", "zone", "unrelated", "just before", "too old", "too young"],
)
def test_an_event_near_the_slot_is_the_reason(seen: slots.EventReading, reason: str) -> None:
    assert verdict(seen, cronjob=reading()) == (Status.MISSED, reason)


def test_the_newest_event_wins() -> None:
    older, newer = event("UnknownTimeZone"), event("FailedCreate", at=AT + SECOND)
    assert verdict(older, newer, cronjob=reading()) == (Status.MISSED, "AdmissionDenied")


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

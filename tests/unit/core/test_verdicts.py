"""The verdict of a slot without a Job, and by what evidence."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from rollcall.core import causes, executions, slots, verdicts
from rollcall.core.executions import Status
from support import builders

AT = builders.SLOT_AT
FIVE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def slot(**changes: object) -> slots.Slot:
    found = slots.expected([builders.revision(**changes)], after=AT - SECOND, until=AT)
    return next(found)


def reading(**changes: object) -> slots.CronJobReading:
    values: dict[str, Any] = {
        "uid": "cronjob-uid",
        "suspended": False,
        "last_schedule_at": None,
        "created_at": AT - 30 * DAY,
    }
    return slots.CronJobReading(**values | changes)


def event(reason: str, message: str = "because", at: datetime = AT) -> slots.EventReading:
    return slots.EventReading(reason=reason, message=message, last_at=at)


def verdict(
    *events: slots.EventReading,
    cronjob: slots.CronJobReading | None = None,
    runs: tuple[executions.Execution, ...] = (),
    others: causes.Others = causes.NO_OTHERS,
    **changes: object,
) -> tuple[Status, str]:
    found = verdicts.evidence(cronjob=cronjob, runs=runs, events=events, others=others)
    said = verdicts.judge(slot(**changes), found)
    assert said
    return said.status, said.reason


def blocker(ended_at: datetime | None) -> executions.Execution:
    status = Status.SUCCEEDED if ended_at else Status.RUNNING
    changes: dict[str, Any] = {"ended_at": ended_at} if ended_at else {}
    return builders.execution(slot_at=AT - FIVE, status=status, **changes)


def test_a_slot_that_the_cronjob_says_it_started_is_unknown() -> None:
    assert verdict(cronjob=reading(last_schedule_at=AT)) == (Status.UNKNOWN, "JobGone")


@pytest.mark.parametrize("ended_at", [None, AT + FIVE], ids=["open", "ended with the slot"])
def test_a_run_that_held_the_slot_makes_it_skipped(ended_at: datetime | None) -> None:
    said = verdict(cronjob=reading(), runs=(blocker(ended_at),))
    assert said == (Status.SKIPPED, "ForbidConcurrent")


@pytest.mark.parametrize("concurrency", ["Allow", "Replace"])
def test_without_forbid_a_running_job_excuses_nothing(concurrency: str) -> None:
    said = verdict(cronjob=reading(), runs=(blocker(None),), concurrency=concurrency)
    assert said == (Status.MISSED, "NotStarted")


def test_a_run_that_ended_within_the_slot_excuses_nothing() -> None:
    said = verdict(cronjob=reading(), runs=(blocker(AT + FIVE - 11 * SECOND),))
    assert said == (Status.MISSED, "NotStarted")


def test_a_run_that_ended_too_late_for_the_controller_to_notice_held_the_slot() -> None:
    said = verdict(cronjob=reading(), runs=(blocker(AT + FIVE - 10 * SECOND),))
    assert said == (Status.SKIPPED, "ForbidConcurrent")


def test_a_run_that_is_decided_holds_slots_while_the_controller_still_counts_it() -> None:
    ending = builders.execution(slot_at=AT - FIVE, status=Status.FAILED, ended_at=AT - MINUTE)
    assert ending.job_uid
    counted = reading(active=frozenset({ending.job_uid}))
    assert verdict(cronjob=counted, runs=(ending,)) == (Status.SKIPPED, "ForbidConcurrent")
    assert verdict(cronjob=reading(), runs=(ending,)) == (Status.MISSED, "NotStarted")


def test_a_run_of_which_nobody_saw_the_end_holds_no_slot() -> None:
    lost = builders.execution(
        slot_at=AT - FIVE,
        status=Status.UNKNOWN,
        job_uid="lost",
        created_at=AT - FIVE,
        ended_at=AT + DAY,  # when it was found to be gone
    )
    assert verdict(cronjob=reading(), runs=(lost,)) == (Status.MISSED, "NotStarted")


def test_a_run_by_hand_holds_a_slot_only_if_the_controller_counts_it_as_active() -> None:
    run = builders.execution(
        slot_at=AT - FIVE,
        status=Status.RUNNING,
        trigger=executions.Trigger.MANUAL,
        job_uid="by-hand",
    )
    assert verdict(cronjob=reading(), runs=(run,)) == (Status.MISSED, "NotStarted")
    counted = reading(active=frozenset({"by-hand"}))
    assert verdict(cronjob=counted, runs=(run,)) == (Status.SKIPPED, "ForbidConcurrent")


def test_a_slot_that_never_had_a_job_holds_no_other() -> None:
    row = builders.execution(slot_at=AT - FIVE, status=Status.MISSED)
    assert verdict(cronjob=reading(), runs=(row,)) == (Status.MISSED, "NotStarted")


def test_without_a_cronjob_the_slot_is_missed_for_that() -> None:
    assert verdict() == (Status.MISSED, "CronJobDeleted")


def test_a_cronjob_suspended_by_hand_is_the_reason_and_who_did_it_is_named() -> None:
    cronjob = reading(suspended=True, suspended_by="kubectl-edit", suspended_at=AT - SECOND)
    said = verdicts.judge(slot(), verdicts.evidence(cronjob=cronjob))
    assert said
    assert (said.status, said.reason) == (Status.MISSED, "Suspended")
    assert said.message == "the CronJob was suspended by kubectl-edit when the slot was due"


def test_a_suspension_after_the_slot_is_not_the_reason() -> None:
    cronjob = reading(suspended=True, suspended_at=AT + FIVE + SECOND)
    assert verdict(cronjob=cronjob) == (Status.MISSED, "NotStarted")


def test_a_cronjob_that_was_made_after_the_slot_did_not_exist_for_it() -> None:
    cronjob = reading(created_at=AT + 61 * SECOND)
    assert verdict(cronjob=cronjob) == (Status.MISSED, "CronJobDeleted")


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_within_a_minute_of_its_cronjobs_making_no_slot_is_expected(seconds: int) -> None:
    cronjob = reading(created_at=AT + seconds * SECOND)
    assert verdicts.judge(slot(), verdicts.evidence(cronjob=cronjob)) is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (event("FailedCreate", "exceeded quota: no-jobs"), "QuotaExceeded"),
        (event("FailedCreate", "denied by webhook"), "AdmissionDenied"),
        (event("UnknownTimeZone"), "UnknownTimeZone"),
        (event("SawCompletedJob"), "NotStarted"),
        (event("FailedCreate", at=AT - causes.EVIDENCE_BEFORE), "AdmissionDenied"),
        (event("FailedCreate", at=AT - causes.EVIDENCE_BEFORE - SECOND), "NotStarted"),
        (event("FailedCreate", at=AT + FIVE + 2 * slots.GRACE + SECOND), "NotStarted"),
    ],
    ids=["quota", "webhook", "zone", "unrelated", "just before", "too old", "too young"],
)
def test_an_event_near_the_slot_is_the_reason(seen: slots.EventReading, reason: str) -> None:
    assert verdict(seen, cronjob=reading()) == (Status.MISSED, reason)


def test_the_newest_event_wins() -> None:
    older, newer = event("UnknownTimeZone"), event("FailedCreate", at=AT + SECOND)
    assert verdict(older, newer, cronjob=reading()) == (Status.MISSED, "AdmissionDenied")


def test_a_quota_is_named_with_its_numbers() -> None:
    refusal = event(
        "FailedCreate",
        'Error creating job: jobs.batch "report-1" is forbidden: exceeded quota: few-jobs,'
        " requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3",
    )
    said = verdicts.judge(slot(), verdicts.evidence(cronjob=reading(), events=[refusal]))
    assert said
    assert said.message == (
        "exceeded quota: few-jobs, requested: count/jobs.batch=1, used: count/jobs.batch=3,"
        " limited: count/jobs.batch=3"
    )
    assert said.event == refusal


@pytest.mark.parametrize(
    ("seconds", "reason"), [(-1, "NotStarted"), (0, "TooLate"), (3600, "TooLate")]
)
def test_a_controller_that_says_it_came_too_late_is_the_reason(seconds: int, reason: str) -> None:
    late = event("TooManyMissedTimes", "too many missed start times", AT + seconds * SECOND)
    assert verdict(late, cronjob=reading()) == (Status.MISSED, reason)


def test_a_refusal_explains_more_than_a_controller_that_came_late() -> None:
    late = event("TooManyMissedTimes", at=AT + 2 * MINUTE)
    refusal = event("FailedCreate", "denied by webhook", at=AT + SECOND)
    assert verdict(late, refusal, cronjob=reading()) == (Status.MISSED, "AdmissionDenied")


def around(started: timedelta | None, *due: timedelta) -> causes.Others:
    at = None if started is None else AT + started
    return causes.Others(started_at=at, due_at=[AT + one for one in due])


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        (around(-MINUTE, FIVE, FIVE), "ControllerDown"),
        (around(-MINUTE, FIVE), "NotStarted"),
        (around(timedelta(), FIVE, FIVE), "NotStarted"),
        (around(-MINUTE, FIVE, FIVE + SECOND), "NotStarted"),
        (around(None, MINUTE, MINUTE), "ControllerDown"),
    ],
    ids=["all stand still", "too few", "one moved", "not due", "never started"],
)
def test_where_nothing_starts_anywhere_the_controller_is_the_reason(
    others: causes.Others, reason: str
) -> None:
    assert verdict(cronjob=reading(), others=others) == (Status.MISSED, reason)

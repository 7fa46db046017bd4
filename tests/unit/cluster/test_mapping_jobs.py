"""What a Job, a CronJob and an Event are read as."""

from datetime import UTC, datetime, timedelta

import pytest

from rollcall.cluster import mapping
from rollcall.core import executions, slots
from support import podbodies
from support.podbodies import Object, at, condition

SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def second(number: int) -> datetime:
    return datetime(2026, 11, 25, 12, 53, number, tzinfo=UTC)


def read(body: Object) -> executions.JobObservation:
    observation = mapping.job(body)
    assert observation is not None
    return observation


def test_a_job_is_read_with_its_slot_and_owners() -> None:
    assert read(podbodies.job()) == executions.JobObservation(
        namespace="team",
        job_name="minutely-29926853",
        job_uid=podbodies.JOB_UID,
        tracked_uid=podbodies.TRACKED_UID,
        owner_uid=podbodies.CRONJOB_UID,
        owner_name="minutely",
        slot_at=second(0),
        created_at=second(0),
        job_started_at=second(0),
        suspended=False,
        decided=None,
        ended_at=None,
        reason=None,
        message=None,
    )


@pytest.mark.parametrize(
    ("annotations", "slot_at"),
    [
        ({SLOT: "2026-11-25T13:53:00+01:00"}, second(0)),
        ({SLOT: "2026-11-25T07:53:00-05:00"}, second(0)),
        ({SLOT: "2026-11-25T12:53:00"}, None),
        ({SLOT: "yesterday"}, None),
        ({SLOT: ""}, None),
        ({SLOT: 5}, None),
        ({SLOT: "3026-11-25T12:53:00Z"}, None),
        ({SLOT: "1826-11-25T12:53:00Z"}, None),
        ({SLOT: at(0), "cronjob.kubernetes.io/instantiate": "manual"}, None),
        ({"cronjob.kubernetes.io/instantiate": "manual"}, None),
        ({}, None),
    ],
    ids=[
        "east",
        "west",
        "no-offset",
        "words",
        "empty",
        "number",
        "forged-future",
        "forged-past",
        "manual-with-slot",
        "manual",
        "none",
    ],
)
def test_the_slot_comes_from_the_annotation_alone(
    annotations: Object, slot_at: datetime | None
) -> None:
    assert read(podbodies.job(annotations=annotations)).slot_at == slot_at


COMPLETE = condition("Complete", "CompletionsReached")
DECIDED_WELL = condition("SuccessCriteriaMet", "CompletionsReached", second=6)
FAILED = condition("Failed", "BackoffLimitExceeded", "limit", second=9)
DECIDED_BADLY = condition("FailureTarget", "DeadlineExceeded", "too slow", second=7)


@pytest.mark.parametrize(
    ("conditions", "decided", "ended", "reason"),
    [
        ([], None, None, None),
        ([DECIDED_WELL], "succeeded", 6, "CompletionsReached"),
        ([DECIDED_WELL, COMPLETE], "succeeded", 8, "CompletionsReached"),
        ([DECIDED_BADLY], "failed", 7, "DeadlineExceeded"),
        ([DECIDED_BADLY, FAILED], "failed", 9, "BackoffLimitExceeded"),
        ([{**FAILED, "status": "False"}], None, None, None),
        ([{**FAILED, "status": "Unknown"}], None, None, None),
        ([condition("Suspended", "JobSuspended")], None, None, None),
    ],
    ids=["none", "met", "complete", "target", "failed", "false", "unknown", "suspended"],
)
def test_the_verdict_is_in_the_conditions(
    conditions: list[Object],
    decided: str | None,
    *,
    ended: int | None,
    reason: str | None,
) -> None:
    job = read(podbodies.job(conditions=conditions))
    assert (job.decided.value if job.decided else None) == decided
    assert job.reason == reason
    assert job.ended_at == (second(ended) if ended else None)


def test_a_job_is_decided_when_its_first_condition_says_so() -> None:
    assert read(podbodies.job(conditions=[DECIDED_BADLY, FAILED])).decided_at == second(7)
    assert read(podbodies.job(conditions=[COMPLETE])).decided_at == second(8)
    assert read(podbodies.job()).decided_at is None


def test_a_reason_that_only_others_know_is_kept_in_the_message() -> None:
    failed = read(podbodies.job(conditions=[condition("Failed", "Unlucky", "a 13")]))
    assert (failed.reason, failed.message) == ("JobFailed", "Unlucky: a 13")
    good = read(podbodies.job(conditions=[condition("Complete", "Admitted")]))
    assert (good.reason, good.message) == ("JobSucceeded", "Admitted")


def test_a_job_that_lost_our_label_is_read_for_who_knows_it() -> None:
    body = podbodies.job(labels={})
    assert mapping.job(body) is None
    found = mapping.job(body, tracked_uid="tracked")
    assert found
    assert found.tracked_uid == "tracked"


def test_a_completion_time_is_worth_more_than_the_conditions_time() -> None:
    body = podbodies.job(conditions=[COMPLETE], status={"completionTime": at(7)})
    assert read(body).ended_at == second(7)


def test_a_suspended_job_is_said_to_be() -> None:
    body = podbodies.job()
    body["spec"]["suspend"] = True
    assert read(body).suspended


@pytest.mark.parametrize(
    "owners",
    [
        [],
        None,
        "owner",
        [{"kind": "CronJob", "apiVersion": "example.com/v1", "uid": "x"}],
        [{"kind": "Workflow", "apiVersion": "batch/v1", "uid": "x"}],
        [None],
    ],
)
def test_only_a_cronjob_of_batch_counts_as_owner(owners: object) -> None:
    assert read(podbodies.job(ownerReferences=owners)).owner_uid is None


@pytest.mark.parametrize("field", ["uid", "labels", "name", "namespace", "creationTimestamp"])
@pytest.mark.parametrize("value", [None, "", 7, [], {}], ids=repr)
def test_a_job_without_what_identifies_it_is_not_ours(field: str, value: object) -> None:
    body = podbodies.job()
    body["metadata"][field] = value
    assert mapping.job(body) is None


def test_messages_are_cut_and_fit_for_the_store() -> None:
    message = "begin" + "x" * 5000 + "\x00 lone \ud800 end"
    read_message = read(
        podbodies.job(conditions=[condition("Failed", "BackoffLimitExceeded", message)])
    ).message
    assert read_message is not None
    assert len(read_message) == 4096
    assert "\x00" not in read_message
    assert read_message.encode()
    assert read_message.startswith("…")
    assert read_message.endswith("end")


def test_a_cronjob_is_read_for_the_judge() -> None:
    by_hand = {
        "manager": "kubectl-edit",
        "operation": "Update",
        "time": at(5),
        "fieldsV1": {"f:spec": {"f:suspend": {}}},
    }
    reading = mapping.cronjob_reading(
        {
            "metadata": {"uid": "u", "creationTimestamp": at(1), "managedFields": [by_hand]},
            "spec": {
                "suspend": True,
                "successfulJobsHistoryLimit": 0,
                "jobTemplate": {"spec": {"ttlSecondsAfterFinished": 900}},
            },
            "status": {
                "lastScheduleTime": at(0),
                "lastSuccessfulTime": at(2),
                "active": [{"uid": "job-1"}, {}],
            },
        }
    )
    assert reading == slots.CronJobReading(
        uid="u",
        created_at=second(1),
        suspended=True,
        suspended_by="kubectl-edit",
        suspended_at=second(5),
        last_schedule_at=second(0),
        last_success_at=second(2),
        active=frozenset({"job-1"}),
        keeps_succeeded=0,
        keeps_failed=1,
        keeps_for=timedelta(minutes=15),
    )


@pytest.mark.parametrize("metadata", [None, {"uid": "u", "deletionTimestamp": at(3)}])
def test_a_cronjob_without_a_uid_or_on_its_way_out_starts_nothing(metadata: object) -> None:
    assert mapping.cronjob_reading({"metadata": metadata}) is None


@pytest.mark.parametrize(
    ("event", "last_at"),
    [
        ({"lastTimestamp": at(3), "eventTime": None}, second(3)),
        ({"series": {"lastObservedTime": "2026-11-25T12:53:04.000000Z"}}, second(4)),
        ({"eventTime": "2026-11-25T12:53:05.000000Z", "lastTimestamp": None}, second(5)),
        ({"metadata": {"creationTimestamp": at(6)}}, second(6)),
    ],
    ids=["legacy", "series", "new", "created"],
)
def test_an_event_is_read_with_its_newest_time(event: Object, last_at: datetime) -> None:
    reading = mapping.event_reading({"reason": "FailedCreate", "message": "no", **event})
    assert reading
    assert (reading.reason, reading.message, reading.last_at) == ("FailedCreate", "no", last_at)


@pytest.mark.parametrize(
    "event", [{}, {"reason": "X"}, {"lastTimestamp": at(1)}, {"reason": 1, "series": []}]
)
def test_an_event_without_reason_or_time_says_nothing(event: Object) -> None:
    assert mapping.event_reading(event) is None

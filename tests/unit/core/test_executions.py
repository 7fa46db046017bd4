"""The state machine of executions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import executions, observations, upstream
from rollcall.core.executions import Status
from support import builders

SECOND = timedelta(seconds=1)
FINAL = [Status.SUCCEEDED, Status.PARTIAL, Status.FAILED, Status.CANCELLED, Status.REPLACED]
UNSEEN = [Status.MISSED, Status.SKIPPED, Status.UNKNOWN]

READINGS: dict[str, dict[str, Any]] = {
    "created": {},
    "queued": {"suspended": True},
    "succeeded": {"decided": Status.SUCCEEDED, "ended_at": builders.SLOT_AT + 9 * SECOND},
    "failed": {
        "decided": Status.FAILED,
        "ended_at": builders.SLOT_AT + 9 * SECOND,
        "reason": "BackoffLimitExceeded",
    },
}
QUOTA = upstream.Cause(reason="QuotaExceeded", message="exceeded quota: pods")
WAITING = builders.attempt(waiting_reason="Unschedulable", waiting_message="0/1 nodes")
STARTED = builders.attempt(started_at=builders.SLOT_AT + SECOND)
OOM = builders.attempt(
    started_at=builders.SLOT_AT + SECOND,
    ended_at=builders.SLOT_AT + 5 * SECOND,
    reason="OOMKilled",
    exit_code=137,
)


@pytest.mark.parametrize("status", FINAL)
def test_what_a_job_decided_is_final(status: Status) -> None:
    later = [Status.PARTIAL] if status is Status.SUCCEEDED else []
    assert [new for new in Status if executions.may_become(status, new)] == [status, *later]


@pytest.mark.parametrize("status", UNSEEN)
def test_a_verdict_about_an_unseen_run_is_corrected_by_its_job(status: Status) -> None:
    before = builders.execution(status=status, ended_at=builders.SLOT_AT)
    after = observations.observe(before, builders.observation(), [STARTED])
    assert (after.status, after.ended_at) == (Status.RUNNING, None)
    assert after.job_uid == builders.observation().job_uid


@pytest.mark.parametrize("status", UNSEEN)
def test_nothing_that_was_seen_becomes_missed_or_skipped(status: Status) -> None:
    before = builders.execution(status=status)
    assert executions.conclude(before, Status.CANCELLED, reason="x", at=before.slot_at) == before


FAILED = READINGS["failed"]


def failed(*pods: executions.Attempt, **job: object) -> tuple[str | None, int | None, str | None]:
    """Return reason, exit code and message of a run that its Job gave up."""
    seen = builders.observation(**(FAILED | job))
    after = observations.observe(builders.execution(), seen, pods)
    assert after.status is Status.FAILED
    return after.reason, after.exit_code, after.message


def ended(
    seconds: int, code: int | None, reason: str | None = "Error", **changes: object
) -> executions.Attempt:
    at = builders.SLOT_AT + seconds * SECOND
    values = {"started_at": builders.SLOT_AT, "ended_at": at, "exit_code": code, "reason": reason}
    return builders.attempt(**({"pod_uid": f"pod-{seconds}"} | values | changes))


def test_the_pods_reason_is_worth_more_than_used_up_retries() -> None:
    assert failed(OOM) == ("OOMKilled", 137, "exit code 137 (SIGKILL)")


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (3, "no route", "exit code 3: no route"),
        (3, None, "exit code 3"),
        (143, None, "exit code 143 (SIGTERM)"),
        (255, None, "exit code 255"),
        (None, "gone", "gone"),
    ],
)
def test_used_up_retries_say_how_the_last_attempt_ended(
    code: int | None, words: str | None, message: str
) -> None:
    assert failed(ended(5, code, message=words)) == ("BackoffLimitExceeded", code, message)


def test_the_jobs_reason_stays_where_it_says_more_than_its_retries() -> None:
    assert failed(OOM, reason="DeadlineExceeded", message="too long") == (
        "DeadlineExceeded",
        137,
        "too long; exit code 137 (SIGKILL)",
    )


def test_a_pod_that_was_taken_away_says_by_whom() -> None:
    drained = ended(5, 143, "Evicted", message="EvictionByEvictionAPI: evicting")
    assert failed(drained) == ("Evicted", 143, "EvictionByEvictionAPI: evicting")


def test_of_parallel_pods_one_that_failed_explains_the_run() -> None:
    good = ended(8, 0, None)
    assert failed(ended(5, 7), good, reason="FailedIndexes", message="Job has failed indexes") == (
        "FailedIndexes",
        7,
        "Job has failed indexes; exit code 7",
    )


def test_pods_that_the_verdict_itself_ended_do_not_explain_it() -> None:
    decided_at = builders.SLOT_AT + 7 * SECOND
    assert failed(ended(5, 3), ended(8, 143), decided_at=decided_at)[1] == 3
    assert failed(ended(8, 143), decided_at=decided_at)[1] == 143


def test_a_failure_without_any_pod_has_the_jobs_words() -> None:
    assert failed(message="gave up") == ("BackoffLimitExceeded", None, "gave up")
    assert failed(reason=None) == ("JobFailed", None, None)


def test_an_end_stays_what_it_was_when_its_pods_are_gone() -> None:
    first = observations.observe(builders.execution(), builders.observation(**FAILED), [OOM])
    again = observations.observe(first, builders.observation(**FAILED), [OOM])
    assert again == first


def test_a_success_is_explained_by_a_pod_that_succeeded() -> None:
    seen = builders.observation(**READINGS["succeeded"])
    after = observations.observe(builders.execution(), seen, [ended(5, 0, None), ended(6, 3)])
    assert (after.status, after.exit_code) == (Status.SUCCEEDED, 0)


def test_between_two_attempts_a_run_is_running() -> None:
    after = observations.observe(builders.execution(), builders.observation(), [OOM])
    assert after.status is Status.RUNNING


def test_a_job_without_a_started_container_is_pending_with_the_pods_reason() -> None:
    waiting = builders.attempt(waiting_reason="ImagePullBackOff")
    after = observations.observe(builders.execution(), builders.observation(), [waiting])
    assert (after.status, after.reason) == (Status.PENDING, "ImagePullBackOff")
    assert after.started_at is None


def test_a_job_without_pods_waits_for_what_events_say() -> None:
    seen = builders.observation()
    after = observations.observe(builders.execution(), seen, [], QUOTA)
    assert (after.status, after.reason, after.message) == (
        Status.PENDING,
        "QuotaExceeded",
        "exceeded quota: pods",
    )
    assert observations.observe(after, seen, []) == after  # read again by a new process
    with_a_pod = observations.observe(after, seen, [builders.attempt()])
    assert (with_a_pod.reason, with_a_pod.message) == (None, None)


def test_a_run_that_nobody_saw_waits_for_no_reason_of_its_slot() -> None:
    missed = builders.execution(status=Status.MISSED, reason="QuotaExceeded", message="no jobs")
    after = observations.observe(missed, builders.observation(), [])
    assert (after.status, after.reason, after.message) == (Status.PENDING, None, None)


def test_what_the_pod_says_is_worth_more_than_events() -> None:
    pod = builders.attempt(waiting_reason="Unschedulable", waiting_message="0/1 nodes")
    after = observations.observe(builders.execution(), builders.observation(), [pod], QUOTA)
    assert (after.reason, after.message) == ("Unschedulable", "0/1 nodes")


def test_what_a_pod_said_stays_while_it_waits_for_the_same() -> None:
    pod = builders.attempt(waiting_reason="Unschedulable", waiting_message="0/1 nodes")
    before = observations.observe(builders.execution(), builders.observation(), [pod])
    stored = replace(pod, waiting_message=None)  # as the store has it
    assert observations.observe(before, builders.observation(), [stored]) == before
    other = replace(stored, waiting_reason="ImagePullBackOff")
    after = observations.observe(before, builders.observation(), [other])
    assert (after.reason, after.message) == ("ImagePullBackOff", None)


def test_what_runs_does_not_say_any_more_what_it_waited_for() -> None:
    blocked = observations.observe(builders.execution(), builders.observation(), [], QUOTA)
    after = observations.observe(blocked, builders.observation(), [STARTED])
    assert (after.status, after.reason, after.message) == (Status.RUNNING, None, None)


def test_a_success_whose_pods_went_unseen_started_when_its_job_did() -> None:
    seen = builders.observation(**READINGS["succeeded"])
    assert observations.observe(builders.execution(), seen, []).started_at == seen.job_started_at


def test_a_job_that_is_gone_ends_an_open_run_with_its_reason() -> None:
    at = builders.SLOT_AT + 60 * SECOND
    before = builders.execution(status=Status.RUNNING)
    after = executions.conclude(before, Status.CANCELLED, reason="JobDeleted", at=at)
    assert (after.status, after.reason, after.ended_at) == (Status.CANCELLED, "JobDeleted", at)


@given(st.permutations(sorted(READINGS)), st.sampled_from(["succeeded", "failed"]))
def test_readings_in_any_order_end_in_what_the_job_decided(order: list[str], decided: str) -> None:
    other = {"succeeded": "failed", "failed": "succeeded"}[decided]
    run = builders.execution()
    for name in order:
        if name != other:  # a Job decides once
            run = observations.observe(run, builders.observation(**READINGS[name]), [OOM])
    assert run.status is READINGS[decided]["decided"]
    assert run.ended_at == READINGS[decided]["ended_at"]


@given(
    st.sampled_from(Status),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(READINGS)),
            st.sampled_from([None, STARTED, OOM, WAITING]),
            st.sampled_from([None, QUOTA]),
        )
    ),
)
def test_every_step_is_in_the_table_and_repeating_it_changes_nothing(
    begin: Status,
    readings: list[tuple[str, executions.Attempt | None, upstream.Cause | None]],
) -> None:
    run = builders.execution(status=begin)
    for name, pod, obstacle in readings:
        seen, pods = builders.observation(**READINGS[name]), [pod] if pod else []
        after = observations.observe(run, seen, pods, obstacle)
        assert after.status is run.status or after.status in executions.TRANSITIONS[run.status]
        assert observations.observe(after, seen, pods, obstacle) == after
        run = after


def test_how_long_a_run_waits_counts_from_when_its_reason_was_first_seen() -> None:
    before = builders.execution()
    later, much_later = (builders.SLOT_AT + timedelta(minutes=number) for number in (1, 2))
    pulling = replace(before, reason="ImagePullBackOff")
    assert observations.waiting_since(before, before, later) is None
    assert observations.waiting_since(before, pulling, later) == later
    waiting = replace(pulling, waiting_since=later)
    assert observations.waiting_since(waiting, waiting, much_later) == later
    elsewhere = replace(waiting, reason="Unschedulable")
    assert observations.waiting_since(waiting, elsewhere, much_later) == much_later
    for status in (Status.QUEUED, Status.RUNNING, Status.FAILED):
        assert observations.waiting_since(waiting, replace(waiting, status=status), later) is None


def test_what_a_run_was_made_from_is_what_was_seen_first() -> None:
    one, two = (executions.JobTemplate(hash=name, summary="{}") for name in ("one", "two"))
    queued = observations.observe(
        builders.execution(), builders.observation(suspended=True, template=None), []
    )
    assert queued.template_hash is None
    running = observations.observe(queued, builders.observation(template=one), [STARTED])
    again = observations.observe(running, builders.observation(template=two), [STARTED])
    assert (running.template_hash, again) == ("one", running)

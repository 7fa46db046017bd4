"""The state machine of executions."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import executions
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
STARTED = builders.attempt(started_at=builders.SLOT_AT + SECOND)
OOM = builders.attempt(
    started_at=builders.SLOT_AT + SECOND,
    ended_at=builders.SLOT_AT + 5 * SECOND,
    reason="OOMKilled",
    exit_code=137,
)


@pytest.mark.parametrize("status", FINAL)
def test_what_a_job_decided_is_final(status: Status) -> None:
    assert [new for new in Status if executions.may_become(status, new)] == [status]


@pytest.mark.parametrize("status", UNSEEN)
def test_a_verdict_about_an_unseen_run_is_corrected_by_its_job(status: Status) -> None:
    before = builders.execution(status=status, ended_at=builders.SLOT_AT)
    after = executions.observe(before, builders.observation(), [STARTED])
    assert (after.status, after.ended_at) == (Status.RUNNING, None)
    assert after.job_uid == builders.observation().job_uid


@pytest.mark.parametrize("status", UNSEEN)
def test_nothing_that_was_seen_becomes_missed_or_skipped(status: Status) -> None:
    before = builders.execution(status=status)
    assert executions.conclude(before, Status.CANCELLED, reason="x", at=before.slot_at) == before


def test_the_pods_reason_is_worth_more_than_used_up_retries() -> None:
    failed = builders.observation(**READINGS["failed"])
    after = executions.observe(builders.execution(), failed, [OOM])
    assert (after.status, after.reason, after.exit_code) == (Status.FAILED, "OOMKilled", 137)


def test_the_jobs_reason_stays_where_it_says_more_than_its_retries() -> None:
    failed = builders.observation(**READINGS["failed"] | {"reason": "DeadlineExceeded"})
    after = executions.observe(builders.execution(), failed, [OOM])
    assert after.reason == "DeadlineExceeded"


def test_between_two_attempts_a_run_is_running() -> None:
    after = executions.observe(builders.execution(), builders.observation(), [OOM])
    assert after.status is Status.RUNNING


def test_a_job_without_a_started_container_is_pending_with_the_pods_reason() -> None:
    waiting = builders.attempt(waiting_reason="ImagePullBackOff")
    after = executions.observe(builders.execution(), builders.observation(), [waiting])
    assert (after.status, after.reason) == (Status.PENDING, "ImagePullBackOff")
    assert after.started_at is None


def test_a_success_whose_pods_went_unseen_started_when_its_job_did() -> None:
    seen = builders.observation(**READINGS["succeeded"])
    assert executions.observe(builders.execution(), seen, []).started_at == seen.job_started_at


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
            run = executions.observe(run, builders.observation(**READINGS[name]), [OOM])
    assert run.status is READINGS[decided]["decided"]
    assert run.ended_at == READINGS[decided]["ended_at"]


@given(
    st.sampled_from(Status),
    st.lists(st.tuples(st.sampled_from(sorted(READINGS)), st.sampled_from([None, STARTED, OOM]))),
)
def test_every_step_is_in_the_table_and_repeating_it_changes_nothing(
    begin: Status, readings: list[tuple[str, executions.Attempt | None]]
) -> None:
    run = builders.execution(status=begin)
    for name, pod in readings:
        seen, pods = builders.observation(**READINGS[name]), [pod] if pod else []
        after = executions.observe(run, seen, pods)
        assert after.status is run.status or after.status in executions.TRANSITIONS[run.status]
        assert executions.observe(after, seen, pods) == after
        run = after

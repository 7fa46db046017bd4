"""What is remembered until it is written, and what does not get on without saying why."""

from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, upstream
from rollcall.core.executions import Status
from rollcall.services import inbox, jobless
from support import builders, clocks

SECOND = timedelta(seconds=1)
AT = builders.SLOT_AT
QUOTA = upstream.Cause(reason="QuotaExceeded", message="exceeded quota: pods")


@pytest.fixture
def clock() -> clocks.Clock:
    return clocks.Clock()


@pytest.fixture
def box(clock: clocks.Clock) -> inbox.Inbox:
    return inbox.Inbox(clock)


def job(**changes: Any) -> executions.JobObservation:  # noqa: ANN401 - fields of an observation
    return builders.observation(job_uid="job-1", **changes)


def silent(box: inbox.Inbox) -> list[tuple[str, timedelta]]:
    return [(one.uid, one.since - AT) for one in box.silent()]


def test_what_comes_in_while_its_job_is_being_written_is_written_later(box: inbox.Inbox) -> None:
    box.job(job())
    news = box.take(10)["job-1"].news
    box.pod(builders.attempt())
    box.written("job-1", news)
    assert list(box.take(10)) == ["job-1"]
    box.written("job-1", box.take(10)["job-1"].news)
    assert list(box.take(10)) == []


def test_the_same_reading_again_asks_for_nothing(box: inbox.Inbox) -> None:
    box.job(job())
    box.pod(builders.attempt())
    box.written("job-1", box.take(10)["job-1"].news)
    box.job(job())
    box.pod(builders.attempt())
    assert list(box.take(10)) == []


def test_a_job_without_pods_is_silent_after_five_seconds(box: inbox.Inbox) -> None:
    box.job(job())
    assert silent(box) == [("job-1", 5 * SECOND)]


def test_a_pod_that_says_nothing_is_silent_after_half_a_minute(box: inbox.Inbox) -> None:
    box.job(job())
    box.pod(builders.attempt(created_at=AT + SECOND))
    assert silent(box) == [("pod-1", 31 * SECOND)]


def test_a_job_whose_pods_went_before_they_started_is_silent_itself(box: inbox.Inbox) -> None:
    box.job(job())
    box.pod(builders.attempt(ended_at=AT + SECOND))
    assert silent(box) == [("job-1", 5 * SECOND)]


@pytest.mark.parametrize(
    "pod",
    [{"started_at": AT}, {"waiting_reason": "ImagePullBackOff"}],
    ids=["runs", "says why"],
)
def test_a_job_that_gets_on_or_says_why_is_not_silent(
    box: inbox.Inbox, pod: dict[str, Any]
) -> None:
    box.job(job())
    box.pod(builders.attempt(**pod))
    assert silent(box) == []


@pytest.mark.parametrize(
    "change",
    [{"suspended": True}, {"decided": Status.FAILED}],
    ids=["suspended", "decided"],
)
def test_a_job_that_is_not_to_start_is_not_silent(box: inbox.Inbox, change: dict[str, Any]) -> None:
    box.job(job())
    box.job(job(**change))
    assert silent(box) == []


def test_a_job_that_is_gone_is_not_silent(box: inbox.Inbox) -> None:
    box.job(job())
    box.vanished("job-1")
    assert silent(box) == []


def test_what_events_say_is_to_be_written_once(box: inbox.Inbox) -> None:
    box.job(job())
    (one,) = box.silent()
    box.written("job-1", box.take(10)["job-1"].news)
    box.blocked(one, QUOTA)
    entry = box.take(10)["job-1"]
    assert entry.obstacle == QUOTA
    box.written("job-1", entry.news)
    box.blocked(one, QUOTA)
    assert list(box.take(10)) == []


def test_what_events_said_is_out_of_date_with_a_pod(box: inbox.Inbox) -> None:
    box.job(job())
    (one,) = box.silent()
    box.blocked(one, QUOTA)
    box.pod(builders.attempt())
    box.blocked(one, QUOTA)
    assert box.take(10)["job-1"].obstacle is None


def test_a_pod_that_comes_before_its_job_waits_for_it(box: inbox.Inbox) -> None:
    box.pod(builders.attempt())
    assert (list(box.take(10)), box.oldest()) == ([], None)
    box.job(job())
    assert list(box.take(10)["job-1"].pods) == ["pod-1"]


def outlives(box: inbox.Inbox, clock: clocks.Clock) -> executions.Attempt:
    """Let a Job go, and its pod end after it."""
    box.job(job())
    box.pod(builders.attempt())
    box.deleted("job-1")
    box.written("job-1", box.take(10)["job-1"].news)
    late = builders.attempt(ended_at=AT)
    box.pod(late)
    assert box.jobless(10) == []
    clock.advance(jobless.STEP)
    return late


def test_a_pod_that_outlives_its_job_is_tried_without_it_until_it_is_kept(
    box: inbox.Inbox, clock: clocks.Clock
) -> None:
    late = outlives(box, clock)
    assert box.jobless(10) == [late]
    box.tried([late], ())
    assert box.jobless(10) == []
    clock.advance(jobless.STEP)
    assert box.jobless(10) == [late]
    box.tried([late], {late.pod_uid})
    clock.advance(jobless.STEP)
    assert box.jobless(10) == []


def test_what_came_in_while_such_a_pod_was_kept_is_tried_next(
    box: inbox.Inbox, clock: clocks.Clock
) -> None:
    late = outlives(box, clock)
    newer = builders.attempt(ended_at=AT, exit_code=1)
    box.pod(newer)
    box.tried([late], {late.pod_uid})
    clock.advance(jobless.STEP)
    assert box.jobless(10) == [newer]


def test_of_many_such_pods_those_are_tried_first_that_wait_longest(
    box: inbox.Inbox, clock: clocks.Clock
) -> None:
    pods = [builders.attempt(f"pod-{number}") for number in range(5)]
    for pod in pods:
        box.pod(pod)
    clock.advance(jobless.STEP)
    assert box.jobless(2) == pods[:2]
    box.tried(pods[:2], {"pod-1"})
    assert box.jobless(10) == pods[2:]
    clock.advance(jobless.STEP)
    assert box.jobless(10) == [*pods[2:], pods[0]]


def test_a_job_that_comes_late_has_its_pods_at_once(box: inbox.Inbox, clock: clocks.Clock) -> None:
    late = outlives(box, clock)
    box.tried([late], ())
    box.job(job())
    assert (box.jobless(10), box.take(10)["job-1"].pods) == ([], {"pod-1": late})


def test_pods_that_nobody_knows_are_forgotten_in_the_end(
    box: inbox.Inbox, clock: clocks.Clock
) -> None:
    late = outlives(box, clock)
    clock.advance(timedelta(days=1))  # in which they could not be tried
    box.tried([late], ())
    clock.advance(jobless.TRIED_FOR + SECOND)
    assert box.jobless(10) == [late]
    box.tried([late], ())
    clock.advance(jobless.STEP)
    assert box.jobless(10) == []
    box.job(job())
    assert box.take(10)["job-1"].pods == {}


def test_a_job_that_nobody_saw_go_leaves_its_pods(box: inbox.Inbox, clock: clocks.Clock) -> None:
    late = builders.attempt(ended_at=AT)
    box.pod(late)
    box.vanished("job-1")
    clock.advance(jobless.STEP)
    assert (box.jobless(10), box.unseen()) == ([late], {"job-1"})


def test_a_vanished_job_of_which_only_the_store_knows_waits_as_long_as_it_is_not_settled(
    box: inbox.Inbox, clock: clocks.Clock
) -> None:
    box.vanished("job-1")
    since = clock()
    clock.advance(SECOND)
    box.vanished("job-1")
    assert box.oldest() == since
    box.settled(box.unseen())
    assert box.oldest() is None

"""What is kept of a run's pods."""

from datetime import timedelta

from rollcall.core import pod_events
from support import builders

AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)


def test_starts_and_ends_are_told_in_order_of_time() -> None:
    first = builders.attempt(
        "a", started_at=AT, ended_at=AT + 5 * SECOND, reason="OOMKilled", exit_code=137
    )
    second = builders.attempt("b", started_at=AT + 3 * SECOND, ended_at=AT + 9 * SECOND)
    told = [
        (line.source, line.reason, line.message) for line in pod_events.of_attempts([first, second])
    ]
    assert told == [
        ("pod", "Started", "report-a started"),
        ("pod", "Started", "report-b started"),
        ("pod", "OOMKilled", "report-a ended with exit code 137"),
        ("pod", "Completed", "report-b ended"),
    ]


def test_the_last_words_are_told() -> None:
    pod = builders.attempt(ended_at=AT, reason="Error", exit_code=3, message="no route")
    (line,) = pod_events.of_attempts([pod])
    assert line.message == "report-pod-1 ended with exit code 3: no route"


def test_of_a_pod_that_waits_nothing_is_told() -> None:
    assert pod_events.of_attempts([builders.attempt()]) == []


def test_of_very_many_pods_the_newest_are_told() -> None:
    pods = [builders.attempt(f"{number}", ended_at=AT) for number in range(pod_events.TOLD + 1)]
    told = pod_events.of_attempts(pods)
    assert len(told) == pod_events.TOLD
    assert all("report-0 " not in line.message for line in told)

"""What is kept of a run's pods."""

from datetime import timedelta

from rollcall.core import stories
from support import builders

AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)


def test_starts_and_ends_are_told_in_order_of_time() -> None:
    first = builders.attempt(
        "a", started_at=AT, ended_at=AT + 5 * SECOND, reason="OOMKilled", exit_code=137
    )
    second = builders.attempt("b", started_at=AT + 3 * SECOND, ended_at=AT + 9 * SECOND)
    told = [(line.source, line.reason, line.message) for line in stories.of_pods([first, second])]
    assert told == [
        ("pod", "Started", "report-a started"),
        ("pod", "Started", "report-b started"),
        ("pod", "OOMKilled", "report-a ended with exit code 137"),
        ("pod", "Completed", "report-b ended"),
    ]


def test_the_last_words_are_told() -> None:
    pod = builders.attempt(ended_at=AT, reason="Error", exit_code=3, message="no route")
    (line,) = stories.of_pods([pod])
    assert line.message == "report-pod-1 ended with exit code 3: no route"


def test_of_a_pod_that_waits_nothing_is_told() -> None:
    assert stories.of_pods([builders.attempt()]) == []


def test_of_very_many_pods_the_newest_are_told() -> None:
    pods = [builders.attempt(f"{number}", ended_at=AT) for number in range(stories.TOLD + 1)]
    told = stories.of_pods(pods)
    assert len(told) == stories.TOLD
    assert all("report-0 " not in line.message for line in told)

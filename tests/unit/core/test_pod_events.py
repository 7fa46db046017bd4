"""What is kept of a run's pods."""

from datetime import timedelta
from typing import Any

from rollcall.core import executions, pod_events
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


def end_of_sidecar(number: int = 1, **changes: object) -> executions.SidecarEnd:
    values: dict[str, Any] = {"at": AT, "exit_code": 137, "reason": "OOMKilled"}
    return executions.SidecarEnd(number=number, **values | changes)


def test_a_sidecar_that_was_killed_is_told_with_what_it_means() -> None:
    pod = builders.attempt(sidecar_ends=[end_of_sidecar()])
    assert pod_events.of_sidecars([pod, builders.attempt("well")]) == [
        executions.Event(
            at=AT,
            source="pod",
            reason="SidecarEnded",
            message="the sidecar of report-pod-1 ended before its time (OOMKilled, exit code 137"
            " (SIGKILL)); what it had not sent is lost",
        )
    ]


def test_an_end_that_nobody_explains_is_told_at_a_time_that_stays_the_same() -> None:
    unknown = end_of_sidecar(at=None, exit_code=None, reason=None)
    (line,) = pod_events.of_sidecars([builders.attempt(sidecar_ends=[unknown])])
    assert line.at == AT
    assert "(nobody says how)" in line.message


def test_of_a_sidecar_that_always_crashes_the_first_ends_are_told() -> None:
    ends = [end_of_sidecar(number) for number in range(1, 40)]
    told = pod_events.of_sidecars([builders.attempt(sidecar_ends=ends)])
    assert len(told) == pod_events.ENDS_TOLD


def test_that_a_pod_is_untracked_is_told_before_all_is_over_and_again_in_its_place() -> None:
    without = executions.Untracked(at=AT + SECOND, words="ErrImagePull: no such host")
    pod = builders.attempt(started_at=AT + 2 * SECOND, ended_at=AT + 3 * SECOND, untracked=without)
    (line,) = pod_events.of_attempts([pod], is_over=False)
    assert (line.at, line.source, line.reason) == (AT + SECOND, "pod", "Untracked")
    assert line.message.startswith("report-pod-1 is untracked")
    assert line.message.endswith("ErrImagePull: no such host")
    reasons = [line.reason for line in pod_events.of_attempts([pod])]
    assert reasons == ["Untracked", "Started", "Completed"]

"""What a program says of its own work, and what the run's status makes of it."""

from datetime import timedelta

import pytest

from rollcall.core import executions, observations, reporting, results
from rollcall.core.executions import Status
from support import builders

AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)


def pod(
    number: int = 1, result: str | None = None, message: str | None = None, **changes: object
) -> executions.Attempt:
    """Build a pod that ended well, created so many seconds after the slot."""
    values: dict[str, object] = {
        "created_at": AT + number * SECOND,
        "started_at": AT + number * SECOND,
        "ended_at": AT + 10 * SECOND,
        "exit_code": 0,
        "result": result,
        "result_message": message,
    }
    return builders.attempt(f"pod-{number}", **values | changes)


def ended(
    *pods: executions.Attempt,
    decided: Status = Status.SUCCEEDED,
    before: executions.Execution | None = None,
) -> executions.Execution:
    """Observe the end of a Job with these pods."""
    seen = builders.observation(
        decided=decided, ended_at=AT + 20 * SECOND, reason="CompletionsReached", message="done"
    )
    return observations.observe(before or builders.execution(), seen, pods)


def told(run: executions.Execution) -> tuple[Status, str | None, str | None]:
    return run.status, run.reason, run.message


def test_a_success_that_the_program_calls_partial_is_partial() -> None:
    run = ended(pod(result="partial", message="3 of 5 files"))
    assert told(run) == (Status.PARTIAL, "PartialResult", "3 of 5 files")
    assert (run.exit_code, run.ended_at) == (0, AT + 20 * SECOND)


def test_partial_without_a_word_has_the_last_words() -> None:
    run = ended(pod(result="partial", message=None))
    assert told(run) == (Status.PARTIAL, "PartialResult", "done")


def test_a_success_has_the_programs_own_message() -> None:
    run = ended(pod(result="succeeded", message="5 files"))
    assert told(run) == (Status.SUCCEEDED, "CompletionsReached", "5 files")


@pytest.mark.parametrize(
    ("message", "shown"),
    [("no input", "the program reported failed: no input"),
     (None, "the program reported failed: done")],
    ids=["with a message", "without"],
)  # fmt: skip
def test_a_program_that_says_failed_and_exits_well_has_succeeded_and_is_quoted(
    message: str | None, shown: str
) -> None:
    run = ended(pod(result="failed", message=message))
    assert told(run) == (Status.SUCCEEDED, "CompletionsReached", shown)


@pytest.mark.parametrize("result", [None, *reporting.Verdict])
def test_no_result_saves_a_job_that_failed(result: str | None) -> None:
    bad = pod(result=result, reason="Error", exit_code=1)
    assert ended(bad, decided=Status.FAILED).status is Status.FAILED


def test_a_result_that_comes_after_the_verdict_corrects_it_once() -> None:
    first = ended(pod())
    later = ended(pod(result="partial", message="late"), before=first)
    assert (first.status, told(later)) == (
        Status.SUCCEEDED,
        (Status.PARTIAL, "PartialResult", "late"),
    )
    assert ended(pod(), before=later) == later


def test_a_failed_pod_that_was_taken_over_from_says_nothing() -> None:
    tried = pod(1, "partial", reason="Error", exit_code=1)
    assert ended(tried, pod(2, "succeeded")).status is Status.SUCCEEDED
    assert ended(tried, pod(2)).status is Status.SUCCEEDED


def test_of_several_indexes_the_worst_counts() -> None:
    pods = [pod(1, "succeeded", "a"), pod(2, "partial", "b", index=1), pod(3, index=2)]
    assert told(ended(*pods)) == (Status.PARTIAL, "PartialResult", "b")


def test_of_pods_side_by_side_the_worst_counts() -> None:
    assert ended(pod(1, "partial"), pod(2, "succeeded")).status is Status.PARTIAL


def test_partial_stays_partial_beside_a_pod_that_says_failed() -> None:
    run = ended(pod(1, "partial", "half"), pod(2, "failed", "none", index=1))
    assert told(run) == (Status.PARTIAL, "PartialResult", "the program reported failed: none")


def test_where_all_pods_of_an_index_failed_the_newest_stands_for_it() -> None:
    pods = [pod(2, reason="Error"), pod(1, reason="Error"), pod(3, index=1)]
    assert [one.pod_uid for one in results.counting(pods)] == ["pod-2", "pod-3"]

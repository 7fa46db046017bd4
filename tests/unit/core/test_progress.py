"""How far a run is, by what its pods reported."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import executions, progress, reporting
from support import builders

AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)
RUNNING = builders.attempt(started_at=AT)


def heard(
    pod_uid: str = "pod-1",
    *,
    seconds: int = 10,
    first: float | None = 0.0,
    at_first: int = 0,
    **told: Any,  # noqa: ANN401 - fields of a progress
) -> reporting.Heard:
    """Build what a pod reported so many seconds after the slot, and when it began to."""
    return reporting.Heard(
        pod_uid=pod_uid,
        last_heartbeat_at=AT,
        progress=reporting.Progress(seq=2, **told),
        progress_at=AT + seconds * SECOND,
        first_at=AT + at_first * SECOND,
        first_done=first,
        moved_at=AT,
        errors=0,
        dead_letters=0,
        result=None,
        result_message=None,
        result_counters=None,
        metadata=None,
        result_at=None,
        lost={},
        final_at=None,
    )


def of(
    *told: reporting.Heard,
    pods: tuple[executions.Attempt, ...] = (RUNNING,),
    now: datetime = AT,
) -> progress.Progress:
    found = progress.of(pods, told, now)
    assert found is not None
    return found


def test_percent_rate_and_end_follow_from_the_reports() -> None:
    found = of(heard(done=40, total=100, stage="load", message="file 4"))
    assert (found.percent, found.rate) == (40.0, 4.0)
    assert found.ends_at == AT + 25 * SECOND
    assert (found.stage, found.message, found.at) == ("load", "file 4", AT + 10 * SECOND)


def test_an_end_that_has_passed_is_none_to_come() -> None:
    said = heard(done=40, total=100)
    assert of(said, now=AT + 24 * SECOND).ends_at == AT + 25 * SECOND
    stuck = of(said, now=AT + 25 * SECOND)
    assert (stuck.percent, stuck.rate, stuck.ends_at) == (40.0, 4.0, None)


def test_what_an_earlier_run_had_done_is_no_speed_of_this_one() -> None:
    found = of(heard(done=60, total=100, first=50.0))
    assert (found.percent, found.rate, found.ends_at) == (60.0, 1.0, AT + 50 * SECOND)


def test_one_report_says_how_far_and_not_how_fast() -> None:
    found = of(heard(done=40, total=100, first=40.0, at_first=10))
    assert (found.percent, found.rate, found.ends_at) == (40.0, None, None)


def test_without_a_total_there_is_neither_percent_nor_end() -> None:
    found = of(heard(done=40))
    assert (found.done, found.percent, found.rate, found.ends_at) == (40, None, 4.0, None)


def test_a_total_of_nothing_has_no_percent() -> None:
    assert of(heard(done=0, total=0)).percent is None


def test_who_has_done_more_than_all_is_at_the_end() -> None:
    found = of(heard(done=120, total=100))
    assert (found.percent, found.ends_at) == (100.0, None)


def test_who_stands_still_has_no_end() -> None:
    found = of(heard(done=40, total=100, first=40.0))
    assert (found.rate, found.ends_at) == (0.0, None)


def test_a_rate_that_leads_nowhere_has_no_end() -> None:
    assert of(heard(done=1e-9, total=2.0**53 - 1)).ends_at is None


def test_a_stage_alone_is_progress() -> None:
    found = of(heard(stage="load", first=None))
    assert (found.stage, found.done, found.rate) == ("load", None, None)


def test_pods_side_by_side_are_added_up() -> None:
    pods = (RUNNING, builders.attempt("pod-2", index=1, started_at=AT))
    found = of(
        heard(done=40, total=100, counters={"rows": 4}),
        heard("pod-2", done=20, total=50, seconds=20, stage="late", counters={"rows": 1, "b": 2}),
        pods=pods,
    )
    assert (found.done, found.total, found.percent) == (60, 150, 40.0)
    assert found.rate == 5.0
    assert found.counters == {"rows": 5, "b": 2}
    assert (found.stage, found.at) == ("late", AT + 20 * SECOND)


def test_a_pod_that_has_not_told_its_total_leaves_no_percent() -> None:
    pods = (RUNNING, builders.attempt("pod-2", index=1, started_at=AT))
    assert of(heard(done=40, total=100), pods=pods).percent is None


def test_of_a_pod_that_was_tried_again_only_the_new_one_counts() -> None:
    failed = builders.attempt(reason="Error", ended_at=AT + 9 * SECOND)
    again = builders.attempt("pod-2", created_at=AT + 10 * SECOND, started_at=AT + 10 * SECOND)
    told = [heard(done=40, total=100), heard("pod-2", done=5, total=60, at_first=5)]
    assert of(*told, pods=(failed, again)).done == 5


def test_a_run_that_has_ended_has_no_speed() -> None:
    ended = builders.attempt(started_at=AT, ended_at=AT + 9 * SECOND, reason="Error")
    found = of(heard(done=40, total=100), pods=(ended,))
    assert (found.percent, found.rate, found.ends_at) == (40.0, None, None)


def test_who_reports_nothing_has_no_progress() -> None:
    assert progress.of([RUNNING], [], AT) is None


NUMBERS = st.floats(0, 2.0**53 - 1)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_percentage_is_one_and_the_end_lies_ahead(
    done: float, total: float, first: float, seconds: int, later: int
) -> None:
    now = AT + later * SECOND
    found = of(heard(done=done, total=total, first=first, seconds=seconds), now=now)
    assert found.percent is None or 0.0 <= found.percent <= 100.0
    assert found.rate is None or found.rate >= 0.0
    assert found.ends_at is None or (found.ends_at >= found.at and found.ends_at > now)

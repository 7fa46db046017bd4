"""When a run is expected to end."""

from datetime import timedelta

import pytest

from rollcall.core import expectations, progress
from rollcall.core.executions import Status
from rollcall.core.expectations import Expected
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
RUN = builders.execution(status=Status.RUNNING, started_at=AT)
THREE = [1 * MINUTE, 9 * MINUTE, 4 * MINUTE]


def told(ends: timedelta | None) -> progress.Progress:
    return progress.Progress(
        at=AT, done=1, total=9, percent=None, rate=None, ends_at=AT + ends if ends else None,
        stage=None, message=None, counters={},
    )  # fmt: skip


def test_its_own_numbers_come_first() -> None:
    assert expectations.end(RUN, told(7 * MINUTE), THREE) == Expected(at=AT + 7 * MINUTE, runs=0)


@pytest.mark.parametrize("said", [None, told(None)], ids=["no progress", "no rate"])
def test_without_them_it_takes_as_long_as_the_median_of_those_before(
    said: progress.Progress | None,
) -> None:
    assert expectations.end(RUN, said, THREE) == Expected(at=AT + 4 * MINUTE, runs=3)


def test_too_few_are_no_habit() -> None:
    assert expectations.end(RUN, None, THREE[: expectations.FEWEST - 1]) is None


def test_the_newest_count_and_no_older_ones() -> None:
    before = [MINUTE] * expectations.RUNS + [60 * MINUTE] * 100
    assert expectations.end(RUN, None, before) == Expected(at=AT + MINUTE, runs=expectations.RUNS)


@pytest.mark.parametrize("status", [Status.PENDING, Status.SUCCEEDED, Status.FAILED])
def test_what_is_not_running_is_not_expected_to_end(status: Status) -> None:
    run = builders.execution(status=status, started_at=AT)
    assert expectations.end(run, told(MINUTE), THREE) is None


def test_nobody_can_say_of_a_run_whose_beginning_is_unknown() -> None:
    run = builders.execution(status=Status.RUNNING, started_at=None)
    assert expectations.end(run, None, THREE) is None

"""What happened several times in a row."""

from datetime import timedelta
from typing import Any

from rollcall.core import executions, streaks
from rollcall.core.executions import Status, Trigger
from support import builders

AT = builders.SLOT_AT
HOUR = timedelta(hours=1)


def run(hours_ago: int = 0, status: Status = Status.FAILED, **changes: Any) -> executions.Execution:  # noqa: ANN401 - fields of an execution
    return builders.execution(slot_at=AT - hours_ago * HOUR, status=status, **changes)


def test_successes_are_counted_since_the_last_failure_or_miss() -> None:
    good = [run(number, Status.SUCCEEDED) for number in range(3)]
    assert streaks.successes_in_a_row([*good, run(3, Status.MISSED), run(4, Status.SUCCEEDED)]) == 3
    assert streaks.successes_in_a_row([run(), *good]) == 0


def test_a_failure_by_hand_ends_no_row_of_successes() -> None:
    by_hand = run(0, trigger=Trigger.MANUAL)
    assert streaks.successes_in_a_row([by_hand, run(1, Status.SUCCEEDED), run(2)]) == 1


def test_neutral_ends_neither_count_nor_end_the_row() -> None:
    runs = [run(), run(1, Status.CANCELLED), run(2, Status.SKIPPED), run(3)]
    assert streaks.failures_in_a_row(runs) == [runs[0], runs[3]]


def test_a_failure_by_hand_ends_no_row_of_misses_and_a_success_by_hand_does() -> None:
    missed = run(1, Status.MISSED)
    failed = run(0, trigger=Trigger.MANUAL)
    row = streaks.misses_in_a_row([failed, missed])
    assert row
    assert (row.count, row.execution_id) == (1, missed.id)
    succeeded = run(0, Status.SUCCEEDED, trigger=Trigger.MANUAL)
    assert streaks.misses_in_a_row([succeeded, missed]) is None
    assert streaks.last_ran_at([failed, missed]) is None


def test_unknown_slots_are_neither_missed_nor_run() -> None:
    row = streaks.misses_in_a_row([run(0, Status.UNKNOWN), run(1, Status.MISSED)])
    assert row
    assert (row.count, row.last_at) == (1, AT - HOUR)

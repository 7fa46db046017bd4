"""Rows that nothing has ended yet."""

from rollcall.core import streaks
from rollcall.core.executions import Status
from support import builders


def test_a_job_that_never_failed_counts_all_its_successes() -> None:
    statuses = [Status.SUCCEEDED, Status.CANCELLED, Status.SUCCEEDED]
    runs = [builders.execution(status=status) for status in statuses]
    assert streaks.successes_in_a_row(runs) == 2
    assert streaks.successes_in_a_row([]) == 0

"""When a run is expected to end, and what says so.

The rules:
- The program's own numbers come first: its rate, and what is left.
- Without them it is expected to take as long as the median of the runs that succeeded before it.
  That can be over already: then the run takes longer than they did.
- Only a run that is running and whose beginning is known is expected to end.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core.executions import Execution, Status
from rollcall.core.progress import Progress

RUNS = 20  # of the newest successes; more would tell how it was, not how it is
FEWEST = 3  # one or two are no habit


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """When a run ends as far as one can tell; `runs` is 0 where its own progress says so."""

    at: datetime
    runs: int  # whose median duration it is


def end(run: Execution, progress: Progress | None, before: Sequence[timedelta]) -> Expected | None:
    """Say when it ends; `before` is how long the successes before it took, the newest first."""
    if run.status is not Status.RUNNING:
        return None
    if progress and progress.ends_at:
        return Expected(at=progress.ends_at, runs=0)
    took = before[:RUNS]
    if len(took) < FEWEST or run.started_at is None:
        return None
    seconds = statistics.median(one.total_seconds() for one in took)
    return Expected(at=run.started_at + timedelta(seconds=seconds), runs=len(took))

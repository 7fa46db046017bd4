"""What is usual of a number, by what it was in earlier runs.

The median and how far the others are from it: one odd run among many moves neither. Where more than
half of them are the same, their median distance is nothing, and the mean distance stands for it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RUNS = 20  # with fewer nobody knows what is usual
DEVIATIONS = 5  # what is further off is odd, if it is also half of the median off
SHARE = 0.5
# Each makes of its distance what a standard deviation is where numbers are normal.
_OF_MEDIAN, _OF_MEAN = 1.4826, 1.2533


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a number usually is, how far it spreads, and how many runs say so."""

    median: float
    spread: float
    runs: int

    @property
    def reach(self) -> float:
        """How far from the median a number may be."""
        return max(DEVIATIONS * self.spread, SHARE * abs(self.median))


def of(values: Sequence[float]) -> Baseline | None:
    """Return what is usual, None for too few."""
    if len(values) < RUNS:
        return None
    median = statistics.median(values)
    distances = [abs(one - median) for one in values]
    spread = statistics.median(distances) * _OF_MEDIAN or statistics.fmean(distances) * _OF_MEAN
    return Baseline(median=median, spread=spread, runs=len(values))

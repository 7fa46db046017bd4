"""Many executions in a few numbers: how often each status, and how long they took.

Durations are counted in buckets, each a quarter wider than the one before, so that a percentile
read from them is within 12 % of the exact one. Buckets are kept in the store: their bounds are
fixed for good.
"""

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from rollcall.core.executions import Status

GROWTH = 1.25
# Lower bounds in seconds of all buckets but bucket 0, which holds what took less than a second;
# bucket n begins at BOUNDS[n - 1]. The last one begins after 17 months.
BOUNDS = tuple(GROWTH**power for power in range(80))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Ended executions; slots that did not run are among them.

    `histogram` counts the succeeded ones by bucket of duration, `longest` is the longest of these.
    """

    counts: Mapping[Status, int] = field(default_factory=dict)
    histogram: Mapping[int, int] = field(default_factory=dict)
    longest: timedelta | None = None

    @property
    def success_rate(self) -> float | None:
        """Succeeded of those that succeeded or failed, from 0 to 1; None without any."""
        succeeded = self.counts.get(Status.SUCCEEDED, 0)
        decided = succeeded + self.counts.get(Status.FAILED, 0)
        return succeeded / decided if decided else None

    def duration(self, fraction: float) -> timedelta | None:
        """Return what this fraction (0 to 1) of the successes took at most, within 12 %."""
        total = sum(self.histogram.values())
        if not total or self.longest is None:
            return None
        rank = max(1, math.ceil(fraction * total))
        return min(timedelta(seconds=_middle(_bucket_at(self.histogram, rank))), self.longest)


def together(parts: Iterable[Statistics]) -> Statistics:
    """Return the numbers of all these executions."""
    counts: Counter[Status] = Counter()
    histogram: Counter[int] = Counter()
    longest = []
    for part in parts:
        counts.update(part.counts)
        histogram.update(part.histogram)
        longest += [part.longest] if part.longest is not None else []
    return Statistics(counts=counts, histogram=histogram, longest=max(longest, default=None))


def _bucket_at(histogram: Mapping[int, int], rank: int) -> int:
    buckets = sorted(histogram)
    passed = list(itertools.accumulate(histogram[bucket] for bucket in buckets))
    return buckets[bisect.bisect_left(passed, rank)]


def _middle(bucket: int) -> float:
    """Return the duration that is off by the same ratio from both ends of the bucket."""
    return BOUNDS[bucket - 1] * math.sqrt(GROWTH) if bucket else 0.0

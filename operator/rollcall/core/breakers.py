"""When something that failed again and again is not tried for a while, and when it is tried anew.

- A row of failures opens the breaker; nothing is tried until its pause is over.
- Then one failure is enough to open it again, for twice as long.
- A success closes it, unless it began before the last failure: that was earlier news.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAILURES = 3  # of different ones, in a row
PAUSE = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(hours=6)
_DOUBLINGS = 10  # more than the longest pause has


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A row of failures: who failed, and until when nothing is tried."""

    failed: frozenset[str] = frozenset()
    failed_at: datetime | None = None
    trips: int = 0
    until: datetime | None = None


CLOSED = Breaker()


def is_open(breaker: Breaker, now: datetime) -> bool:
    """Whether nothing is tried now."""
    return breaker.until is not None and now < breaker.until


def after_failure(breaker: Breaker, who: str, now: datetime) -> Breaker:
    """Count a failure; one during the pause was under way before, and does not prolong it."""
    row = replace(breaker, failed=breaker.failed | {who}, failed_at=now)
    if is_open(breaker, now) or (len(row.failed) < FAILURES and not breaker.trips):
        return row
    pause = min(PAUSE * 2 ** min(breaker.trips, _DOUBLINGS), LONGEST_PAUSE)
    return Breaker(failed_at=now, trips=breaker.trips + 1, until=now + pause)


def after_success(breaker: Breaker, began_at: datetime) -> Breaker:
    """Close it for a success that began then."""
    is_old = breaker.failed_at is not None and began_at <= breaker.failed_at
    return breaker if is_old else CLOSED

"""Whether we may say that we are alive: only while everything that alerts rest on is.

Somebody else waits for our word each minute, and raises the alarm when it stays away. So it is
withheld as soon as one part stands still, however well the others do.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

FRESH_FOR = timedelta(minutes=2)


def stale(signs: Mapping[str, datetime | None], now: datetime) -> list[str]:
    """Return which signs of life, by name, are too old or were never seen."""
    return [name for name, at in signs.items() if at is None or now - at >= FRESH_FOR]

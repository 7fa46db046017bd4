"""When we could not see the cluster, and what follows for deadlines.

Times are the database's. A time of blindness begins with the last good look before it and ends with
the first one after it: everything in between may have gone unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# A deadline that fell due while we were blind is judged later by the length of that time, but not
# by more than this: whoever waits for an answer must get one.
LONGEST_DELAY = timedelta(minutes=10)
# Differences between the API server's clock and the database's: the first is told and widens the
# grace, beyond the second no deadline of ours means anything.
NOTED_DIFFERENCE = timedelta(seconds=10)
BLINDING_DIFFERENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """One time of blindness."""

    from_at: datetime
    until_at: datetime

    @property
    def length(self) -> timedelta:
        """How long we did not see."""
        return self.until_at - self.from_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the judge must know of our own eyes."""

    blind: Sequence[Blind] = ()  # oldest first
    clock_difference: timedelta = timedelta()  # the API server's clock minus the database's

    @property
    def widening(self) -> timedelta:
        """By how much longer is waited, because clocks differ."""
        difference = abs(self.clock_difference)
        return difference if difference > NOTED_DIFFERENCE else timedelta()

    def hid(self, at: datetime) -> bool:
        """Whether we were blind then."""
        return any(period.from_at <= at <= period.until_at for period in self.blind)

    def due(self, at: datetime) -> datetime:
        """Return when a deadline counts: later, if it fell due while we were blind."""
        for period in self.blind:
            if period.from_at <= at <= period.until_at:
                at += min(period.length, LONGEST_DELAY)
        return at


CLEAR = Sight()


def is_blinding(difference: timedelta) -> bool:
    """Whether clocks differ too much to judge anything."""
    return abs(difference) > BLINDING_DIFFERENCE

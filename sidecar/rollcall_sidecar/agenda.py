"""When the next report goes out. It decides on instants only; what is in a report is not known.

1. Without news one report every interval.
2. News shortens that: items to a fraction of a second that chance picks, so that pods which started
   together do not report together; progress to two seconds after the last report; somebody who
   waits to at once; somebody who waits for what the run is about to five seconds after it, for the
   api may not know for hours.
3. Nothing shortens a back-off, and reports are never closer than a tenth of a second: the api
   takes twenty a second from a pod.
"""

from __future__ import annotations

import os
import threading
import time

from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_GAP = 0.1  # seconds
ITEM_DELAY = (0.2, 1.0)  # seconds, shortest and longest
PROGRESS_GAP = 2.0  # seconds
ASKING_GAP = 5.0  # seconds


def chance() -> float:
    """Draw a number from 0 to 1; importing `random` costs more than all that is drawn."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


class Agenda:
    """The instant of the next report, safe to use from several threads."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = chance,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._changed = threading.Condition()
        self._next = clock()
        self._floor = self._next
        self._last = float("-inf")
        self._over = False

    def after(self, seconds: float, *, held: bool) -> None:
        """Plan the next report so long after the one that just ended; `held`: and none before."""
        with self._changed:
            self._last = self._clock()
            self._next = self._last + seconds
            self._floor = self._next if held else self._last + SHORTEST_GAP

    def news(self) -> None:
        """There is an item to send."""
        self._bring_forward(self._soon())

    def moved(self) -> None:
        """There is a progress to send."""
        self._bring_forward(max(self._soon(), self._last + PROGRESS_GAP))

    def asked(self) -> None:
        """Somebody waits to be told what the run is about."""
        self._bring_forward(max(self._soon(), self._last + ASKING_GAP))

    def hurry(self) -> None:
        """Somebody waits for the next report."""
        self._bring_forward(self._clock(), jittered=False)

    def end(self) -> None:
        """Let `rest` return, now and ever."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def rest(self) -> bool:
        """Wait until the next report is due; False: there is to be none."""
        with self._changed:
            while not self._over and (left := self.due_in) > 0:
                self._changed.wait(left)
            return not self._over

    @property
    def due_in(self) -> float:
        """Seconds until the next report."""
        with self._changed:
            return self._next - self._clock()

    def _soon(self) -> float:
        shortest, longest = ITEM_DELAY
        return self._clock() + shortest + (longest - shortest) * self._chance()

    def _bring_forward(self, at: float, *, jittered: bool = True) -> None:
        with self._changed:
            # Drawing again for each of many items would always end at the shortest delay.
            if jittered and self._next - self._clock() <= ITEM_DELAY[1]:
                return
            if (at := max(at, self._floor)) < self._next:
                self._next = at
                self._changed.notify_all()

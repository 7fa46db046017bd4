"""How fast a program may report."""

from __future__ import annotations

import threading
import time

from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Allowance:
    """So many in a burst, so many a second in the long run; safe to use from several threads."""

    def __init__(
        self, *, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._guard = threading.Lock()
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Use up one, if there is one."""
        with self._guard:
            now = self._clock()
            self._left = min(self._left + (now - self._at) * self._per_second, self._burst)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True

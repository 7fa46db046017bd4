"""How much one pod may send: so often, with so many at once, and no more.

What is beyond is refused with the time to wait; nobody else notices.
"""

import time
from collections.abc import Callable

from rollcall.core import errors


class TooMany(errors.RollcallError):
    """The sender is over a limit; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Limiter:
    """At most `rate` per second by each key, and `burst` of them at once; `size` keys are known.

    One number by key says until when its share is used up (the generic cell rate algorithm).
    """

    def __init__(
        self, *, rate: float, burst: int, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / rate
        self._slack = (burst - 1) / rate
        self._size = size
        self._clock = clock
        self._used_until: dict[str, float] = {}

    def take(self, key: str) -> None:
        """Count one; raises TooMany if it is over the limit."""
        now = self._clock()
        until = max(self._used_until.get(key, now), now)
        if until - now > self._slack:
            raise TooMany(
                f"a pod may send {1 / self._interval:.0f} reports a second",
                retry_after=until - now - self._slack,
            )
        self._used_until[key] = until + self._interval
        if len(self._used_until) > self._size:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop who has its whole share again; if that is nobody, all begin anew."""
        kept = {key: until for key, until in self._used_until.items() if until > now}
        self._used_until = kept if len(kept) <= self._size else {}

"""Time-outs of one length for many, with one timer for all of them.

A timer for each takes longer than reading a heartbeat does.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """Gives each so many seconds, then says that it is over. Use it from one loop."""

    def __init__(self, seconds: float, over: Callable[[T], object]) -> None:
        self._seconds = seconds
        self._over = over
        self._open: dict[T, float] = {}  # until when; the oldest first: all have the same length
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, one: T) -> None:
        """Watch it."""
        loop = asyncio.get_running_loop()
        self._open[one] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def end(self, one: T) -> bool:
        """Watch it no longer; False if it was over."""
        return self._open.pop(one, None) is not None

    def _look(self) -> None:
        """Say what is over; look again when the oldest of the others may be."""
        loop = asyncio.get_running_loop()
        try:
            while self._open and self._oldest()[1] <= loop.time():
                one, _ = self._oldest()
                del self._open[one]
                self._over(one)
        finally:  # also where that failed: the others are over in time
            again = self._oldest()[1] if self._open else None
            self._timer = None if again is None else loop.call_at(again, self._look)

    def _oldest(self) -> tuple[T, float]:
        return next(iter(self._open.items()))

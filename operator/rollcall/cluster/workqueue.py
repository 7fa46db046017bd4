"""A queue of keys: each once, one worker per key at a time, failures with back-off.

A key that is added while it is being worked on comes again afterwards, so nothing that was added is
ever lost. Delays of one key do not add up: the earliest wins.
"""

import asyncio
import heapq
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

from rollcall.core import errors

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

FIRST_BACK_OFF = 1.0  # seconds
LONGEST_BACK_OFF = 300.0
_JITTER = 0.2  # of each back-off, so that a thousand keys do not come back together


class WorkQueue(Generic[K]):
    """Calls `handle` for each key; what it returns is when to come back without being asked."""

    def __init__(
        self,
        *,
        handle: Callable[[K], Awaitable[timedelta | None]],
        workers: int = 8,
        name: str = "work",
    ) -> None:
        self._handle = handle
        self._workers = workers
        self._name = name
        self._due: dict[K, float] = {}  # loop time from which a key may be worked on
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """Work on this key as soon as possible."""
        self._put(key, _now())

    def add_after(self, key: K, delay: timedelta) -> None:
        """Work on this key after a delay, or earlier if somebody else asks."""
        self._put(key, _now() + delay.total_seconds())

    def oldest(self) -> float:
        """Return for how many seconds the longest overdue key has been waiting."""
        return max(0.0, _now() - min(self._due.values(), default=_now()))

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self._name}-{number}")

    def _put(self, key: K, at: float) -> None:
        known = self._due.get(key)
        if known is None or at < known:
            self._due[key] = at
            heapq.heappush(self._heap, (at, next(self._order), key))
            self._wake.set()

    async def _work(self) -> None:
        while True:
            key = await self._next()
            self._busy.add(key)
            try:
                await self._attempt(key)
            finally:
                self._busy.discard(key)
                self._wake.set()

    async def _next(self) -> K:
        while True:
            self._wake.clear()
            key, wait = self._take()
            if key is not None:
                return key
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _take(self) -> tuple[K | None, float | None]:
        """Return a key that is due and idle, else for how long there is none."""
        waiting = []
        try:
            while self._heap:
                at, order, key = self._heap[0]
                if self._due.get(key) != at:
                    heapq.heappop(self._heap)  # an earlier entry has served it
                elif at > _now():
                    return None, at - _now()
                else:
                    heapq.heappop(self._heap)
                    if key not in self._busy:
                        del self._due[key]
                        return key, None
                    waiting.append((at, order, key))
            return None, None
        finally:
            for entry in waiting:
                heapq.heappush(self._heap, entry)

    async def _attempt(self, key: K) -> None:
        try:
            again = await self._handle(key)
        except errors.Unavailable as error:
            self._retry(key, error, at_least=error.retry_after or 0.0)
        except Exception as error:  # noqa: BLE001 - one bad object must not stop the others
            self._retry(key, error)
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add_after(key, again)

    def _retry(self, key: K, error: Exception, at_least: float = 0.0) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(LONGEST_BACK_OFF, max(at_least, FIRST_BACK_OFF * 2.0 ** min(count - 1, 16)))
        delay *= 1 + random.uniform(0, _JITTER)  # noqa: S311 - nobody must guess it
        expected = isinstance(error, errors.RollcallError)
        logger.warning(
            "work failed; it will be tried again",
            extra={"queue": self._name, "key": str(key), "failures": count, "error": str(error)},
            exc_info=None if expected else error,
        )
        self.add_after(key, timedelta(seconds=delay))


def _now() -> float:
    return asyncio.get_running_loop().time()

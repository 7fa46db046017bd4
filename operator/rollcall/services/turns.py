"""Turns at something of which there is little, for those who must not take all of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from rollcall.core import errors


class Turns:
    """Lets so many in `at_once`.

    Who would wait longer than `within` seconds, or behind so many others, is refused.
    """

    def __init__(self, *, at_once: int, waiting: int, within: float, refusal: str) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self._waiting = 0
        self._within = within
        self._refusal = refusal

    @contextlib.asynccontextmanager
    async def one(self, *, retry_after: float) -> AsyncIterator[None]:
        """Have a turn for the block; raises errors.Unavailable if there is none in time."""
        refused = errors.Unavailable(self._refusal, retry_after=retry_after)
        if self._waiting >= self._most_waiting:
            raise refused
        self._waiting += 1
        try:
            async with asyncio.timeout(self._within):
                await self._free.acquire()
        except TimeoutError:
            raise refused from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

"""Questions that come at about the same time, answered by one reading.

One reading is under way at a time; who comes meanwhile shares the next one. So the more there is to
ask, the more is asked at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Reading = asyncio.Task[Mapping[K, V]]


class Gathering(Generic[K, V]):
    """Reads values by their keys, many at once. Call it from one loop.

    `read` answers for every key. `wait` is for how many seconds others may come before a reading
    begins, `most` how many keys it has at most.
    """

    def __init__(
        self,
        read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]],
        *,
        wait: float,
        most: int,
    ) -> None:
        self._read = read
        self._wait = wait
        self._most = most
        self._keys: set[K] = set()
        self._next: Reading[K, V] | None = None
        self._readings: set[Reading[K, V]] = set()
        self._turn = asyncio.Lock()

    async def get(self, key: K) -> V:
        """Return the value as it is at some time from now on; raises what the reading raises."""
        is_full = len(self._keys) >= self._most and key not in self._keys
        reading = self._begin() if self._next is None or is_full else self._next
        self._keys.add(key)
        # Whoever gives up must not end the reading for the others.
        return (await asyncio.shield(reading))[key]

    def _begin(self) -> Reading[K, V]:
        self._keys = set()
        self._next = reading = asyncio.create_task(self._gather(self._keys), name="gathering")
        self._readings.add(reading)
        reading.add_done_callback(self._ended)
        return reading

    async def _gather(self, keys: set[K]) -> Mapping[K, V]:
        await asyncio.sleep(self._wait)
        async with self._turn:
            if self._keys is keys:
                self._next = None
            return await self._read(keys)

    def _ended(self, reading: Reading[K, V]) -> None:
        self._readings.discard(reading)
        if not reading.cancelled():
            reading.exception()  # all who waited for it may be gone

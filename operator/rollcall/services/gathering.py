"""Questions that come at about the same time, answered by one reading."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

GATHER = 0.05  # seconds in which others may come


class Gathering(Generic[K, V]):
    """Reads values by their keys, many at once. Call it from one loop."""

    def __init__(self, read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._keys: set[K] = set()
        self._next: asyncio.Task[Mapping[K, V]] | None = None
        self._readings: set[asyncio.Task[Mapping[K, V]]] = set()

    async def get(self, key: K) -> V | None:
        """Return the value as it is at some time from now on, None if there is none.

        Raises what the reading raises.
        """
        reading = self._next or self._begin()
        self._keys.add(key)
        # Whoever gives up must not end the reading for the others.
        return (await asyncio.shield(reading)).get(key)

    def _begin(self) -> asyncio.Task[Mapping[K, V]]:
        self._next = reading = asyncio.create_task(self._gather(), name="gathering")
        self._readings.add(reading)
        reading.add_done_callback(self._readings.discard)
        return reading

    async def _gather(self) -> Mapping[K, V]:
        await asyncio.sleep(GATHER)
        keys, self._keys, self._next = self._keys, set(), None
        return await self._read(keys)

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
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._readings: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return the value as it is at some time from now on, None if there is none.

        Raises what the reading raises.
        """
        if not self._waiting:
            reading = asyncio.create_task(self._answer(), name="gathering")
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        # Whoever gives up must not take the answer from others who asked for the same.
        return await asyncio.shield(self._waiting[key])

    async def _answer(self) -> None:
        await asyncio.sleep(GATHER)
        waiting, self._waiting = self._waiting, {}
        try:
            found = await self._read(list(waiting))
        except Exception as error:  # noqa: BLE001 - it is for those who asked
            for answer in waiting.values():
                answer.set_exception(error)
        else:
            for key, answer in waiting.items():
                answer.set_result(found.get(key))

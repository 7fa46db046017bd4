"""Work that all share who want its outcome at the same time.

Who gives up ends nothing: others may wait for it, and a question under way to somebody that hangs
can take longer to cancel than its asker waits.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Sharing(Generic[K, V]):
    """Does the work of a key once at a time. Call it from one loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the outcome of `work`, or of that of the same key which is under way."""
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(work(), name=self._name)
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _forget(self, key: K, done: asyncio.Task[V]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # all who waited for it may be gone

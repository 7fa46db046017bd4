"""Answers that stay good for a while: a bounded cache with an age, oldest entries first to go."""

import time
import zlib
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def part(key: bytes, whole: float) -> float:
    """Return a part of `whole` that follows from the key, and is another one for other keys.

    As an age to begin with it keeps those that are put at once from growing too old at once.
    """
    return whole * zlib.crc32(key) / 2**32


class Recent(Generic[K, V]):
    """Values by key, kept for `lifetime` seconds and at most `size` of them."""

    def __init__(
        self, *, lifetime: float, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime = lifetime
        self._size = size
        self._clock = clock
        # In order of putting: an entry that is put again moves to the end.
        self._entries: dict[K, tuple[float, V]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, *, within: float | None = None) -> V | None:
        """Return the value if it is at most `within` seconds old (the lifetime if not given)."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        at, value = entry
        limit = self._lifetime if within is None else within
        return value if self._clock() - at <= limit else None

    def put(self, key: K, value: V, *, age: float = 0.0) -> None:
        """Keep a value as if that had happened `age` seconds ago; below 0 it is good for longer."""
        self._entries.pop(key, None)
        self._entries[key] = (self._clock() - age, value)
        self._shrink()

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._entries.pop(key, None)

    def _shrink(self) -> None:
        expired = self._clock() - self._lifetime
        while self._entries:
            oldest = next(iter(self._entries))
            if len(self._entries) <= self._size and self._entries[oldest][0] >= expired:
                return
            del self._entries[oldest]

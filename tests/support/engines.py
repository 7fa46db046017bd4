"""What an engine costs before its first statement, paid once per process.

A new engine compiles every statement anew: more than most tests do with it.
"""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rollcall.store import connections


@contextlib.contextmanager
def alike() -> Iterator[None]:
    """Let the store's engines share their dialect, and what it has compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "create_async_engine", _Engines().create)
        yield


class _Engines:
    """Makes engines that are like the first one that has connected."""

    def __init__(self) -> None:
        self._first: AsyncEngine | None = None

    def create(self, url: str, **options: object) -> AsyncEngine:
        if self._first is None or self._first.dialect.server_version_info is None:
            self._first = create_async_engine(url, **options)
            return self._first
        engine = create_async_engine(url, **options, _initialize=False)
        shared, ours = self._first.sync_engine, engine.sync_engine
        ours.dialect = ours.pool._dialect = shared.dialect  # noqa: SLF001 - no public way
        ours._compiled_cache = shared._compiled_cache  # noqa: SLF001 - no public way
        return engine

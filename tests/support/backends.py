"""What talking to Postgres costs before the first statement, paid once per process.

A new backend reads the catalogue and plans with empty caches, a new engine compiles every statement
anew: together more than most tests do with them. So a connection that a test closes properly is
reset (DISCARD ALL) and is a later test's new one, in a new object; and engines share their dialect
and what it compiled. Within a test nothing changes: who connects gets a new backend, or one that a
test before it left. What is broken, cut or in a transaction when closed is closed in earnest.
"""

import contextlib
import select
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import pq
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.store import connections

# More than one test uses at once, mostly; the rest is closed.
KEPT = 4

_Key = tuple[tuple[str, Any], ...]


class Backends:
    """The connections that are handed on, to databases that are named first."""

    def __init__(self) -> None:
        self._databases: set[str] = set()
        self._idle: dict[_Key, list[pq.abc.PGconn]] = defaultdict(list)
        self._returned: dict[_Key, list[pq.abc.PGconn]] = defaultdict(list)

    def keep(self, database: str) -> None:
        """Keep connections to this database of the shared server from now on."""
        self._databases.add(database)

    def take(self, key: _Key) -> pq.abc.PGconn | None:
        """Return a connection that a test before this one left."""
        while idle := self._idle[key]:
            pgconn = idle.pop()
            if is_quiet(pgconn):
                return pgconn
            pgconn.finish()
        return None

    def give(self, key: _Key, pgconn: pq.abc.PGconn) -> bool:
        """Take a connection back; false if it is not to be used again."""
        if len(self._idle[key]) + len(self._returned[key]) >= KEPT or not self._is_ours(pgconn):
            return False
        if pgconn.exec_(b"DISCARD ALL").status != pq.ExecStatus.COMMAND_OK:
            return False
        self._returned[key].append(pgconn)
        return True

    def between_tests(self) -> list[int]:
        """Let the next test have what this one returned; return the process ids of all."""
        for key, returned in self._returned.items():
            self._idle[key] += returned
        self._returned.clear()
        return [pgconn.backend_pid for pgconn in self._all()]

    def forget(self, database: str) -> None:
        """Close the connections to a database that goes away."""
        self._databases.discard(database)
        for kept in (self._idle, self._returned):
            for pgconns in kept.values():
                for pgconn in [one for one in pgconns if one.db.decode() == database]:
                    pgconns.remove(pgconn)
                    pgconn.finish()

    def _is_ours(self, pgconn: pq.abc.PGconn) -> bool:
        return (
            pgconn.status == pq.ConnStatus.OK
            and pgconn.transaction_status == pq.TransactionStatus.IDLE
            and pgconn.pipeline_status == pq.PipelineStatus.OFF
            and pgconn.db.decode() in self._databases
        )

    def _all(self) -> Iterator[pq.abc.PGconn]:
        for pgconns in self._idle.values():
            yield from pgconns


@contextlib.contextmanager
def handed_on(backends: Backends) -> Iterator[None]:
    """Let the store's connections be handed on, and engines share what they compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "_Connection", _connection_class(backends))
        patch.setattr(connections, "create_async_engine", _Engines().create)
        yield


def _connection_class(backends: Backends) -> type[psycopg.AsyncConnection[Any]]:
    gone = pq.PGconn.connect_start(b"host=/nowhere")
    gone.finish()

    class HandedOn(connections._Connection):  # noqa: SLF001 - the one place where they are made
        key: _Key

        @override
        @classmethod
        async def connect(cls, **parameters: Any) -> Any:  # type: ignore[override]
            key = tuple(sorted(parameters.items()))
            pgconn = backends.take(key)
            connection = cls(pgconn) if pgconn else await super().connect(**parameters)
            connection.key = key
            return connection

        @override
        async def close(self) -> None:
            if backends.give(self.key, self.pgconn):
                self.pgconn, self._closed = gone, True
            await super().close()

    return HandedOn


def is_quiet(pgconn: pq.abc.PGconn) -> bool:
    """Say whether it is open and nobody is heard on it, as its backend would be at its end."""
    is_open = pgconn.status == pq.ConnStatus.OK
    return is_open and not select.select([pgconn.socket], [], [], 0)[0]


class _Engines:
    """Makes engines that share the dialect and the compiled statements of the first one."""

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

"""Databases for tests that want one with the schema and no rows.

Making and dropping a database costs several times what emptying one does, so a test that left only
rows hands its database on. One that changed anything else takes its database with it.
"""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from support import postgres

TEMPLATE = "rollcall_template"
# Everything but rows: what was made has an OID of its own, what was dropped is one fewer.
_SHAPE = """
SELECT concat_ws(' ',
    (SELECT md5(string_agg(concat_ws(',', oid, relname, relnatts, relchecks, relhastriggers,
        relispartition, reloptions), ' ' ORDER BY oid))
        FROM pg_class WHERE relkind <> 't' AND oid >= 16384),
    (SELECT concat_ws(',', count(*), sum(attisdropped::int), sum(attnotnull::int),
        sum(atttypid::bigint)) FROM pg_attribute),
    (SELECT concat_ws(',', count(*), max(oid::bigint)) FROM pg_constraint),
    (SELECT concat_ws(',', count(*), max(oid::bigint)) FROM pg_attrdef),
    (SELECT concat_ws(',', count(*), max(oid::bigint)) FROM pg_trigger WHERE tgenabled = 'O'),
    (SELECT concat_ws(',', count(*), max(oid::bigint)) FROM pg_proc WHERE oid >= 16384),
    (SELECT count(*) FROM pg_db_role_setting),
    (SELECT string_agg(version_num, ',') FROM alembic_version))"""
_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
# TRUNCATE writes new files for all tables and indexes that refer to one another.
_FILLED = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0"""
_RESTART = """
SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"""


@dataclass(frozen=True, slots=True)
class _Spare:
    name: str
    shape: str  # that it had when it was new
    connection: psycopg.Connection[tuple[Any, ...]]  # kept: opening one costs more than its work


@dataclass(slots=True)
class Databases:
    """Hands out databases of one server to one test at a time."""

    server: postgres.Server
    _spare: _Spare | None = field(default=None)

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """Lend a database with the schema and no rows."""
        lent = self._spare or self._make()
        self._spare = None
        try:
            yield self.server.dsn(lent.name)
        finally:
            if _is_as_new(lent):
                self._spare = lent
            else:
                self._drop(lent)

    def close(self) -> None:
        """Drop what is left."""
        if self._spare:
            self._drop(self._spare)
        self._spare = None

    def _make(self) -> _Spare:
        name = make(self.server, template=TEMPLATE)
        connection = psycopg.connect(self.server.dsn(name), autocommit=True)
        return _Spare(name, _shape(connection), connection)

    def _drop(self, spare: _Spare) -> None:
        spare.connection.close()
        drop(self.server, spare.name)


def _is_as_new(lent: _Spare) -> bool:
    """Empty it, unless more than rows was changed, or even our own connection was cut."""
    try:
        lent.connection.execute(_OTHERS)
        is_same = _shape(lent.connection) == lent.shape
        if is_same:
            _empty(lent.connection)
    except psycopg.OperationalError:
        return False
    return is_same


def _empty(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    filled = [name for (name,) in connection.execute(_FILLED)]
    if filled:
        connection.execute("SET session_replication_role = replica")
        deletes = [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in filled]
        connection.execute(sql.SQL("; ").join(deletes))
        # Without the remains of old rows, new ones lie in the order in which they come.
        connection.execute(
            sql.SQL("VACUUM {}").format(sql.SQL(", ").join(map(sql.Identifier, filled)))
        )
        connection.execute(_RESTART)


def _shape(connection: psycopg.Connection[tuple[Any, ...]]) -> str:
    (row,) = connection.execute(_SHAPE).fetchall()
    return str(row[0])


def make(server: postgres.Server, *, template: str) -> str:
    """Make a database and return its name."""
    name = f"test_{uuid.uuid4().hex}"
    # Copying files takes a quarter of the time of the default, which writes them to the log.
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return name


def drop(server: postgres.Server, name: str) -> None:
    """Drop a database, whoever is still connected to it."""
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")

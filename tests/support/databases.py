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
_EMPTY = """
DO $$
DECLARE
    filled text;
BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO filled FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0;
    IF filled IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || filled || ' RESTART IDENTITY CASCADE';
    END IF;
END $$"""


@dataclass(slots=True)
class Databases:
    """Hands out databases of one server to one test at a time."""

    server: postgres.Server
    _spare: tuple[str, str] | None = field(default=None)  # a name, and the shape it had when new

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """Lend a database with the schema and no rows."""
        name, shape = self._spare or self._make()
        self._spare = None
        try:
            yield self.server.dsn(name)
        finally:
            if self._is_as_new(name, shape):
                self._spare = (name, shape)
            else:
                drop(self.server, name)

    def close(self) -> None:
        """Drop what is left."""
        if self._spare:
            drop(self.server, self._spare[0])
        self._spare = None

    def _make(self) -> tuple[str, str]:
        name = make(self.server, template=TEMPLATE)
        with psycopg.connect(self.server.dsn(name)) as connection:
            return name, _shape(connection)

    def _is_as_new(self, name: str, shape: str) -> bool:
        with psycopg.connect(self.server.dsn(name), autocommit=True) as connection:
            connection.execute(_OTHERS)
            if _shape(connection) != shape:
                return False
            connection.execute(_EMPTY)
        return True


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

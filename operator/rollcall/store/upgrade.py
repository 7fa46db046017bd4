"""Bring the schema to this release's, or say that it is not.

How an upgrade goes, with any number of processes at it:
1. Connect; a Postgres that is not there yet is waited for.
2. Take the advisory lock; somebody who has it is waited for.
3. Run what is missing, all in one transaction. No lock is waited for longer than LOCK_TIMEOUT, so
   that a long reader cannot make everybody else queue behind us: then everything is tried again.
4. Make the partitions that are missing.
A schema of a newer release is left alone: releases can read the schema of the one after them.
"""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from alembic import command, config, script
from alembic.runtime import migration
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rollcall.core import errors
from rollcall.store import connections, failures, locks, partitions

logger = logging.getLogger(__name__)

PATIENCE = timedelta(
    minutes=5
)  # a database that starts beside us in a new cluster needs one or two
LOCK_TIMEOUT = "3s"
STATEMENT_TIMEOUT = 300  # seconds, for one migration statement on a large table
OLDEST_SERVER = 150000  # as Postgres writes its versions: 15.0
_PAUSE = 1.0
_LOG_EVERY = 5  # pauses


async def upgrade(dsn: str, *, password: str | None = None, patience: timedelta = PATIENCE) -> None:
    """Upgrade the schema and make the partitions; repeating it changes nothing.

    Raises errors.StoreUnavailable with the last obstacle when the patience is used up,
    errors.InvalidSpec for a DSN or a server that cannot do.
    """
    engine = _engine(dsn, password)
    try:
        await _until_done(engine, patience)
    finally:
        await engine.dispose()


async def check(dsn: str, *, password: str | None = None) -> None:
    """Return if the schema is this release's or newer; raises errors.StoreUnavailable if not."""
    engine = _engine(dsn, password)
    try:
        with failures.translated():
            async with engine.connect() as connection:
                current = await connection.run_sync(_current)
    finally:
        await engine.dispose()
    if _is_behind(current):
        found = f"has the schema {current}" if current else "has no schema yet"
        raise errors.StoreUnavailable(
            f"the database {found}, this release needs {_head()}: run `rollcall db upgrade`"
        )


async def _until_done(engine: AsyncEngine, patience: timedelta) -> None:
    # The patience is for obstacles; a migration that is running is never cut short by it.
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience.total_seconds()
    tries = 0
    while True:
        try:
            return await _try(engine)
        except errors.StoreUnavailable as obstacle:
            if loop.time() + _PAUSE > deadline:
                raise
            if tries % _LOG_EVERY == 0:
                logger.info("waiting for Postgres", extra={"obstacle": str(obstacle)})
        tries += 1
        await asyncio.sleep(_PAUSE)


async def _try(engine: AsyncEngine) -> None:
    with failures.translated():
        async with engine.begin() as connection:
            await _prepare(connection)
            before = await connection.run_sync(_current)
            await connection.run_sync(_migrate)
    made = await partitions.Partitions(engine).ensure()
    logger.info(
        "schema is up to date",
        extra={"before": before, "after": _head(), "partitions_made": len(made)},
    )


async def _prepare(connection: AsyncConnection) -> None:
    version = int((await connection.execute(sa.text("SHOW server_version_num"))).scalar_one())
    if version < OLDEST_SERVER:
        raise errors.InvalidSpec(
            "PostgresTooOld", f"Postgres {OLDEST_SERVER // 10000} or newer is needed: {version}"
        )
    if not await locks.is_free(connection, locks.UPGRADE):
        raise errors.StoreUnavailable("another process is upgrading the schema")
    await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    await connection.execute(sa.text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}s'"))


def _migrate(connection: sa.Connection) -> None:
    current = _current(connection)
    if _is_behind(current):
        settings = _settings()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
    elif current != _head():
        logger.warning("the schema is of a newer release", extra={"schema": current})


def _current(connection: sa.Connection) -> str | None:
    return migration.MigrationContext.configure(connection).get_current_revision()


def _is_behind(current: str | None) -> bool:
    if current is None:
        return True
    known = {step.revision for step in _scripts().walk_revisions()}
    return current in known and current != _head()


def _head() -> str | None:
    return _scripts().get_current_head()


def _scripts() -> script.ScriptDirectory:
    return script.ScriptDirectory.from_config(_settings())


def _settings() -> config.Config:
    settings = config.Config()
    folder = Path(__file__).with_name("migrations")
    settings.set_main_option("script_location", str(folder).replace("%", "%%"))
    return settings


def _engine(dsn: str, password: str | None) -> AsyncEngine:
    return connections.create_engine(
        connections.Target(
            dsn=dsn,
            password=password,
            application_name="rollcall-upgrade",
            answer_within=STATEMENT_TIMEOUT + 10,
        )
    )

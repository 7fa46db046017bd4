"""`rollcall db upgrade`: waiting, racing, repeating, and a newer schema."""

import asyncio
import importlib.util
import logging
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command, config, script

from rollcall import store as store_package
from rollcall.core import errors
from rollcall.store import engine, locks, upgrade
from support import builders, postgres

MIGRATIONS = Path(store_package.__file__).with_name("migrations")
BRIEFLY = timedelta(seconds=1.5)


def query(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def version(dsn: str) -> object:
    return query(dsn, "SELECT version_num FROM alembic_version")[0][0]


def head() -> str | None:
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    return script.ScriptDirectory.from_config(settings).get_current_head()


async def test_an_empty_database_becomes_usable(empty_dsn: str) -> None:
    await upgrade.upgrade(empty_dsn)

    assert version(empty_dsn) == head()
    store = engine.Database(empty_dsn, application_name="tests")
    async with store.transaction() as unit:
        await unit.registry.register(builders.job())
        await unit.ledger.save(builders.execution(slot_at=unit.now))
    await store.close()


async def test_repeating_it_changes_nothing(dsn: str) -> None:
    relations = (
        "SELECT relname, xmin::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
    )
    before = query(dsn, relations)

    await upgrade.upgrade(dsn)
    await upgrade.upgrade(dsn)

    assert query(dsn, relations) == before
    assert version(dsn) == head()


async def test_many_at_once_upgrade_once(empty_dsn: str) -> None:
    await asyncio.gather(*(upgrade.upgrade(empty_dsn) for _ in range(4)))

    assert version(empty_dsn) == head()
    assert query(
        empty_dsn,
        "SELECT count(*) FROM pg_inherits i JOIN pg_class c"
        " ON c.oid = inhparent AND relname = 'executions'",
    ) == [(6,)]


async def test_processes_that_upgrade_at_once_all_end_well(empty_dsn: str) -> None:
    program = (
        "import asyncio, sys; from rollcall.store import upgrade;"
        " asyncio.run(upgrade.upgrade(sys.argv[1]))"
    )
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            empty_dsn,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(MIGRATIONS.parents[2])},
        )
        for _ in range(3)
    ]
    ends = await asyncio.gather(*(racer.communicate() for racer in racers))

    assert [racer.returncode for racer in racers] == [0, 0, 0], ends


async def test_it_waits_for_a_postgres_that_is_not_there_yet(
    own_server: postgres.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="rollcall")
    own_server.stop()
    waiting = asyncio.create_task(upgrade.upgrade(own_server.tcp_dsn()))
    await asyncio.sleep(1.2)
    assert not waiting.done()

    await asyncio.to_thread(own_server.start)
    await asyncio.wait_for(waiting, 20)

    assert version(own_server.dsn()) == head()
    assert caplog.messages[0] == "waiting for Postgres"
    assert "refused" in caplog.records[0].obstacle  # type: ignore[attr-defined]
    assert caplog.messages[-1] == "schema is up to date"


async def test_its_patience_ends_and_the_obstacle_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()

    with pytest.raises(errors.StoreUnavailable, match="refused"):
        await upgrade.upgrade(f"postgresql://u@127.0.0.1:{port}/d", patience=BRIEFLY)

    assert time.monotonic() - began < 5


async def test_who_is_upgrading_is_waited_for(empty_dsn: str) -> None:
    taking = f"SELECT pg_advisory_lock({int.from_bytes(b'roll')}, {locks.UPGRADE})"
    async with await psycopg.AsyncConnection.connect(empty_dsn) as other:
        await other.execute(taking.encode())
        with pytest.raises(errors.StoreUnavailable, match="another process"):
            await upgrade.upgrade(empty_dsn, patience=BRIEFLY)
        waiting = asyncio.create_task(upgrade.upgrade(empty_dsn))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    await waiting

    assert version(empty_dsn) == head()


async def test_a_schema_of_a_newer_release_is_left_alone(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    query(dsn, "UPDATE alembic_version SET version_num = '9999'")

    await upgrade.upgrade(dsn)
    await upgrade.check(dsn)

    assert version(dsn) == "9999"
    assert "the schema is of a newer release" in caplog.messages


async def test_missing_partitions_are_made_each_time(dsn: str) -> None:
    (last,) = query(
        dsn,
        "SELECT max(inhrelid::regclass::text) FROM pg_inherits i"
        " WHERE inhparent = 'executions'::regclass",
    )[0]
    query(dsn, f"DROP TABLE {last}")

    await upgrade.upgrade(dsn)

    assert query(dsn, f"SELECT to_regclass('{last}') IS NOT NULL") == [(True,)]


async def test_an_upgrade_that_dies_in_the_middle_leaves_nothing(empty_dsn: str) -> None:
    query(empty_dsn, "CREATE VIEW notifications AS SELECT 1")  # the last table cannot be made
    with pytest.raises(Exception, match="already exists"):
        await upgrade.upgrade(empty_dsn)
    assert query(empty_dsn, "SELECT to_regclass('cronjobs'), to_regclass('alembic_version')") == [
        (None, None)
    ]

    query(empty_dsn, "DROP VIEW notifications")
    await upgrade.upgrade(empty_dsn)
    assert version(empty_dsn) == head()


async def test_check_tells_an_empty_database_from_a_ready_one(dsn: str, empty_dsn: str) -> None:
    await upgrade.check(dsn)
    with pytest.raises(errors.StoreUnavailable, match="rollcall db upgrade"):
        await upgrade.check(empty_dsn)


async def test_a_bad_dsn_is_not_waited_with() -> None:
    with pytest.raises(errors.InvalidSpec):
        await upgrade.upgrade("mysql://host/db")


async def test_a_server_that_is_too_old_is_named(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "OLDEST_SERVER", 990000)

    with pytest.raises(errors.InvalidSpec, match="Postgres 99 or newer"):
        await upgrade.upgrade(empty_dsn)


def test_the_template_for_the_next_migration_makes_a_readable_file(tmp_path: Path) -> None:
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.set_main_option("version_locations", f"{MIGRATIONS / 'versions'} {tmp_path}")
    settings.set_main_option("path_separator", "space")
    made = command.revision(settings, "pre add column", rev_id="9000", version_path=str(tmp_path))
    assert isinstance(made, script.Script)

    spec = importlib.util.spec_from_file_location("made", made.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.down_revision == head()

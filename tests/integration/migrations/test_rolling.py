"""A migration while the processes of the release before it are writing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa
from alembic import command, config

from rollcall import store as store_package
from rollcall.core import executions
from rollcall.core.executions import Status
from rollcall.store import engine, partitions, upgrade
from support import builders

MIGRATIONS = Path(store_package.__file__).with_name("migrations")
FIRST = "0001"
SAVED = sa.text(
    "INSERT INTO executions (slot_at, id, cronjob_id, trigger, status, reason, job_name, job_uid,"
    " created_at, started_at, ended_at, attempts) VALUES (:slot_at, :id, :cronjob_id, 'schedule',"
    " :status, :reason, :job_name, :job_uid, :created_at, :started_at, :ended_at, :attempts)"
    " ON CONFLICT (slot_at, id) DO UPDATE SET status = excluded.status, reason = excluded.reason,"
    " started_at = excluded.started_at, ended_at = excluded.ended_at"
)
OBSERVED = sa.text(
    "INSERT INTO attempts (pod_uid, execution_id, slot_at, cronjob_id, job_uid, pod_name, index,"
    " created_at) VALUES (:pod_uid, :id, :slot_at, :cronjob_id, :job_uid, :pod_uid, 0, :slot_at)"
    " ON CONFLICT (pod_uid) DO UPDATE SET started_at = excluded.slot_at"
)
HEARD = sa.text(
    "UPDATE attempts SET last_heartbeat_at = now(), heartbeats = heartbeats + 1"
    " WHERE pod_uid = :pod_uid"
)


@pytest.fixture
async def old_store(empty_dsn: str) -> AsyncIterator[engine.Database]:
    """Open a database as the first release left it."""
    database = engine.Database(empty_dsn, application_name="tests")
    async with database.transaction() as unit:
        await unit.connection.run_sync(_migrate)
        week = partitions.week_of(builders.SLOT_AT)
        await unit.connection.execute(
            sa.text(
                f"CREATE TABLE {week.of('executions')} PARTITION OF executions"
                f" FOR VALUES FROM ('{week.begin_at}') TO ('{week.end_at}')"
            )
        )
    yield database
    await database.close()


def _migrate(connection: sa.Connection) -> None:
    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["connection"] = connection
    command.upgrade(settings, FIRST)


async def save(unit: engine.Transaction, run: executions.Execution) -> None:
    values = {field: getattr(run, field) for field in run.__dataclass_fields__}
    await unit.connection.execute(SAVED, values | {"status": run.status.value})


class Writers:
    """Write without end, each as the first release does; an error ends the test."""

    def __init__(self, store: engine.Database) -> None:
        self.store = store
        self.written = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(3)]
        await self.more(20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def more(self, count: int) -> None:
        """Return when so many more transactions are through."""
        until = self.written + count
        while self.written < until:
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)

    async def _write(self, worker: int) -> None:
        job = builders.job(f"writer-{worker}")
        number = 0
        while not self._stop.is_set():
            async with self.store.transaction() as unit:
                row = await unit.registry.register(job)
                slot_at = builders.SLOT_AT + number % 5000 * timedelta(minutes=1)
                for status in (Status.RUNNING, Status.SUCCEEDED):
                    run = builders.execution(job, slot_at=slot_at, status=status)
                    await save(unit, run)
                    pod = {"pod_uid": f"{worker}-{number}", "job_uid": run.job_uid}
                    of_run = {"id": run.id, "slot_at": slot_at, "cronjob_id": job.id}
                    await unit.connection.execute(OBSERVED, pod | of_run)
                await unit.connection.execute(HEARD, {"pod_uid": f"{worker}-{number}"})
                await unit.schedule.save(row.job.id, row.state, unit.now)
            self.written += 1
            number += 1


async def head(store: engine.Database) -> str:
    async with store.transaction() as unit:
        found = await unit.connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        return str(found.scalar_one())


async def test_writers_of_the_first_release_see_no_error_while_it_is_upgraded(
    old_store: engine.Database, empty_dsn: str
) -> None:
    async with Writers(old_store) as writers:
        assert await head(old_store) == FIRST

        await upgrade.upgrade(empty_dsn)

        assert await head(old_store) > FIRST
        await writers.more(20)
    await upgrade.check(empty_dsn)


async def test_a_long_transaction_delays_the_upgrade_and_no_writer(
    old_store: engine.Database, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(upgrade, "_PAUSE", 0.05)
    async with Writers(old_store) as writers:
        async with old_store.transaction() as holder:
            await save(holder, builders.execution())  # the new indexes wait for it
            upgrading = asyncio.create_task(upgrade.upgrade(empty_dsn))
            await writers.more(60)
            assert not upgrading.done()

        await upgrading
        assert await head(old_store) > FIRST
        await writers.more(20)

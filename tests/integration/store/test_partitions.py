"""Weekly partitions of `executions`."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rollcall.core import errors
from rollcall.store import engine, partitions, upgrade
from support import builders, clocks

WEEKS = {
    "Monday, the first instant": ("2026-03-02T00:00:00+00:00", "executions_20260302"),
    "Sunday, the last instant": ("2026-03-08T23:59:59.999999+00:00", "executions_20260302"),
    "Monday again": ("2026-03-09T00:00:00+00:00", "executions_20260309"),
    "Monday in Kathmandu, Sunday in UTC": ("2026-03-09T03:00:00+05:45", "executions_20260302"),
    "over the end of a year": ("2027-01-01T12:00:00+00:00", "executions_20261228"),
    "a leap day": ("2028-02-29T12:00:00+00:00", "executions_20280228"),
}


@pytest.mark.parametrize(("at", "name"), WEEKS.values(), ids=WEEKS)
def test_weeks_begin_on_monday_in_utc(at: str, name: str) -> None:
    assert partitions.week_of(datetime.fromisoformat(at)).of("executions") == name


async def existing(store: engine.Database) -> list[str]:
    async with store.transaction() as unit:
        names = [
            week.of(table)
            for table in partitions.TABLES
            for week in await partitions.weeks_of(unit.connection, table)
        ]
    return sorted(names)


async def drop_all(store: engine.Database) -> None:
    for name in await existing(store):
        async with store.transaction() as unit:
            await unit.connection.execute(sa.text(f"DROP TABLE {name}"))


async def test_an_upgrade_leaves_last_week_this_week_and_four_ahead(empty_dsn: str) -> None:
    await upgrade.upgrade(empty_dsn)
    upgraded = engine.Database(empty_dsn, application_name="tests")
    made = await existing(upgraded)
    await upgraded.close()
    monday = partitions.week_of(datetime.now(UTC)).begin_at
    assert made == [
        partitions.Week(monday + timedelta(weeks=ahead)).of(table)
        for table in sorted(partitions.TABLES)
        for ahead in range(-1, 5)
    ]


async def test_each_week_one_more_is_made_and_none_again(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await drop_all(store)
    assert len(await store.partitions.ensure()) == 2 * 6
    assert await store.partitions.ensure() == []

    clock.set(datetime(2026, 3, 9, tzinfo=UTC))

    assert await store.partitions.ensure() == [
        "executions_20260406",
        "execution_events_20260406",
    ]


async def test_weeks_that_upkeep_slept_through_are_made(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await drop_all(store)
    await store.partitions.ensure()
    clock.advance(timedelta(weeks=10))

    made = await store.partitions.ensure()

    assert made[0] == "executions_20260511"  # this week; the gap behind us is made on demand
    assert len(made) == 2 * 5


async def test_many_processes_at_once_make_each_once(
    store: engine.Database, clock: clocks.Clock
) -> None:
    assert clock.now == clocks.START
    await drop_all(store)

    made = await asyncio.gather(*(store.partitions.ensure() for _ in range(5)))

    assert sorted(map(len, made)) == [0, 0, 0, 0, 2 * 6]
    assert len(await existing(store)) == 2 * 6


async def test_making_partitions_neither_blocks_writers_nor_waits_for_them(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await drop_all(store)
    await store.partitions.ensure(ahead_weeks=0)
    async with store.transaction() as writer:
        row = await writer.registry.register(builders.job())
        await writer.ledger.save(builders.execution())

        made = await asyncio.wait_for(store.partitions.ensure(), 1)
        assert len(made) == 2 * 4

        await writer.schedule.save(row.job.id, row.state, clock.now)
        await writer.ledger.save(builders.execution(slot_at=clock.now + timedelta(weeks=4)))


async def test_writers_go_on_while_partitions_are_made(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await drop_all(store)
    weeks = 40
    done = asyncio.Event()

    async def write(worker: int) -> float:
        slowest, number = 0.0, 0
        job = builders.job(f"job-{worker}")
        while not done.is_set():
            began = asyncio.get_running_loop().time()
            async with store.transaction() as unit:
                slot_at = clock.now + timedelta(minutes=number)
                await unit.ledger.save(builders.execution(job, slot_at=slot_at))
            slowest = max(slowest, asyncio.get_running_loop().time() - began)
            number += 1
        return slowest

    await store.partitions.ensure(ahead_weeks=0)
    writers = [asyncio.create_task(write(number)) for number in range(3)]
    made = await store.partitions.ensure(ahead_weeks=weeks)
    done.set()
    slowest = await asyncio.gather(*writers)

    assert len(made) == 2 * weeks
    assert max(slowest) < 1


async def test_a_lock_that_somebody_holds_is_waited_for_and_then_told(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(partitions, "PAUSES", (0.05,))
    await drop_all(store)
    async with store.transaction() as analysis:
        await analysis.connection.execute(
            sa.text("LOCK TABLE executions IN SHARE UPDATE EXCLUSIVE MODE")
        )
        with pytest.raises(errors.StoreUnavailable, match="lock timeout"):
            await store.partitions.ensure()

        ensuring = asyncio.create_task(store.partitions.ensure())
        await asyncio.sleep(0.06)  # its first try is over
    assert len(await ensuring) == 2 * 6


async def test_all_indexes_and_checks_hold_in_a_new_partition(store: engine.Database) -> None:
    async with store.transaction() as unit:
        rows = await unit.connection.execute(
            sa.text(
                "SELECT inhparent::regclass::text,"
                " (SELECT count(*) FROM pg_index WHERE indrelid = inhrelid),"
                " (SELECT count(*) FROM pg_constraint WHERE conrelid = inhrelid AND contype = 'c')"
                " FROM pg_inherits WHERE inhparent = 'executions'::regclass"
            )
        )
        assert {tuple(row) for row in rows} == {("executions", 8, 5)}

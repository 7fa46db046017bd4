"""What a transaction promises: all or nothing, one clock, repeated where that helps."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from rollcall.core import errors
from rollcall.store import connections, engine
from support import builders, clocks


async def is_registered(store: engine.Database, name: str) -> bool:
    async with store.transaction() as unit:
        rows = await unit.registry.registered(builders.CLUSTER)
    return name in {row.job.name for row in rows}


async def test_leaving_the_block_commits(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(builders.job("kept"))

    assert await is_registered(store, "kept")


async def test_an_exception_undoes_everything(store: engine.Database) -> None:
    async def fail() -> None:
        async with store.transaction() as unit:
            await unit.registry.register(builders.job("undone"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not await is_registered(store, "undone")


async def test_what_is_to_follow_follows_once_it_is_kept_and_never_if_it_is_undone(
    store: engine.Database,
) -> None:
    called: list[str] = []

    async def tries(unit: engine.Transaction) -> None:
        unit.after_commit(lambda: called.append("kept"))
        assert called == []

    async def fails(unit: engine.Transaction) -> None:
        await tries(unit)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.run(fails)
    assert called == []
    await store.run(tries)
    assert called == ["kept"]


async def test_a_cancelled_transaction_is_undone_and_frees_its_connection(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "POOL_SIZE", 1)
    store = engine.Database(dsn, application_name="tests")
    begun = asyncio.Event()

    async def hold() -> None:
        async with store.transaction() as unit:
            await unit.registry.register(builders.job("cancelled"))
            begun.set()
            await unit.connection.execute(sa.text("SELECT pg_sleep(5)"))

    holder = asyncio.create_task(hold())
    await begun.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder

    assert not await is_registered(store, "cancelled")
    await store.close()


async def test_now_is_the_databases_clock_and_the_same_throughout(store: engine.Database) -> None:
    async with store.transaction() as unit:
        read = await unit.connection.execute(sa.text("SELECT now()"))

        assert unit.now == read.scalar_one()
        assert unit.now.tzinfo is UTC


async def test_a_given_clock_replaces_the_databases(
    store: engine.Database, clock: clocks.Clock
) -> None:
    clock.advance(timedelta(hours=3))
    async with store.transaction() as unit:
        row = await unit.registry.register(builders.job())

    assert unit.now == clocks.START + timedelta(hours=3)
    assert row.next_check_at == unit.now


async def test_instants_come_back_in_utc_whatever_the_servers_zone(
    store: engine.Database,
) -> None:
    async with store.transaction() as unit:
        await unit.connection.execute(
            sa.text(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO ''Asia/Kathmandu''',"
                " current_database()); END $$"
            )
        )
    await store.close()  # the setting applies to new connections

    async with store.transaction() as unit:
        row = await unit.registry.register(builders.job())

    assert row.job.created_at == builders.CREATED_AT
    assert row.job.created_at.utcoffset() == timedelta(0)


async def test_timeouts_are_in_force_inside_a_transaction(store: engine.Database) -> None:
    async with store.transaction() as unit:
        shown = [
            (await unit.connection.execute(sa.text(f"SHOW {name}"))).scalar_one()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]

    assert shown == ["6s", "30s"]


RETRYABLE = {
    "serialization failure": "40001",
    "deadlock": "40P01",
    "the old primary of a failover": "25006",
    "shutting down": "57P01",
    "crashed": "57P02",
    "starting up": "57P03",
    "connection lost": "08006",
}


async def fail_with(unit: engine.Transaction, code: str) -> None:
    await unit.connection.execute(
        sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'provoked' USING ERRCODE = '{code}'; END $$")
    )


@pytest.mark.parametrize("code", RETRYABLE.values(), ids=RETRYABLE)
async def test_what_passes_is_repeated_as_a_whole(store: engine.Database, code: str) -> None:
    tries = []

    async def work(unit: engine.Transaction) -> str:
        tries.append(unit.now)
        await unit.registry.register(builders.job(f"try-{len(tries)}"))
        if len(tries) < 3:
            await fail_with(unit, code)
        return "done"

    assert await store.run(work) == "done"
    assert len(tries) == 3
    assert not await is_registered(store, "try-1")
    assert await is_registered(store, "try-3")


async def test_repeating_ends(store: engine.Database) -> None:
    tries = []

    async def work(unit: engine.Transaction) -> None:
        tries.append(unit)
        await fail_with(unit, "40001")

    with pytest.raises(errors.StoreUnavailable, match="provoked"):
        await store.run(work)
    assert len(tries) == 1 + len(engine.PAUSES)


UNAVAILABLE = {
    "disk full": "53100",
    "too many connections": "53300",
    "lock timeout": "55P03",
    "statement timeout": "57014",
    "killed for idling": "25P03",
    "no schema": "42P01",
    "input or output failed": "58030",
}


@pytest.mark.parametrize("code", UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_what_lasts_is_told_and_not_repeated(store: engine.Database, code: str) -> None:
    tries = []

    async def work(unit: engine.Transaction) -> None:
        tries.append(unit)
        await fail_with(unit, code)

    with pytest.raises(errors.StoreUnavailable):
        await store.run(work)
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [("SELECT 1 / 0", "division by zero"), ("SELECT nothing", '"nothing" does not exist')],
)
async def test_a_mistake_of_ours_stays_what_it_is(
    store: engine.Database, statement: str, said: str
) -> None:
    async def work(unit: engine.Transaction) -> None:
        await unit.connection.execute(sa.text(statement))

    with pytest.raises(exc.DBAPIError, match=said):
        await store.run(work)


async def test_a_message_never_repeats_statement_or_values(store: engine.Database) -> None:
    with pytest.raises(errors.StoreUnavailable) as raised:
        async with store.transaction() as unit:
            await unit.connection.execute(
                sa.text("SELECT :secret FROM nowhere"), {"secret": "hunter2"}
            )

    assert str(raised.value) == 'Postgres: relation "nowhere" does not exist'


async def test_a_real_deadlock_is_survived_by_both(store: engine.Database) -> None:
    jobs = [builders.job("first"), builders.job("second")]
    async with store.transaction() as unit:
        for job in jobs:
            await unit.registry.register(job)
    both_hold_one = asyncio.Barrier(2)
    tries: list[str] = []
    at = datetime(2020, 1, 1, tzinfo=UTC)

    async def cross(order: list[int]) -> None:
        is_first_try = True

        async def work(unit: engine.Transaction) -> None:
            nonlocal is_first_try
            tries.append("try")
            await unit.schedule.look_at({jobs[order[0]].id: at - timedelta(days=len(tries))})
            if is_first_try:
                is_first_try = False
                await both_hold_one.wait()
            await unit.schedule.look_at({jobs[order[1]].id: at - timedelta(days=10 * len(tries))})

        await store.run(work)

    await asyncio.gather(cross([0, 1]), cross([1, 0]))

    assert len(tries) == 3  # Postgres killed exactly one of them


async def test_a_connection_killed_in_the_pool_is_replaced_unnoticed(
    store: engine.Database, dsn: str
) -> None:
    await store.ping()
    cut_connections(dsn)

    await store.ping()


async def test_a_connection_killed_in_the_middle_is_repeated(
    store: engine.Database, dsn: str
) -> None:
    tries = []

    async def work(unit: engine.Transaction) -> None:
        tries.append(unit)
        await unit.registry.register(builders.job())
        if len(tries) == 1:
            cut_connections(dsn)
        await unit.ledger.save(builders.execution())

    await store.run(work)

    assert len(tries) == 2
    assert await is_registered(store, "report")


async def test_a_full_pool_is_told_in_time(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "POOL_TIMEOUT", 0.1)
    store = engine.Database(dsn, application_name="tests")
    async with AsyncExitStack() as holders:
        for _ in range(connections.POOL_SIZE):
            await holders.enter_async_context(store.transaction())
        with pytest.raises(errors.StoreUnavailable, match="in use"):
            await store.ping()

    await store.ping()
    await store.close()


async def test_a_server_that_became_read_only_is_left_behind(store: engine.Database) -> None:
    backends = []

    async def work(unit: engine.Transaction) -> None:
        backend = await unit.connection.execute(sa.text("SELECT pg_backend_pid()"))
        backends.append(backend.scalar_one())
        if len(backends) == 1:
            await unit.connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        await unit.registry.register(builders.job())

    await store.run(work)

    assert len(set(backends)) == 2  # a new connection, not one to the old primary


def cut_connections(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

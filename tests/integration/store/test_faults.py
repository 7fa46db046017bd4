"""A Postgres that is gone, frozen, unreachable or refuses us."""

import asyncio
import socket
import time

import pytest

from rollcall.core import errors
from rollcall.store import connections, engine
from support import builders, postgres


async def test_a_stopped_postgres_is_told_at_once_and_its_return_is_noticed(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    async with own_store.transaction() as unit:
        await unit.registry.register(builders.job())
    await asyncio.to_thread(own_server.stop)

    began = time.monotonic()
    with pytest.raises(errors.StoreUnavailable, match="refused"):
        await own_store.run(lambda unit: unit.registry.registered(builders.CLUSTER))
    assert time.monotonic() - began < 2

    await asyncio.to_thread(own_server.start)
    rows = await own_store.run(lambda unit: unit.registry.registered(builders.CLUSTER))
    assert [row.job.name for row in rows] == ["report"]


async def test_stopping_in_the_middle_of_a_transaction_undoes_it(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    async def work(unit: engine.Transaction) -> None:
        await unit.registry.register(builders.job())
        await asyncio.to_thread(own_server.stop)

    with pytest.raises(errors.StoreUnavailable):
        await own_store.run(work)

    await asyncio.to_thread(own_server.start)
    assert await own_store.run(lambda unit: unit.registry.registered(builders.CLUSTER)) == []


async def test_a_frozen_postgres_is_given_up_in_ten_seconds(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await own_store.ping()
    with own_server.frozen():
        began = time.monotonic()
        with pytest.raises(errors.StoreUnavailable):
            await own_store.ping()
        took = time.monotonic() - began

    assert engine.ANSWER_WITHIN <= took < 11
    await own_store.ping()


async def test_closing_does_not_hang_on_a_frozen_postgres(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await own_store.ping()
    with own_server.frozen():
        await asyncio.wait_for(own_store.close(), 5)


async def test_a_host_that_never_answers_is_given_up_in_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = engine.Database(f"postgresql://u@127.0.0.1:{port}/d", application_name="tests")
        began = time.monotonic()
        with pytest.raises(errors.StoreUnavailable):
            await store.ping()
        assert time.monotonic() - began < 5
        await store.close()


REFUSED = {
    "no such database": ("postgresql://postgres@/nowhere?host={}", "nowhere"),
    "no such role": ("postgresql://nobody_at_all@/postgres?host={}", "nobody_at_all"),
    "no such host": ("postgresql://u@does-not-exist.invalid/d", "does-not-exist.invalid"),
    "no such socket": ("postgresql://u@/d?host=/nonexistent", "No such file"),
}


@pytest.mark.parametrize(("dsn", "named"), REFUSED.values(), ids=REFUSED)
async def test_what_refuses_us_is_named(server: postgres.Server, dsn: str, named: str) -> None:
    store = engine.Database(dsn.format(server.directory), application_name="tests")
    with pytest.raises(errors.StoreUnavailable, match=named):
        await store.ping()
    await store.close()


UNREADABLE = {
    "another scheme": "mysql://root:hunter2@host/db",
    "a word": "hunter2",
    "an unknown option": "postgresql://u:hunter2@host/db?pool=5",
    "an unknown escape": "postgresql://u:hunter2%zz@host/db",
}


@pytest.mark.parametrize("dsn", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_dsn_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(errors.InvalidSpec, match="postgresql://") as raised:
        engine.Database(dsn, application_name="tests")

    assert "hunter2" not in str(raised.value)


async def test_a_value_that_no_connection_can_use_is_named() -> None:
    dsn = "postgresql://u:hunter2@127.0.0.1/d?connect_timeout=soon"
    store = engine.Database(dsn, application_name="tests")
    with pytest.raises(errors.InvalidSpec, match="connect_timeout: 'soon'"):
        await store.ping()
    await store.close()


def target(dsn: str, password: str | None = None) -> connections.Target:
    return connections.Target(dsn=dsn, password=password, application_name="tests", answer_within=1)


def test_what_the_dsn_says_comes_before_our_defaults() -> None:
    parameters = target(
        "postgres://u:p%40ss@one:1,two:2/d?connect_timeout=9&sslmode=verify-full"
    ).parameters()

    assert parameters["host"] == "one,two"
    assert parameters["port"] == "1,2"
    assert parameters["password"] == "p@ss"
    assert parameters["connect_timeout"] == "9"
    assert parameters["sslmode"] == "verify-full"
    assert parameters["target_session_attrs"] == "read-write"


def test_a_separate_password_comes_before_the_dsns() -> None:
    assert target("postgresql://u:old@host/d", "new").parameters()["password"] == "new"


async def test_a_server_that_accepts_no_writes_is_not_used(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    own_server.execute("ALTER SYSTEM SET default_transaction_read_only TO on")
    own_server.execute("SELECT pg_reload_conf()")
    await own_store.close()

    with pytest.raises(errors.StoreUnavailable, match="read-only"):
        await own_store.ping()

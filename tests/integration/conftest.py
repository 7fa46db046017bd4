"""A real Postgres for each test: one temporary server per run, an empty database per test."""

import asyncio
import os
import socket
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from rollcall.store import engine, upgrade
from support import builders, clocks, engines, postgres
from support import databases as pools

# Most of what tests on Postgres take is taken by these: stories of many jobs, of hours, of frozen
# servers, of upgrades, of partitions, and programs as processes.
SLOW = (
    "migrations/test_rolling.py",
    "migrations/test_upgrade.py",
    "notify/test_alertmanager.py",
    "notify/test_delivery.py",
    "notify/test_demo_receiver.py",
    "processes",
    "services/test_digests.py",
    "services/test_flapping.py",
    "services/test_replay.py",
    "services/test_resuming.py",
    "services/test_series.py",
    "services/test_wide.py",
    "services/test_writer_poison.py",
    "store/test_faults.py",
    "store/test_partitions.py",
    "store/test_retention.py",
    "store/test_retention_reports.py",
    "store/test_rollups.py",
    "timelines",
)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make check` leaves to `make test`."""
    slow = [HERE / name for name in SLOW]
    for item in items:
        if any(item.path == path or path in item.path.parents for path in slow):
            item.add_marker(pytest.mark.slow)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Run on the loop of the api process, which needs an eighth less of the processor."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    """Share one server among all workers of this run, with a migrated template database."""
    meeting_point = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        meeting_point = meeting_point.parent
    try:
        with postgres.shared_server(meeting_point) as shared:
            _migrate_template(shared, meeting_point)
            yield shared
    except postgres.PostgresMissingError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def empty_dsn(server: postgres.Server) -> Iterator[str]:
    """Make a database without a schema."""
    name = pools.make(server, template="template0")
    yield server.dsn(name)
    pools.drop(server, name)


@pytest.fixture(scope="session")
def databases(server: postgres.Server) -> Iterator[pools.Databases]:
    """Keep this worker's databases."""
    kept = pools.Databases(server)
    with engines.alike():
        yield kept
    kept.close()


@pytest.fixture
def dsn(databases: pools.Databases) -> Iterator[str]:
    """Lend a database with the schema and no rows."""
    with databases.fresh() as lent:
        yield lent


@pytest.fixture
def clock() -> clocks.Clock:
    """Make the time that `store` goes by, in tests that ask for both."""
    return clocks.Clock()


@pytest.fixture
async def store(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[engine.Database]:
    """Open the store; its clock is the database's, unless the test asks for `clock`."""
    clock = request.getfixturevalue("clock") if "clock" in request.fixturenames else None
    database = engine.Database(dsn, application_name="tests", clock=clock)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def new_data(server: postgres.Server) -> Path:
    """Make once what a server begins with; it goes with the one that all workers share."""
    made = server.directory / "new"
    with postgres.locked(server.directory / "making new"):
        if not made.exists():
            postgres.make_data(made)
    return made


@pytest.fixture(scope="session")
def migrated_data(server: postgres.Server, new_data: Path) -> Path:
    """Make once what a server of the newest schema begins with."""
    made = server.directory / "migrated"
    with postgres.locked(server.directory / "making migrated"):
        if not made.exists():
            with postgres.own_server(data=new_data) as first:
                asyncio.run(upgrade.upgrade(first.dsn()))
                first.stop()
                first.data.rename(made)
    return made


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[postgres.Server]:
    """Run a server for tests that stop it or freeze it; it listens on loopback too."""
    begins = "migrated_data" if "own_store" in request.fixturenames else "new_data"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with postgres.own_server(port=port, data=request.getfixturevalue(begins)) as server:
        yield server


@pytest.fixture
async def own_store(own_server: postgres.Server) -> AsyncIterator[engine.Database]:
    """Open a store on such a server, which has the schema."""
    database = engine.Database(own_server.tcp_dsn(), application_name="tests")
    yield database
    await database.close()


def _migrate_template(server: postgres.Server, meeting_point: Path) -> None:
    with postgres.locked(meeting_point / "migrating"):
        done = meeting_point / "migrated"
        if not done.exists():
            server.execute(f"CREATE DATABASE {pools.TEMPLATE}")
            asyncio.run(_migrate(server.dsn(pools.TEMPLATE)))
            done.touch()


async def _migrate(dsn: str) -> None:
    """Make the schema, and the partitions of the weeks in which most tests take place."""
    await upgrade.upgrade(dsn)
    database = engine.Database(dsn, application_name="tests", clock=lambda: builders.SLOT_AT)
    await database.partitions.ensure(ahead_weeks=1)
    await database.close()

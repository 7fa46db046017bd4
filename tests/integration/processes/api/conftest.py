"""One api for the cases of a file, with the runs of its pods."""

import asyncio
from collections.abc import Iterator

import pytest

from rollcall.store import engine
from support import apiprocess, builders, databases, said

PODS = [f"pod-{number}" for number in range(10)]
JOB = builders.job()


@pytest.fixture(scope="module")
def reviews() -> apiprocess.Reviews:
    """Know the tokens of all pods, and that of one that is not tracked."""
    return apiprocess.Reviews(pods={*PODS, "stranger"})


@pytest.fixture(scope="module")
def api_dsn(databases: databases.Databases) -> Iterator[str]:
    """Lend a database in which the pods' run is recorded."""
    with databases.fresh() as dsn:
        asyncio.run(_prepare(dsn))
        yield dsn


@pytest.fixture(scope="module")
def api(
    api_dsn: str, reviews: apiprocess.Reviews, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[apiprocess.Api]:
    """Run the api, which fails in no case and says so."""
    folder = tmp_path_factory.mktemp("api")
    with apiprocess.running(api_dsn, folder, reviews) as running:
        yield running
        assert running.process.poll() in {None, 0}
    said_by_it = running.log.read_text()
    assert "Traceback" not in said_by_it, said_by_it
    assert '"level": "error"' not in said_by_it.lower(), said_by_it


async def _prepare(dsn: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    await said.prepare(store, *PODS, run=builders.execution(JOB), job=JOB)
    await store.close()

"""Heartbeats alone, which take a shorter way."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from rollcall.core import errors
from rollcall.core import reporting as values
from rollcall.store import beats, connections, engine
from support import builders, clocks, postgres, reporting, said

RUN = builders.execution(builders.job())
SECOND = timedelta(seconds=1)


async def beat(store: engine.Database, *, ago: timedelta = timedelta(0)) -> None:
    """Say that the pod was heard so long ago."""

    def reports(now: datetime) -> Sequence[values.Report]:
        return [said.report("pod-1", at=now - ago)]

    await store.beat(reports)


async def test_a_beat_is_kept_by_the_databases_clock(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    before = datetime.now(UTC)
    await beat(store, ago=60 * SECOND)
    await beat(store, ago=90 * SECOND)  # of an earlier moment
    at, count = await reporting.beats(store)
    assert at
    assert before - 61 * SECOND < at < datetime.now(UTC) - 59 * SECOND
    assert count == 2


async def test_a_beat_of_a_told_time_is_kept_at_that_time(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    await beat(store, ago=SECOND)
    assert await reporting.beats(store) == (clock.now - SECOND, 1)


async def test_beats_of_unknown_pods_cost_nobody_else(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    pods = ("unknown", "pod\0", "pod\ud800", "%(told)s", "pod-1")
    await store.beat(lambda now: [said.report(uid, at=now) for uid in pods])
    assert (await reporting.beats(store))[1] == 1


async def test_a_restart_of_postgres_costs_no_beat_and_is_in_the_log(
    own_server: postgres.Server, own_store: engine.Database, caplog: pytest.LogCaptureFixture
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    own_server.stop()
    own_server.start()
    for _ in range(2):
        await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 3
    assert caplog.text.count("heartbeats took the long way") == 1


async def test_beats_leave_a_server_that_takes_no_writes_any_more(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    _take_writes(own_server, "off")
    with pytest.raises(errors.StoreUnavailable, match="read-only"):
        await beat(own_store)
    _take_writes(own_server, "on")
    await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 2


def _take_writes(server: postgres.Server, word: str) -> None:
    read_only = {"on": "off", "off": "on"}[word]
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only TO {read_only}")
    server.execute("SELECT pg_reload_conf()")


async def test_a_moved_name_is_followed_after_a_while(
    dsn: str, store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=builders.job())
    connect = connections.connector(
        connections.Target(dsn=dsn, application_name="tests", answer_within=5)
    )
    opened = []

    async def counted() -> psycopg.AsyncConnection[Any]:
        opened.append(await connect())
        return opened[-1]

    kept = beats.Beats(counted, begin=b"SELECT 1")
    for age in (60, 60, -1):
        monkeypatch.setattr(connections, "POOL_RECYCLE", age)
        now = datetime.now(UTC)
        await kept.keep([said.report("pod-1", at=now)], now)
    await kept.close()
    assert [one.closed for one in opened] == [True, True]
    assert (await reporting.beats(store))[1] == 3


async def test_while_postgres_is_stopped_a_beat_is_refused(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    own_server.stop()
    with pytest.raises(errors.StoreUnavailable):
        await beat(own_store)
    own_server.start()
    await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 2

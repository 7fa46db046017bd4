"""Heartbeats alone, which take a shorter way."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import errors
from rollcall.core import reporting as values
from rollcall.store import engine
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


async def test_a_restart_of_postgres_costs_no_beat(
    own_server: postgres.Server, own_store: engine.Database
) -> None:
    await said.prepare(own_store, "pod-1", run=RUN, job=builders.job())
    await beat(own_store)
    own_server.stop()
    own_server.start()
    for _ in range(2):
        await beat(own_store)
    assert (await reporting.beats(own_store))[1] == 3


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

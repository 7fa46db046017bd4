"""When a run is expected to end, as its own pods are told, on a real Postgres."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from rollcall.core import executions, expectations, reporting
from rollcall.services import outlook, ports
from rollcall.store import engine
from support import builders, clocks, said

AT = builders.SLOT_AT
JOB = builders.job()
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
TOOK = {1: 50, 2: 60, 3: 100}  # seconds, of the runs so many hours before


async def begin(
    store: engine.Database,
    clock: clocks.Clock,
    *,
    took: Mapping[int, int] = TOOK,
    status: executions.Status = executions.Status.RUNNING,
) -> ports.Identity:
    """Let a run begin whose forerunners succeeded after so many seconds; return its pod."""
    runs = [_succeeded(AT - number * HOUR, seconds * SECOND) for number, seconds in took.items()]
    run = builders.execution(JOB, status=status)
    pod = builders.attempt("pod-1", job_uid=run.job_uid, created_at=AT + SECOND)
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        for one in (*runs, run):
            await unit.ledger.save(one)
        await unit.attempts.observe({run: [pod]})
    clock.set(AT + 10 * SECOND)
    async with store.transaction() as unit:
        return (await unit.attempts.identify(["pod-1"]))["pod-1"]


def _succeeded(slot_at: datetime, took: timedelta) -> executions.Execution:
    return builders.execution(
        JOB,
        slot_at=slot_at,
        status=executions.Status.SUCCEEDED,
        started_at=slot_at,
        ended_at=slot_at + took,
    )


async def expected(
    store: engine.Database, identity: ports.Identity
) -> expectations.Expected | None:
    return await store.run(lambda unit: outlook.of_pod(unit, identity))


@pytest.mark.parametrize(
    ("status", "began"),
    [(executions.Status.RUNNING, AT + 2 * SECOND), (executions.Status.PENDING, AT)],
    ids=["since it runs", "since its Job is there, where it was not seen to run yet"],
)
async def test_a_run_is_told_the_median_of_the_successes_before(
    store: engine.Database, clock: clocks.Clock, status: executions.Status, began: datetime
) -> None:
    pod = await begin(store, clock, status=status)
    end = expectations.Expected(at=began + 60 * SECOND, runs=3)
    assert await expected(store, pod) == end


async def test_a_run_that_tells_its_progress_is_told_the_end_by_its_rate(
    store: engine.Database, clock: clocks.Clock
) -> None:
    pod = await begin(store, clock)
    for seconds, done in ((2, 0), (10, 80)):
        told = reporting.Progress(seq=seconds, done=done, total=1080)
        report = said.report("pod-1", at=AT + seconds * SECOND, progress=told)
        await said.keep(store, report)
    end = expectations.Expected(at=AT + (10 + 100) * SECOND, runs=0)
    assert await expected(store, pod) == end


async def test_of_a_run_with_very_many_pods_the_progress_is_not_looked_at(
    store: engine.Database, clock: clocks.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "MOST_PODS", 0)
    pod = await begin(store, clock)
    told = reporting.Progress(seq=1, done=80, total=1080)
    await said.keep(store, said.report("pod-1", at=AT + 10 * SECOND, progress=told))
    assert await expected(store, pod) == expectations.Expected(at=AT + 62 * SECOND, runs=3)


async def test_nobody_knows_the_end_of_a_job_with_few_successes(
    store: engine.Database, clock: clocks.Clock
) -> None:
    assert await expected(store, await begin(store, clock, took={1: 50, 2: 60})) is None


async def test_nobody_knows_the_end_of_a_run_that_is_not_kept_any_more(
    store: engine.Database, clock: clocks.Clock
) -> None:
    pod = await begin(store, clock)
    await said.rows(store, "DELETE FROM executions RETURNING 1")
    assert await expected(store, pod) is None

"""Windows: one open for each job, decided upon by one run at a time."""

import asyncio
from datetime import timedelta

import pytest

from rollcall.core import errors, executions
from rollcall.core.executions import Status
from rollcall.core.windows import State, Stretch
from rollcall.services import ports
from rollcall.store import engine
from support import builders, clocks

JOB = builders.job()
OTHER = builders.job("other")
SLOT_AT = builders.SLOT_AT
HOUR = timedelta(hours=1)
RUN = builders.execution(JOB, status=Status.RUNNING)
NEXT = builders.execution(JOB, slot_at=SLOT_AT + HOUR, status=Status.RUNNING)


@pytest.fixture(autouse=True)
async def jobs(store: engine.Database) -> None:
    async with store.transaction() as unit:
        for job in (JOB, OTHER):
            await unit.registry.register(job)
        for run in (RUN, NEXT):
            await unit.ledger.save(run)


def stretch(run: executions.Execution, *, hours: int = 1, until: int = 0) -> Stretch:
    end = run.slot_at - until * HOUR
    return Stretch(from_at=end - hours * HOUR, until_at=end, has_more=until > 0)


async def open_window(store: engine.Database, run: executions.Execution, **size: int) -> None:
    async with store.transaction() as unit:
        await unit.windows.open(run.cronjob_id, run.id, stretch(run, **size))


async def open_of(store: engine.Database, job: ports.TrackedJob = JOB) -> ports.OpenWindow | None:
    async with store.transaction() as unit:
        return await unit.windows.open_of(job.id, unit.now)


async def test_a_job_without_windows_has_none(store: engine.Database) -> None:
    assert await open_of(store) is None
    async with store.transaction() as unit:
        assert await unit.windows.newest_done(JOB.id) is None


@pytest.mark.parametrize("until", [0, 2], ids=["whole", "cut"])
async def test_an_open_window_comes_back_with_the_status_of_its_run(
    store: engine.Database, until: int
) -> None:
    await open_window(store, RUN, until=until)

    found = await open_of(store)
    assert found
    assert found.job_name == RUN.job_name
    assert (found.lease.execution_id, found.lease.status) == (RUN.id, Status.RUNNING)
    assert found.lease.stretch == stretch(RUN, until=until)

    async with store.transaction() as unit:
        await unit.ledger.save(builders.execution(JOB, status=Status.FAILED))
    found = await open_of(store)
    assert found
    assert found.lease.status is Status.FAILED


async def test_a_window_whose_run_is_gone_has_not_succeeded(store: engine.Database) -> None:
    gone = builders.execution(JOB, slot_at=SLOT_AT + 9 * HOUR)
    await open_window(store, gone)

    found = await open_of(store)
    assert found
    assert (found.job_name, found.lease.status) == ("", Status.UNKNOWN)


async def test_a_second_open_window_of_a_job_is_refused_by_the_database(
    store: engine.Database,
) -> None:
    await open_window(store, RUN)
    async with store.transaction() as unit:
        with pytest.raises(errors.Conflict, match="open"):
            await unit.windows.open(JOB.id, NEXT.id, stretch(NEXT))
        await unit.windows.open(OTHER.id, NEXT.id, stretch(NEXT))  # the transaction goes on


async def test_what_is_settled_is_open_no_more(store: engine.Database, clock: clocks.Clock) -> None:
    await open_window(store, RUN)
    async with store.transaction() as unit:
        await unit.windows.settle(JOB.id, State.RELEASED, unit.now)
    assert await open_of(store) is None
    async with store.transaction() as unit:
        assert await unit.windows.newest_done(JOB.id) is None

    clock.advance(HOUR)
    await open_window(store, RUN)  # the same run once more
    async with store.transaction() as unit:
        await unit.windows.settle(JOB.id, State.DONE, unit.now)
        done = await unit.windows.newest_done(JOB.id)
    assert done
    assert done.execution_id == RUN.id


async def test_the_newest_processed_window_is_the_one_that_ends_last(
    store: engine.Database, clock: clocks.Clock
) -> None:
    for run in (NEXT, RUN):
        await open_window(store, run)
        async with store.transaction() as unit:
            await unit.windows.settle(JOB.id, State.DONE, unit.now)
        clock.advance(HOUR)

    async with store.transaction() as unit:
        done = await unit.windows.newest_done(JOB.id)
    assert done
    assert done.execution_id == NEXT.id


async def test_two_runs_that_ask_at_once_take_turns(store: engine.Database) -> None:
    async def ask(run: executions.Execution) -> bool:
        async with store.transaction() as unit:
            if await unit.windows.open_of(JOB.id, unit.now):
                return False
            await asyncio.sleep(0.05)
            await unit.windows.open(JOB.id, run.id, stretch(run))
            return True

    runs = [builders.execution(JOB, slot_at=SLOT_AT + number * HOUR) for number in range(5)]
    assert sorted(await asyncio.gather(*map(ask, runs))) == [False] * 4 + [True]

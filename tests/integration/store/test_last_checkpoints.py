"""Which checkpoint a run goes on from."""

from datetime import timedelta

import pytest

from rollcall.core import executions, reporting
from rollcall.core.executions import Status
from rollcall.services import ports
from rollcall.store import engine
from support import builders, said

JOB = builders.job()
SLOT_AT = builders.SLOT_AT
HOUR = timedelta(hours=1)
ME = builders.execution(JOB, slot_at=SLOT_AT + 9 * HOUR, status=Status.RUNNING)


async def leave(
    store: engine.Database,
    hours: int,
    status: Status,
    *values: object,
    job: ports.TrackedJob = JOB,
    index: int = 0,
    attempt: int = 1,
) -> executions.Execution:
    """Record a run that reported these checkpoints."""
    changes = {} if status is not Status.UNKNOWN else {"job_uid": f"unseen-{hours}"}
    run = builders.execution(job, slot_at=SLOT_AT + hours * HOUR, status=status, **changes)
    pod = f"{job.name}-{hours}-{index}-{attempt}"
    async with store.transaction() as unit:
        await unit.registry.register(job)
        await unit.ledger.save(run)
        await unit.attempts.observe({run: [builders.attempt(pod, index=index)]})
    words = [said.checkpoint(seq, value) for seq, value in enumerate(values, 1)]
    await said.keep(store, said.report(pod, *words, attempt=attempt))
    return run


async def last(store: engine.Database, *, index: int = 0) -> reporting.Handed | None:
    async with store.transaction() as unit:
        await unit.ledger.save(ME)
        return await unit.reports.last_checkpoint(said.identity(ME, index=index))


async def value(store: engine.Database, **of: int) -> object:
    found = await last(store, **of)
    return found.value if found else None


async def test_without_any_there_is_none(store: engine.Database) -> None:
    assert await last(store) is None


@pytest.mark.parametrize(
    "status",
    [Status.FAILED, Status.PARTIAL, Status.CANCELLED, Status.REPLACED, Status.UNKNOWN,
     Status.RUNNING],
)  # fmt: skip
async def test_the_newest_of_a_run_that_did_not_succeed_is_handed_on(
    store: engine.Database, status: Status
) -> None:
    run = await leave(store, 1, status, "a", "b", attempt=3)

    found = await last(store)
    assert found
    assert (found.value, found.execution_id, found.attempt) == ("b", run.id, 3)
    assert found.slot_at == run.slot_at


async def test_a_success_ends_it(store: engine.Database) -> None:
    await leave(store, 1, Status.FAILED, "old")
    await leave(store, 2, Status.SUCCEEDED, "done")
    assert await last(store) is None

    await leave(store, 3, Status.FAILED, "new")
    assert await value(store) == "new"


async def test_the_newest_run_with_a_checkpoint_counts(store: engine.Database) -> None:
    await leave(store, 1, Status.FAILED, "first")
    await leave(store, 2, Status.PARTIAL, "second")
    await leave(store, 3, Status.FAILED)
    assert await value(store) == "second"


async def test_its_own_comes_first_and_that_of_the_newest_attempt(
    store: engine.Database,
) -> None:
    await leave(store, 8, Status.FAILED, "before")
    await leave(store, 9, Status.RUNNING, "own", "own, later")
    assert await value(store) == "own, later"

    await leave(store, 9, Status.RUNNING, "of the retry", attempt=2)
    assert await value(store) == "of the retry"


async def test_a_later_slot_is_none_of_its_business(store: engine.Database) -> None:
    await leave(store, 10, Status.FAILED, "later")
    await leave(store, 11, Status.SUCCEEDED)
    assert await last(store) is None

    await leave(store, 8, Status.FAILED, "before")
    assert await value(store) == "before"


async def test_indices_and_jobs_go_on_from_their_own(store: engine.Database) -> None:
    await leave(store, 1, Status.FAILED, "zero")
    await leave(store, 1, Status.FAILED, "one", index=1)
    await leave(store, 2, Status.FAILED, "not ours", job=builders.job("other"))

    assert [await value(store, index=index) for index in (0, 1, 2)] == ["zero", "one", None]

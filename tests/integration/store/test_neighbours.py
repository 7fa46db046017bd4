"""What the judge looks at around a job's slots."""

from datetime import datetime, timedelta

from rollcall.core import executions, slots
from rollcall.core.executions import Status
from rollcall.services import ports
from rollcall.store import engine
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)


async def running_job(
    store: engine.Database, name: str, *, started: datetime | None, **rhythm: object
) -> ports.TrackedJob:
    job = builders.job(name)
    async with store.transaction() as transaction:
        await transaction.registry.register(job)
        await transaction.registry.applied(job.id, builders.applied(builders.revision(**rhythm)))
        state = ports.JobState(last_schedule_at=started)
        await transaction.schedule.save(job.id, state, AT)
    return job


async def test_the_active_jobs_that_started_last_come_first(store: engine.Database) -> None:
    early = await running_job(store, "early", started=AT - MINUTE)
    late = await running_job(store, "late", started=AT)
    never = await running_job(store, "never", started=None)
    await running_job(store, "suspended", started=AT + MINUTE, suspended=True)
    gone = await running_job(store, "gone", started=AT + MINUTE)
    async with store.transaction() as transaction:
        await transaction.registry.mark_deleted(gone.id, AT)
    async with store.transaction() as transaction:
        found = await transaction.neighbours.newest_started(builders.CLUSTER, 10)
        first = await transaction.neighbours.newest_started(builders.CLUSTER, 1)
        elsewhere = await transaction.neighbours.newest_started("elsewhere", 10)
    assert [(one.cronjob_id, one.slot_at) for one in found] == [
        (late.id, AT),
        (early.id, AT - MINUTE),
        (never.id, None),
    ]
    assert [one.cronjob_id for one in first] == [late.id]
    assert elsewhere == []


async def test_the_rhythm_in_force_is_the_one_applied_last(store: engine.Database) -> None:
    job = await running_job(store, "edited", started=AT)
    edited = builders.revision(schedule="@hourly", effective_from=AT)
    async with store.transaction() as transaction:
        await transaction.registry.applied(job.id, builders.applied(edited))
    async with store.transaction() as transaction:
        [one] = await transaction.neighbours.newest_started(builders.CLUSTER, 10)
    assert isinstance(one.revision, slots.Revision)
    assert one.revision == edited


async def test_earlier_runs_are_those_that_had_a_job_newest_first(store: engine.Database) -> None:
    job = builders.job()
    rows: list[executions.Execution] = [
        builders.execution(job, slot_at=AT - 2 * MINUTE, status=Status.SUCCEEDED),
        builders.execution(job, slot_at=AT - MINUTE, status=Status.SKIPPED),
        builders.execution(job, slot_at=AT, status=Status.RUNNING),
        builders.execution(job, slot_at=AT + MINUTE, status=Status.RUNNING),
    ]
    async with store.transaction() as transaction:
        await transaction.registry.register(job)
        for row in rows:
            await transaction.ledger.save(row)
    async with store.transaction() as transaction:
        before = await transaction.neighbours.runs_before(job.id, AT, 5)
        newest = await transaction.neighbours.runs_before(job.id, AT, 1)
    assert [run.slot_at for run in before] == [AT, AT - 2 * MINUTE]
    assert [run.slot_at for run in newest] == [AT]

"""What a job's status shows."""

from datetime import timedelta

from rollcall.core.executions import Status
from rollcall.core.policies import Kind, Severity
from rollcall.store import engine, summaries
from support import builders, clocks, said

JOB = builders.job()
AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)


async def run(
    unit: engine.Transaction, minutes_ago: int, status: Status, *, heard: bool = False
) -> None:
    row = builders.execution(JOB, slot_at=AT - minutes_ago * MINUTE, status=status)
    await unit.ledger.save(row)
    if row.job_uid:
        pod = f"pod-{minutes_ago}"
        await unit.attempts.observe({row: [builders.attempt(pod, created_at=row.slot_at)]})
        if heard:
            at = row.slot_at + MINUTE / 2
            await unit.reports.keep([said.report(pod, at=at)])


async def test_an_unknown_job_has_no_summary(store: engine.Database) -> None:
    async with store.transaction() as unit:
        assert await unit.summaries([JOB.id]) == {}


async def test_a_new_job_has_an_empty_one(store: engine.Database) -> None:
    async with store.transaction() as unit:
        row = await unit.registry.register(JOB)
        summary = (await unit.summaries([JOB.id]))[JOB.id]

    assert summary.row == row
    assert summary.last is None
    assert (summary.active, summary.incidents) == ([], [])
    assert (summary.last_heartbeat_at, summary.unheard) == (None, 0)


async def test_it_shows_the_newest_slot_and_what_is_active(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await run(unit, 9, Status.RUNNING)
        await run(unit, 5, Status.FAILED)
        await run(unit, 1, Status.SKIPPED)
        summary = (await unit.summaries([JOB.id]))[JOB.id]

    assert summary.last is not None
    assert summary.last.status is Status.SKIPPED
    assert [active.slot_at for active in summary.active] == [AT - 9 * MINUTE]


async def test_incidents_are_the_open_ones_worst_first_and_what_others_explain_last(
    store: engine.Database,
) -> None:
    steps = [
        builders.step(JOB, kind=Kind.LATE, severity=Severity.WARNING, now=AT),
        builders.step(JOB, kind=Kind.MISSED, severity=Severity.CRITICAL, now=AT + MINUTE),
        builders.step(JOB, kind=Kind.STALE, severity=Severity.CRITICAL, now=AT),
        builders.step(JOB, kind=Kind.FAILING, severity=Severity.CRITICAL, now=AT),
        builders.step(
            JOB, kind=Kind.SLOW, severity=Severity.CRITICAL, inhibited_by=Kind.LATE, now=AT
        ),
    ]
    ended = builders.step(JOB, incident=steps[3].incident, recovered=True, now=AT + MINUTE)
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        for step in (*steps, ended):
            await unit.incidents.save(step, at=AT)
        summary = (await unit.summaries([JOB.id]))[JOB.id]

    assert [incident.kind for incident in summary.incidents] == [
        Kind.STALE,
        Kind.MISSED,
        Kind.LATE,
        Kind.SLOW,
    ]


async def test_unheard_counts_the_newest_ended_runs_in_a_row(
    store: engine.Database, clock: clocks.Clock
) -> None:
    assert clock.now >= AT
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await run(unit, 9, Status.FAILED)
        await run(unit, 8, Status.SUCCEEDED, heard=True)
        await run(unit, 7, Status.FAILED)
        await run(unit, 6, Status.MISSED)
        await run(unit, 5, Status.SUCCEEDED)
        await run(unit, 4, Status.RUNNING)
        summary = (await unit.summaries([JOB.id]))[JOB.id]

    assert summary.unheard == 2  # the running one may still speak, the missed one cannot
    assert summary.last_heartbeat_at == AT - 8 * MINUTE + MINUTE / 2


async def test_a_job_whose_pods_never_report_is_counted_up_to_a_bound(
    store: engine.Database,
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        for minutes_ago in range(summaries.RUNS + 5):
            await run(unit, minutes_ago, Status.SUCCEEDED)
        summary = (await unit.summaries([JOB.id]))[JOB.id]

    assert summary.unheard == summaries.RUNS
    assert summary.last_heartbeat_at is None

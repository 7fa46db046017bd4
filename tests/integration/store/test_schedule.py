"""Which jobs are due for a look."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.core import health
from rollcall.services import ports
from rollcall.store import engine, schedule
from support import builders, clocks

MINUTE = timedelta(minutes=1)


async def register(store: engine.Database, *names: str, **changes: object) -> list[ports.JobRow]:
    async with store.transaction() as unit:
        return [await unit.registry.register(builders.job(name, **changes)) for name in names]


async def due(store: engine.Database, limit: int = 10) -> list[str]:
    async with store.transaction() as unit:
        names = {row.job.id: row.job.name for row in await unit.registry.registered("test")}
        return [names[job_id] for job_id in await unit.schedule.due("test", limit)]


async def check_at(
    store: engine.Database, name: str, clock: clocks.Clock, after: timedelta
) -> None:
    async with store.transaction() as unit:
        job_id = builders.job(name).id
        await unit.schedule.save(job_id, ports.JobState(), clock.now + after)


async def test_due_jobs_come_most_overdue_first_and_not_before_their_time(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await register(store, "exact", "overdue", "most", "later")
    await check_at(store, "exact", clock, timedelta())
    await check_at(store, "overdue", clock, -MINUTE)
    await check_at(store, "most", clock, -2 * MINUTE)
    await check_at(store, "later", clock, timedelta(microseconds=1))

    assert await due(store) == ["most", "overdue", "exact"]
    assert await due(store, limit=1) == ["most"]


async def test_deleted_jobs_and_other_clusters_are_never_due(store: engine.Database) -> None:
    (row,) = await register(store, "deleted")
    await register(store, "elsewhere", cluster="other")
    async with store.transaction() as unit:
        await unit.registry.mark_deleted(row.job.id, unit.now)

    assert await due(store) == []


async def test_a_locked_job_is_skipped_by_everybody_else_until_the_end(
    store: engine.Database,
) -> None:
    (row,) = await register(store, "report")
    async with store.transaction() as first:
        assert await first.schedule.lock(row.job.id) == row
        async with store.transaction() as second:
            assert await second.schedule.lock(row.job.id) is None

    async with store.transaction() as third:
        assert await third.schedule.lock(row.job.id) == row


async def test_an_unknown_job_cannot_be_locked(store: engine.Database) -> None:
    async with store.transaction() as unit:
        assert await unit.schedule.lock(builders.job().id) is None


async def test_incidents_of_a_locked_job_can_be_written_by_others(store: engine.Database) -> None:
    (row,) = await register(store, "report")
    async with store.transaction() as first, store.transaction() as second:
        await first.schedule.lock(row.job.id)

        saving = second.incidents.save(builders.step(row.job), at=second.now)
        assert await asyncio.wait_for(saving, 2)


async def test_the_outcome_of_a_look_is_kept(store: engine.Database) -> None:
    (row,) = await register(store, "report")
    state = ports.JobState(
        judged_through=builders.SLOT_AT,
        last_success_at=builders.SLOT_AT - MINUTE,
        last_schedule_at=builders.SLOT_AT,
        consecutive_failures=2,
        health=health.Health.FAILING,
        next_slot_at=builders.SLOT_AT + MINUTE,
    )
    async with store.transaction() as unit:
        await unit.schedule.save(row.job.id, state, builders.SLOT_AT)
        found = await unit.schedule.lock(row.job.id)

    assert found is not None
    assert found.state == state
    assert found.next_check_at == builders.SLOT_AT


async def test_an_unchanged_outcome_is_not_written(store: engine.Database) -> None:
    (row,) = await register(store, "report")

    async def version(unit: engine.Transaction) -> object:
        return (await unit.connection.execute(sa.text("SELECT ctid FROM cronjobs"))).scalar_one()

    async with store.transaction() as unit:
        before = await version(unit)
        await unit.schedule.save(row.job.id, row.state, row.next_check_at)
        assert await version(unit) == before
        await unit.schedule.save(row.job.id, row.state, row.next_check_at + MINUTE)
        assert await version(unit) != before


async def test_a_look_is_brought_forward_and_never_moved_back(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await register(store, "report")
    await check_at(store, "report", clock, 5 * MINUTE)
    job_id = builders.job("report").id
    async with store.transaction() as unit:
        await unit.schedule.look_at({job_id: clock.now + 9 * MINUTE})
        later = await unit.schedule.lock(job_id)
        await unit.schedule.look_at({job_id: clock.now + 2 * MINUTE})
        sooner = await unit.schedule.lock(job_id)

    assert later is not None
    assert later.next_check_at == clock.now + 5 * MINUTE
    assert sooner is not None
    assert sooner.next_check_at == clock.now + 2 * MINUTE


@pytest.mark.parametrize("before", [MINUTE, timedelta()], ids=["earlier", "due already"])
async def test_a_request_during_a_look_survives_its_outcome(
    store: engine.Database, before: timedelta
) -> None:
    (row,) = await register(store, "report")
    requested_at = row.next_check_at - before

    async def request() -> None:
        async with store.transaction() as other:
            await other.schedule.look_at({row.job.id: requested_at})

    async with store.transaction() as look:
        await look.schedule.lock(row.job.id)
        requesting = asyncio.create_task(request())
        await asyncio.sleep(0.1)  # it waits for our lock now
        assert not requesting.done()
        await look.schedule.save(row.job.id, row.state, row.next_check_at + MINUTE)
    await requesting

    async with store.transaction() as unit:
        found = await unit.schedule.lock(row.job.id)
    assert found is not None
    assert found.next_check_at == requested_at


async def test_the_sweep_reads_only_what_is_due(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.connection.execute(
            sa.text(
                """
                INSERT INTO cronjobs
                    (id, cluster, uid, namespace, name, policy, created_at, next_check_at)
                SELECT gen_random_uuid(), 'test', n::text, 'shop', n::text, '{}', now(),
                    now() + interval '1 hour' - CASE WHEN n <= 3 THEN interval '2 h' ELSE '0' END
                FROM generate_series(1, 20000) n
                """
            )
        )
    async with store.transaction() as unit:
        await unit.connection.execute(sa.text("ANALYZE cronjobs"))
        plan = await explain(unit)
        found = await unit.schedule.due("test", 500)

    assert len(found) == 3
    assert plan["Plan"]["Plans"][0]["Index Name"] == "cronjobs_due_idx"
    assert "Sort" not in str(plan)
    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] <= 8


async def explain(unit: engine.Transaction) -> dict[str, Any]:
    statement = schedule.DUE.params(cluster="test", now=unit.now, limit=500)
    dialect = unit.connection.dialect
    compiled = statement.compile(dialect=dialect)
    literal = str(compiled) % {
        "cluster": "'test'",
        "now": f"'{unit.now.isoformat()}'",
        "limit": 500,
    }
    rows = await unit.connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {literal}"
    )
    plan: dict[str, Any] = rows.scalar_one()[0]
    return plan


async def test_of_many_jobs_those_are_locked_that_nobody_else_has(store: engine.Database) -> None:
    rows = await register(store, "first", "second", "third")
    ids = [row.job.id for row in rows]
    async with store.transaction() as first:
        await first.schedule.lock(ids[1])
        async with store.transaction() as second:
            found = await second.schedule.lock_all([*ids, builders.job("unknown").id])

    assert sorted(row.job.name for row in found) == ["first", "third"]


async def test_the_outcomes_of_many_looks_are_kept_each_for_its_job(
    store: engine.Database,
) -> None:
    rows = await register(store, "first", "second", "third")
    outcomes = {
        row.job.id: (
            ports.JobState(consecutive_failures=number, health=health.Health.FAILING),
            builders.SLOT_AT + number * MINUTE,
        )
        for number, row in enumerate(rows[:2])
    }
    async with store.transaction() as unit:
        await unit.schedule.save_all(outcomes)
        found = {row.job.id: row for row in await unit.registry.registered("test")}

    kept = {one: (found[one].state, found[one].next_check_at) for one in outcomes}
    assert kept == outcomes
    assert found[rows[2].job.id] == rows[2]


async def test_looks_at_many_jobs_are_asked_for_each_at_its_time(
    store: engine.Database, clock: clocks.Clock
) -> None:
    rows = await register(store, "first", "second")
    ids = [row.job.id for row in rows]
    later = clock.now + 9 * MINUTE
    async with store.transaction() as unit:
        await unit.schedule.save_all({one: (ports.JobState(), later) for one in ids})
        await unit.schedule.look_at({ids[0]: clock.now + MINUTE, ids[1]: later + MINUTE})
        found = {row.job.id: row.next_check_at for row in await unit.schedule.lock_all(ids)}

    assert found == {ids[0]: clock.now + MINUTE, ids[1]: later}

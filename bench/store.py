"""Postgres with 10 million executions of 1,000 jobs, and a sweep over 100,000 jobs."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from concurrent import futures
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bench import database, machine, report
from rollcall.core import cursors
from rollcall.services import listing
from rollcall.store import engine, housekeeping

EXECUTIONS = 10_000_000
JOBS = 1_000
SWEPT = 100_000
DUE = 100
PAGE = 50
RETENTION_WEEKS = 11
CLUSTER = "bench"
_CHANCE = random.Random(7)  # the same choices in each run
_LANES = 2  # connections that generate
_SPAN = timedelta(weeks=12)
_SLOTS = EXECUTIONS // JOBS
_BATCH_SLOTS = 100
_SAMPLES = 500

Work = Callable[[], Awaitable[object]]


def run() -> list[dict[str, Any]]:
    """Measure, print a table, return the numbers."""
    with database.running() as server:
        times = asyncio.run(_sweep(server))
    with database.running() as server:
        began = time.monotonic()
        _generate(server)
        size = server.one("SELECT pg_database_size(current_database()) / 1e9")
        print(f"{EXECUTIONS:,} executions in {time.monotonic() - began:.0f} s, {size:.1f} GB")
        times += asyncio.run(_history(server))
    print(f"\n{report.times(times)}\n{machine.describe()}, load {machine.load():.1f}")
    return [asdict(one) for one in times]


async def _sweep(server: database.Database) -> list[report.Times]:
    server.server.execute(_MANY_JOBS.format(jobs=SWEPT, cluster=CLUSTER), database.ROLE)
    server.server.execute("VACUUM ANALYZE cronjobs", database.ROLE)
    store = engine.Database(server.dsn, application_name="bench")

    async def query(unit: engine.Transaction) -> report.Times:
        return await _time(
            f"the same, inside a transaction, {DUE} due",
            "",
            lambda: unit.schedule.due(CLUSTER, DUE),
        )

    async def sweep() -> int:
        return await store.run(_count_due)

    try:
        nothing = await _time(f"sweep of {SWEPT:,} jobs, none due", "1", sweep)
        server.server.execute(_MAKE_DUE.format(due=DUE), database.ROLE)
        if await sweep() != DUE:
            raise RuntimeError(f"not {DUE} jobs are due")
        some = await _time(f"sweep of {SWEPT:,} jobs, {DUE} due", "10", sweep)
        async with store.transaction() as unit:
            bare = await _time("the same query alone", "", lambda: _count_due(unit))
    finally:
        await store.close()
    return [nothing, some, bare]


async def _count_due(unit: engine.Transaction) -> int:
    return len(await unit.schedule.due(CLUSTER, DUE))


async def _history(server: database.Database) -> list[report.Times]:
    store = engine.Database(server.dsn, application_name="bench")
    keeping = housekeeping.Housekeeping(store)
    ids = [row[0] for row in server.server.execute("SELECT id FROM cronjobs", database.ROLE)]
    begin = datetime.now(UTC) - _SPAN
    try:
        newest = await _time("newest page of one job", "10", lambda: _page(store, _any_job()))
        deep = await _time(
            "page anywhere in one job's history", "10", lambda: _page(store, _any_job(), begin)
        )
        everybody = await _time(
            "newest page of all jobs", "10", lambda: _page(store, listing.Choice(cluster=CLUSTER))
        )
        rolled = await _time("roll-ups of all days", "", keeping.roll_up, samples=1)
        numbers = await _time(
            "statistics of one job, 30 days", "", lambda: _numbers(store, _CHANCE.choice(ids))
        )
        retired = await _time(
            "retirement of the oldest week", "", lambda: keeping.retire(RETENTION_WEEKS), samples=1
        )
    finally:
        await store.close()
    return [newest, deep, everybody, rolled, numbers, retired]


def _any_job() -> listing.Choice:
    number = _CHANCE.randint(1, JOBS)
    return listing.Choice(cluster=CLUSTER, namespace=f"team-{number % 50}", cronjob=f"job-{number}")


async def _page(
    store: engine.Database, choice: listing.Choice, begin: datetime | None = None
) -> None:
    cursor = None
    if begin:
        after = begin + _CHANCE.uniform(0.1, 1) * _SPAN
        cursor = cursors.encode(cursors.Position(at=after, id=UUID(int=0)))
    page = await store.run(lambda unit: unit.listing.page(choice, limit=PAGE, cursor=cursor))
    if len(page.items) != PAGE:
        raise RuntimeError(f"a page of {len(page.items)} rows")


async def _numbers(store: engine.Database, cronjob_id: UUID) -> None:
    since = (datetime.now(UTC) - timedelta(days=30)).date()
    await store.run(lambda unit: unit.numbers.of([cronjob_id], since))


async def _time(what: str, budget: str, work: Work, samples: int = _SAMPLES) -> report.Times:
    for _ in range(min(20, samples - 1)):
        await work()
    took = sorted([await _once(work) for _ in range(samples)])
    return report.Times(
        what=what, budget_ms=budget, p50_ms=took[samples // 2], p99_ms=took[samples * 99 // 100]
    )


async def _once(work: Work) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


def _generate(server: database.Database) -> None:
    """Write the executions, on several connections side by side."""
    server.server.execute(_MANY_JOBS.format(jobs=JOBS, cluster=CLUSTER), database.ROLE)
    begin, every = datetime.now(UTC) - _SPAN, _SPAN / _SLOTS
    asyncio.run(_partitions(server, begin))

    def write(first: int) -> None:
        at = (begin + first * every).isoformat()
        statement = _EXECUTIONS.format(begin=at, every=every.total_seconds(), last=_BATCH_SLOTS - 1)
        server.server.execute(statement, database.ROLE)

    with futures.ThreadPoolExecutor(_LANES) as lanes:
        list(lanes.map(write, range(0, _SLOTS, _BATCH_SLOTS)))
    server.server.execute("VACUUM ANALYZE executions", database.ROLE)


async def _partitions(server: database.Database, begin: datetime) -> None:
    store = engine.Database(server.dsn, application_name="bench")
    now = datetime.now(UTC)
    for week in range(_SPAN // timedelta(weeks=1) + 1):
        await store.partitions.ensure_for(begin + week * timedelta(weeks=1), now)
    await store.close()


_MANY_JOBS = """
    INSERT INTO cronjobs (id, cluster, uid, namespace, name, policy, created_at, next_check_at)
    SELECT md5(n::text)::uuid, '{cluster}', md5('uid' || n), 'team-' || n % 50, 'job-' || n,
        '{{"rules": {{}}, "alerts": {{}}}}', now(), now() + n % 3600 * interval '1 second' + '1h'
    FROM generate_series(1, {jobs}) n
"""
_MAKE_DUE = """
    UPDATE cronjobs SET next_check_at = now() - interval '1 second'
    WHERE id IN (SELECT id FROM cronjobs LIMIT {due})
"""
_EXECUTIONS = """
    INSERT INTO executions (
        slot_at, id, cronjob_id, trigger, status, reason, exit_code, job_name, job_uid,
        created_at, started_at, ended_at, attempts
    )
    SELECT slot_at, md5(slot_at::text || job.name)::uuid, job.id, 'schedule',
        CASE WHEN fails THEN 'failed' ELSE 'succeeded' END,
        CASE WHEN fails THEN 'BackoffLimitExceeded' END, CASE WHEN fails THEN 1 ELSE 0 END,
        job.name || '-' || (extract(epoch FROM slot_at) / 60)::bigint,
        md5(job.name || slot_at::text)::uuid::text,
        slot_at, slot_at + interval '2 seconds', slot_at + random() * interval '10 minutes', 1
    FROM generate_series(0, {last}) n
    CROSS JOIN LATERAL (
        SELECT '{begin}'::timestamptz + n * {every} * interval '1 second'
    ) t (slot_at)
    CROSS JOIN LATERAL (SELECT id, name, random() < 0.03 AS fails FROM cronjobs) job
"""

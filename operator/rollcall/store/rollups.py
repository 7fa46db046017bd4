"""Daily roll-ups: a job's executions of one UTC day, counted by status and by duration.

Invariants:
- Rolling a day up again writes only what has changed. That is done for RECENT_DAYS, in which runs
  end and verdicts are corrected.
- A day is named in `rolled_days` when the roll-ups of all jobs are there. Of other days the
  executions themselves are read, and no execution is removed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from rollcall.store import daily_counts, engine, locks, models, partitions

_days = models.table(models.RolledDay)
_jobs = models.table(models.CronJob)

DAY = timedelta(days=1)
RECENT_DAYS = 7
JOBS_AT_ONCE = 500  # so that a statement takes a fraction of a second with any number of jobs

_ROLL_UP = sa.text(
    f"""
    WITH fresh AS MATERIALIZED ({daily_counts.OF_JOBS}),
    gone AS (
        DELETE FROM rollup_day AS old
        WHERE old.cronjob_id = ANY(:cronjob_ids) AND old.day = :day AND NOT EXISTS (
            SELECT FROM fresh
            WHERE fresh.cronjob_id = old.cronjob_id AND fresh.status = old.status
        )
    )
    INSERT INTO rollup_day AS old
        (cronjob_id, day, status, count, seconds, longest, buckets, counts)
    SELECT cronjob_id, day, status, count, seconds, longest, buckets, counts FROM fresh
    ON CONFLICT (cronjob_id, day, status) DO UPDATE SET
        count = excluded.count, seconds = excluded.seconds, longest = excluded.longest,
        buckets = excluded.buckets, counts = excluded.counts
    WHERE (old.count, old.seconds, old.longest, old.buckets, old.counts) IS DISTINCT FROM
        (excluded.count, excluded.seconds, excluded.longest, excluded.buckets, excluded.counts)
    """  # noqa: S608 - no value in it comes from outside
)
_EVERY_JOB = sa.select(_jobs.c.id).order_by(_jobs.c.id)


@dataclass(frozen=True, slots=True)
class Rollups:
    """Makes roll-ups, in transactions of its own."""

    database: engine.Database

    async def roll_up(self) -> list[date]:
        """Roll up all whole days that need it; return them.

        Raises errors.StoreUnavailable; what is done by then stays.
        """
        days = await self.database.run(_days_to_roll)
        for day in days:
            await self.roll_day(day)
        return days

    async def roll_day(self, day: date) -> None:
        """Roll one day up, for all jobs."""
        for some in await self.jobs():
            await self._roll(some, day)
        await self.database.run(lambda unit: _mark(unit, day))

    async def jobs(self) -> list[list[UUID]]:
        """Return the ids of all jobs, deleted ones included, in portions."""
        found = await self.database.run(_every_job)
        return [found[at : at + JOBS_AT_ONCE] for at in range(0, len(found), JOBS_AT_ONCE)]

    async def _roll(self, cronjob_ids: list[UUID], day: date) -> None:
        begin_at = daily_counts.midnight(day)
        parameters = {
            "cronjob_ids": cronjob_ids,
            "day": day,
            "begin_at": begin_at,
            "end_at": begin_at + DAY,
        }

        async def work(unit: engine.Transaction) -> None:
            # The operators of several clusters may share the database.
            await locks.take(unit.connection, locks.ROLLUPS)
            await unit.connection.execute(_ROLL_UP, parameters)

        await self.database.run(work)


async def unrolled(unit: engine.Transaction, days: Iterable[date]) -> list[date]:
    """Return those of the days that are not rolled up, oldest first."""
    rolled = set((await unit.connection.execute(sa.select(_days.c.day))).scalars())
    return sorted(set(days) - rolled)


async def _days_to_roll(unit: engine.Transaction) -> list[date]:
    today = unit.now.date()
    kept = {
        day
        for week in await partitions.weeks_of(unit.connection, "executions")
        for day in week.days()
        if day < today
    }
    recent = sa.select(_days.c.day).where(
        _days.c.day >= today - RECENT_DAYS * DAY, _days.c.rolled_at < daily_counts.midnight(today)
    )
    again = set((await unit.connection.execute(recent)).scalars())
    return sorted({*await unrolled(unit, kept), *again})


async def _every_job(unit: engine.Transaction) -> list[UUID]:
    return list((await unit.connection.execute(_EVERY_JOB)).scalars())


async def _mark(unit: engine.Transaction, day: date) -> None:
    values = {"rolled_at": unit.now}
    await unit.connection.execute(
        insert(_days)
        .values(day=day, **values)
        .on_conflict_do_update(index_elements=[_days.c.day], set_=values)
    )

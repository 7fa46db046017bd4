"""What is old is removed: whole weeks of executions, and what belongs to them.

A week whose executions can all go is detached and dropped: the rows are not touched, and writers
wait for at most LOCK_TIMEOUT at each try. Of a week in which something is kept, the rest is deleted
in portions. Kept are, however old: open executions, incidents that are open or dismissed, gaps that
go on, and the newest execution of each job that still exists, for else a job that runs once a year
would look new.

The order is that of dependence: a week is rolled up, then what hangs on its executions goes, then
they themselves. All of it can be interrupted and repeated.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from rollcall.core import errors, ids
from rollcall.store import engine, locks, old_details, partitions, rollups

logger = logging.getLogger(__name__)

ROLLUPS_FOR = timedelta(days=731)  # and the audit log
# While a lock is waited for, everybody else waits behind: briefly then, and often.
LOCK_TIMEOUT = "80ms"
TRIES = 20
PAUSE = 0.5
ROWS_AT_ONCE = 5000
PORTION = timedelta(hours=6)  # of a week, deleted at once

_OPEN = "status IN ('pending', 'queued', 'running')"
_KEPT = sa.text(
    f"""
    SELECT id FROM executions WHERE slot_at < :before AND {_OPEN}
    UNION
    SELECT newest.id FROM cronjobs CROSS JOIN LATERAL (
        SELECT id, slot_at FROM executions WHERE cronjob_id = cronjobs.id
        ORDER BY slot_at DESC, id DESC LIMIT 1
    ) AS newest
    WHERE cronjobs.deleted_at IS NULL AND newest.slot_at < :before
    """  # noqa: S608 - no value in it comes from outside
)
# Which execution a row of a partitioned table belongs to.
_EXECUTION = {"executions": "id", "execution_events": "execution_id"}
_OLD_GAPS = sa.text(
    """
    DELETE FROM gaps WHERE (cronjob_id, from_at, status) IN (
        SELECT cronjob_id, from_at, status FROM gaps WHERE until_at < :before LIMIT :rows
    )
    """
)
_OLD_INCIDENTS = sa.text(
    """
    DELETE FROM incidents WHERE id IN (
        SELECT id FROM incidents WHERE resolved_at < :before AND NOT dismissed LIMIT :rows
    )
    """
)
_OLD_ROLLUPS = sa.text(
    """
    DELETE FROM rollup_day WHERE (cronjob_id, day, status) IN (
        SELECT cronjob_id, day, status FROM rollup_day
        WHERE cronjob_id = ANY(:cronjob_ids) AND day < :before LIMIT :rows
    )
    """
)
_OLD_DAYS = sa.text("DELETE FROM rolled_days WHERE day < :before")
_OLD_JOBS = sa.text(
    """
    DELETE FROM cronjobs WHERE id IN (
        SELECT id FROM cronjobs WHERE deleted_at < :before LIMIT :rows
    )
    """
)


@dataclass(frozen=True, slots=True)
class Retention:
    """Removes what is old, in many short transactions."""

    database: engine.Database
    rollups: rollups.Rollups

    async def retire(self, weeks: int) -> list[str]:
        """Keep this many whole weeks; return the names of the partitions that went.

        Raises errors.StoreUnavailable.
        """
        now = await self.database.run(_now)
        before = partitions.week_of(now - weeks * partitions.WEEK).begin_at
        kept = await self.database.run(lambda unit: _kept(unit, before))
        await self._remove_details(before, kept)
        gone = []
        for week in await self.database.run(lambda unit: _weeks_before(unit, before)):
            gone += await self._retire_week(week, kept)
        await self._remove_rollups(now - ROLLUPS_FOR)
        return gone

    async def _retire_week(self, week: partitions.Week, kept: Sequence[UUID]) -> list[str]:
        for day in await self.database.run(lambda unit: rollups.unrolled(unit, week.days())):
            await self.rollups.roll_day(day)
        kept_here = [one for one in kept if partitions.week_of(ids.instant_of(one)) == week]
        gone = []
        for table in reversed(partitions.TABLES):
            if kept_here:
                await self._thin(table, week, kept_here)
            elif await self._drop(table, week):
                gone.append(week.of(table))
        return gone

    async def _drop(self, table: str, week: partitions.Week) -> bool:
        for _ in range(TRIES):
            try:
                return await self.database.run(lambda unit: _detach(unit, table, week))
            except errors.StoreUnavailable as error:
                if not partitions.is_lock_timeout(error):
                    raise
                await asyncio.sleep(PAUSE)
        logger.warning("an old week is in use and stays for now", extra={"table": week.of(table)})
        return False

    async def _thin(self, table: str, week: partitions.Week, kept: Sequence[UUID]) -> None:
        if not await self.database.run(lambda unit: _has_others(unit, table, week, kept)):
            return
        for number in range(partitions.WEEK // PORTION):
            await self._delete(table, week.begin_at + number * PORTION, kept)

    async def _delete(self, table: str, begin_at: datetime, kept: Sequence[UUID]) -> None:
        values = {"begin_at": begin_at, "end_at": begin_at + PORTION, "kept": list(kept)}
        await self.database.run(lambda unit: _delete_portion(unit, table, values))

    async def _remove_details(self, before: datetime, kept: Sequence[UUID]) -> None:
        values = {"before": before, "kept": list(kept)}
        for some in await self.rollups.jobs():
            for statement in old_details.OF_JOBS:
                await self._remove(statement, values | {"cronjob_ids": some})
        await self._remove(_OLD_GAPS, {"before": before})
        await self._remove(_OLD_INCIDENTS, {"before": before})
        await self._remove(old_details.SILENCES, {"before": before})
        await self._remove(old_details.JOB_TEMPLATES, {"before": before})

    async def _remove_rollups(self, before: datetime) -> None:
        for some in await self.rollups.jobs():
            await self._remove(_OLD_ROLLUPS, {"before": before.date(), "cronjob_ids": some})
        await self._remove(_OLD_DAYS, {"before": before.date()})
        await self._remove(old_details.AUDIT, {"before": before})
        await self._remove(_OLD_JOBS, {"before": before})

    async def _remove(self, statement: sa.TextClause, values: dict[str, Any]) -> None:
        async def work(unit: engine.Transaction) -> int:
            done = await unit.connection.execute(statement, {"rows": ROWS_AT_ONCE} | values)
            return done.rowcount

        while await self.database.run(work) >= ROWS_AT_ONCE:
            pass


async def _now(unit: engine.Transaction) -> datetime:
    return unit.now


async def _kept(unit: engine.Transaction, before: datetime) -> list[UUID]:
    return list((await unit.connection.execute(_KEPT, {"before": before})).scalars())


async def _weeks_before(unit: engine.Transaction, before: datetime) -> list[partitions.Week]:
    weeks = [await partitions.weeks_of(unit.connection, table) for table in partitions.TABLES]
    return sorted(
        (week for week in set().union(*weeks) if week.begin_at < before),
        key=lambda week: week.begin_at,
    )


async def _detach(unit: engine.Transaction, table: str, week: partitions.Week) -> bool:
    """Remove the partition; False if it is not there, or somebody still needs it."""
    await unit.connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    await locks.take(unit.connection, locks.PARTITIONS)
    if week not in await partitions.weeks_of(unit.connection, table):
        return False
    name = week.of(table)
    await unit.connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    if table == "executions" and await _has_open(unit, name):
        return False  # it was recorded a moment ago
    await unit.connection.execute(sa.text(f"ALTER TABLE {table} DETACH PARTITION {name}"))
    await unit.connection.execute(sa.text(f"DROP TABLE {name}"))
    return True


async def _has_open(unit: engine.Transaction, name: str) -> bool:
    query = sa.text(f"SELECT EXISTS (SELECT FROM {name} WHERE {_OPEN})")  # noqa: S608 - our names
    return bool((await unit.connection.execute(query)).scalar_one())


async def _has_others(
    unit: engine.Transaction, table: str, week: partitions.Week, kept: Sequence[UUID]
) -> bool:
    if week not in await partitions.weeks_of(unit.connection, table):
        return False
    others = f"SELECT FROM {week.of(table)} WHERE {_EXECUTION[table]} <> ALL(:kept)"
    found = await unit.connection.execute(
        sa.text(f"SELECT EXISTS ({others})"), {"kept": list(kept)}
    )
    return bool(found.scalar_one())


async def _delete_portion(unit: engine.Transaction, table: str, values: dict[str, Any]) -> None:
    ended = f"AND NOT {_OPEN}" if table == "executions" else ""
    statement = (
        f"DELETE FROM {table} WHERE slot_at >= :begin_at AND slot_at < :end_at"  # noqa: S608
        f" AND {_EXECUTION[table]} <> ALL(:kept) {ended}"
    )
    await unit.connection.execute(sa.text(statement), values)

"""Weekly partitions of `executions`, Monday 00:00 UTC to Monday.

A partition is made as a table of its own and then attached: that takes SHARE UPDATE EXCLUSIVE on
`executions`, which stops no reader and no writer. (CREATE TABLE … PARTITION OF would take ACCESS
EXCLUSIVE and queue everybody behind the slowest transaction.) There is no default partition.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rollcall.core import errors
from rollcall.store import failures, locks

WEEK = timedelta(weeks=1)
AHEAD_WEEKS = 4
# A finished Job of a yearly CronJob may be years old when its job is first seen; the limit is there
# because a slot comes from an annotation that anybody who may create Jobs can write.
OLDEST = 5 * 53 * WEEK
# What may hold the same lock: another ensure, or ANALYZE of the whole table. Both are short.
LOCK_TIMEOUT = "2s"
PAUSES = (0.2, 0.5, 1.0, 2.0)


class SlotOutOfRange(errors.RollcallError):
    """The slot is so far away that it is not recorded."""


@dataclass(frozen=True, slots=True)
class Week:
    """One partition."""

    begin_at: datetime

    @property
    def name(self) -> str:
        """The table's name."""
        return f"executions_{self.begin_at:%Y%m%d}"


@dataclass(slots=True)
class Partitions:
    """Makes partitions, in transactions of its own."""

    engine: AsyncEngine
    clock: Callable[[], datetime] | None = None

    async def ensure(self, ahead_weeks: int = AHEAD_WEEKS) -> list[str]:
        """Make what is missing from this week on; return the names of what was made.

        The first time the week before is made as well, for runs that are still going on.
        Raises errors.StoreUnavailable.
        """

        async def work(connection: AsyncConnection) -> list[str]:
            now = self.clock() if self.clock else await _database_now(connection)
            existing = await _existing(connection)
            first = week_of(now).begin_at - (timedelta() if existing else WEEK)
            weeks = _weeks(first, week_of(now).begin_at + ahead_weeks * WEEK)
            return await _make(connection, [week for week in weeks if week.name not in existing])

        return await self._repeat(work)

    async def ensure_for(self, slot_at: datetime, now: datetime) -> None:
        """Make the partition of this slot if it is missing.

        Raises SlotOutOfRange, errors.StoreUnavailable.
        """
        if not now - OLDEST <= slot_at <= now + (AHEAD_WEEKS + 1) * WEEK:
            raise SlotOutOfRange(f"no executions are kept for {slot_at.isoformat()}")
        week = week_of(slot_at)

        async def work(connection: AsyncConnection) -> list[str]:
            missing = week.name not in await _existing(connection)
            return await _make(connection, [week] if missing else [])

        await self._repeat(work)

    async def _repeat(self, work: locks.Work[list[str]]) -> list[str]:
        for pause in PAUSES:
            try:
                return await self._once(work)
            except errors.StoreUnavailable as error:
                if not _is_lock_timeout(error):
                    raise
                await asyncio.sleep(pause)
        return await self._once(work)

    async def _once(self, work: locks.Work[list[str]]) -> list[str]:
        with failures.translated():
            async with self.engine.begin() as connection:
                await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                await locks.take(connection, locks.PARTITIONS)
                return await work(connection)


def week_of(at: datetime) -> Week:
    """Return the week that this instant falls into."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Week(day - timedelta(days=day.weekday()))


def _weeks(first: datetime, last: datetime) -> Iterable[Week]:
    for number in range((last - first) // WEEK + 1):
        yield Week(first + number * WEEK)


async def _database_now(connection: AsyncConnection) -> datetime:
    now: datetime = (await connection.execute(sa.text("SELECT now()"))).scalar_one()
    return now


async def _existing(connection: AsyncConnection) -> set[str]:
    rows = await connection.execute(
        sa.text(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'executions'::regclass"
        )
    )
    return set(rows.scalars())


async def _make(connection: AsyncConnection, weeks: list[Week]) -> list[str]:
    for week in weeks:
        begin, end = week.begin_at.isoformat(), (week.begin_at + WEEK).isoformat()
        await connection.execute(
            sa.text(
                f"CREATE TABLE {week.name}"
                " (LIKE executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            )
        )
        await connection.execute(
            sa.text(
                f"ALTER TABLE executions ATTACH PARTITION {week.name}"
                f" FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
        )
    return [week.name for week in weeks]


def _is_lock_timeout(error: errors.StoreUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, exc.DBAPIError) and failures.sqlstate(cause) == failures.LOCK_TIMEOUT

"""Weekly partitions of the tables that grow with every run, Monday 00:00 UTC to Monday.

A partition is made as a table of its own and then attached: that takes SHARE UPDATE EXCLUSIVE on
the partitioned table, which stops no reader and no writer. (CREATE TABLE … PARTITION OF would take
ACCESS EXCLUSIVE and queue everybody behind the slowest transaction.) There is no default partition.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rollcall.core import errors
from rollcall.store import failures, locks

TABLES = ("executions", "execution_events")
WEEK = timedelta(weeks=1)
AHEAD_WEEKS = 4
# A finished Job of a yearly CronJob may be years old when its job is first seen; the limit is there
# because a slot comes from an annotation that anybody who may create Jobs can write.
OLDEST = 5 * 53 * WEEK
# What may hold the same lock: another ensure, or ANALYZE of the whole table. Both are short.
LOCK_TIMEOUT = "2s"
PAUSES = (0.2, 0.5, 1.0, 2.0)
_PARTITIONS = sa.text(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:table AS regclass)"
)


class SlotOutOfRange(errors.RollcallError):
    """The slot is so far away that it is not recorded."""


@dataclass(frozen=True, slots=True)
class Week:
    """What one partition of each table holds."""

    begin_at: datetime

    @property
    def end_at(self) -> datetime:
        """When the next one begins."""
        return self.begin_at + WEEK

    def days(self) -> list[date]:
        """Return its days."""
        return [self.begin_at.date() + timedelta(days=number) for number in range(7)]

    def of(self, table: str) -> str:
        """Return the name of the table's partition."""
        return f"{table}_{self.begin_at:%Y%m%d}"


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
            this_week = week_of(self.clock() if self.clock else await _database_now(connection))
            made = []
            for table in TABLES:
                existing = await weeks_of(connection, table)
                first = this_week.begin_at - (timedelta() if existing else WEEK)
                wanted = _weeks(first, this_week.begin_at + ahead_weeks * WEEK)
                missing = [week for week in wanted if week not in existing]
                made += await _make(connection, table, missing)
            return made

        return await self._repeat(work)

    async def provide(
        self, slot_at: datetime, now: datetime, write: Callable[[], Awaitable[None]]
    ) -> None:
        """Do the write; make the partitions of this slot first if it lacks them.

        The write must leave its transaction usable when it fails.
        Raises SlotOutOfRange, errors.StoreUnavailable.
        """
        try:
            await write()
        except exc.DBAPIError as error:
            if not is_missing(error):
                raise
            await self.ensure_for(slot_at, now)
            await write()

    async def ensure_for(self, slot_at: datetime, now: datetime) -> None:
        """Make the partitions of this slot if they are missing.

        Raises SlotOutOfRange, errors.StoreUnavailable.
        """
        if not now - OLDEST <= slot_at <= now + (AHEAD_WEEKS + 1) * WEEK:
            raise SlotOutOfRange(f"no executions are kept for {slot_at.isoformat()}")
        week = week_of(slot_at)

        async def work(connection: AsyncConnection) -> list[str]:
            made = []
            for table in TABLES:
                if week not in await weeks_of(connection, table):
                    made += await _make(connection, table, [week])
            return made

        await self._repeat(work)

    async def _repeat(self, work: locks.Work[list[str]]) -> list[str]:
        for pause in PAUSES:
            try:
                return await self._once(work)
            except errors.StoreUnavailable as error:
                if not is_lock_timeout(error):
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


async def weeks_of(connection: AsyncConnection, table: str) -> set[Week]:
    """Return the weeks that the table has partitions for."""
    rows = await connection.execute(_PARTITIONS, {"table": table})
    return {_week_named(name) for name in rows.scalars()}


def _week_named(name: str) -> Week:
    return Week(datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC))


async def _make(connection: AsyncConnection, table: str, weeks: list[Week]) -> list[str]:
    for week in weeks:
        name, begin, end = week.of(table), week.begin_at.isoformat(), week.end_at.isoformat()
        await connection.execute(
            sa.text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        )
        await connection.execute(
            sa.text(
                f"ALTER TABLE {table} ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
        )
    return [week.of(table) for week in weeks]


def is_missing(error: exc.DBAPIError) -> bool:
    """Whether a row had no partition to go to."""
    # A violated CHECK of ours has the same code, and a name.
    return failures.sqlstate(error) == failures.NO_PARTITION and not failures.constraint(error)


def is_lock_timeout(error: errors.StoreUnavailable) -> bool:
    """Whether somebody held the lock for longer than we would wait."""
    cause = error.__cause__
    return isinstance(cause, exc.DBAPIError) and failures.sqlstate(cause) == failures.LOCK_TIMEOUT

"""The database: transactions with their repositories, and their repetition where that helps.

Each transaction begins with one statement that sets its timeouts and reads the clock. They are set
for the transaction alone, so that a connection pooler in between is no obstacle; and a connection
that died in the pool is found out by that statement, before anything was written.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import errors, reporting
from rollcall.services import ports
from rollcall.store import (
    accounts,
    alert_numbers,
    alerts,
    attempts,
    audit,
    beats,
    bundles,
    cluster_incidents,
    connections,
    error_pages,
    events,
    failures,
    gaps,
    heard,
    history,
    incidents,
    ledger,
    listing,
    losses,
    neighbours,
    outbox,
    partitions,
    registry,
    reports,
    schedule,
    setups,
    sight,
    statistics,
    summaries,
    windows,
)
from rollcall.store import dead_letters as letters
from rollcall.store import silences as silencing

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Statements of ours take milliseconds, waiting for a row lock a second or two. The server gives up
# before we do; a frozen one costs this and one vain try to connect, 10 s together.
STATEMENT_TIMEOUT = 6.0
ANSWER_WITHIN = 7.0
# A transaction that waits this long between two statements holds back vacuum and locks for nothing.
IDLE_TIMEOUT = 30.0
# Deadlocks and restarts pass in tens of milliseconds; what lasts longer is the caller's to repeat.
PAUSES = (0.05, 0.2, 0.5)

_SETTINGS = {
    "TimeZone": "UTC",
    "statement_timeout": f"{STATEMENT_TIMEOUT:.0f}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT:.0f}s",
}
_SET = [f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()]
_BEGIN = text(f"SELECT now(), {', '.join(_SET)}")


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One unit of work: the clock it began at, and the repositories on its connection."""

    connection: AsyncConnection
    now: datetime
    registry: ports.Registry
    schedule: ports.Schedule
    ledger: ports.Ledger
    history: ports.History
    setups: ports.Setups
    attempts: ports.Attempts
    events: ports.Events
    gaps: ports.Gaps
    incidents: ports.Incidents
    cluster_incidents: ports.ClusterIncidents
    outbox: ports.Outbox
    bundles: ports.Bundles
    losses: ports.Losses
    silences: ports.Silences
    sight: ports.Sight
    neighbours: ports.Neighbours
    reports: ports.Reports
    accounts: ports.Accounts
    windows: ports.Windows
    dead_letters: ports.DeadLetters
    audit: ports.Audit
    letters: letters.Pages
    error_pages: error_pages.Pages
    listing: listing.Listing
    alerts: alerts.Alerts
    alert_numbers: alert_numbers.AlertNumbers
    silence_pages: silencing.Pages
    numbers: statistics.Numbers
    committed: list[Callable[[], None]] = field(default_factory=list)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once all of it is kept, and never if it is undone."""
        self.committed.append(call)

    async def summaries(self, cronjob_ids: Collection[UUID]) -> Mapping[UUID, ports.Summary]:
        """Return what the statuses of jobs show; those that are not registered are left out."""
        return await summaries.read(self.connection, cronjob_ids)


class Database:
    """Postgres, as `ports.Store`. `clock` replaces the database's own (for told timelines)."""

    def __init__(
        self,
        dsn: str,
        *,
        password: str | None = None,
        application_name: str,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._clock = clock
        target = connections.Target(
            dsn=dsn,
            password=password,
            application_name=application_name,
            answer_within=ANSWER_WITHIN,
        )
        self._engine = connections.create_engine(target)
        self._beats = beats.Beats(connections.connector(target), settings=_SETTINGS)
        self.partitions = partitions.Partitions(self._engine, clock)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin; commit on leaving, roll back on an exception.

        Raises errors.StoreUnavailable when Postgres does not answer.
        """
        with failures.translated():
            async with AsyncExitStack() as stack:
                connection, began_at = await self._begin(stack)
                unit = self._unit(connection, began_at)
                yield unit
                await connection.commit()
        for call in unit.committed:
            call()

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do the work in a transaction, all of it again if it was undone by what passes.

        Raises errors.StoreUnavailable if that does not help either.
        """
        for pause in PAUSES:
            try:
                return await self._once(work)
            except failures.Retryable:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        return await self._once(work)

    async def beat(
        self, reports: Callable[[datetime], Sequence[reporting.Report]]
    ) -> Mapping[str, reporting.Kept]:
        """Keep heartbeats, progress and results in a transaction of their own; no other items.

        `reports` is given the time that theirs are counted from. What fails is done again in an
        ordinary transaction, which knows what to make of it.
        """

        async def keep(unit: Transaction) -> Mapping[str, reporting.Kept]:
            return await unit.reports.keep(reports(unit.now))

        if self._clock is not None:
            return await self.run(keep)
        now = datetime.now(UTC)
        told = reports(now)
        try:
            kept = await self._beats.keep(told, now)
        except psycopg.Error as error:
            kept = await self.run(keep)
            # In an outage that fails as well, and whoever asked says so.
            logger.warning("heartbeats took the long way", extra={"error": failures.text(error)})
            return kept
        entering = {one.pod_uid for one in told if heard.names_stage(one)} - kept.keys()
        if not entering:
            return kept
        try:
            return {**kept, **await self._enter(reports, entering)}
        except errors.Unavailable as error:
            if len(entering) == len(told):
                raise
            # The others are kept: sent again, their heartbeats would be counted twice.
            return {**kept, **dict.fromkeys(entering, reporting.Kept(failure=error))}

    async def _enter(
        self, reports: Callable[[datetime], Sequence[reporting.Report]], entering: Collection[str]
    ) -> Mapping[str, reporting.Kept]:
        """Keep the reports of pods that enter a stage, which the short way leaves alone."""

        async def keep(unit: Transaction) -> Mapping[str, reporting.Kept]:
            told = [one for one in reports(unit.now) if one.pod_uid in entering]
            return await unit.reports.keep(told)

        return await self.run(keep)

    async def ping(self) -> None:
        """Make one round trip; raises errors.StoreUnavailable."""
        async with self.transaction():
            pass

    async def close(self) -> None:
        """Close all connections."""
        await self._beats.close()
        await self._engine.dispose()

    async def _once(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self.transaction() as unit:
            return await work(unit)

    async def _begin(self, stack: AsyncExitStack) -> tuple[AsyncConnection, datetime]:
        try:
            return await self._try_begin(stack)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # It had died in the pool, which is empty now: this one is new.
        return await self._try_begin(stack)

    async def _try_begin(self, stack: AsyncExitStack) -> tuple[AsyncConnection, datetime]:
        connection = await stack.enter_async_context(self._engine.connect())
        began_at = (await connection.execute(_BEGIN)).scalar_one()
        return connection, began_at.astimezone(UTC)

    def _unit(self, connection: AsyncConnection, began_at: datetime) -> Transaction:
        now = self._clock() if self._clock else began_at
        return Transaction(
            connection=connection,
            now=now,
            registry=registry.Registry(connection, now),
            schedule=schedule.Schedule(connection, now),
            ledger=ledger.Ledger(connection, now, self.partitions),
            history=history.History(connection),
            setups=setups.Setups(connection),
            attempts=attempts.Attempts(connection, now),
            events=events.Events(connection, now, self.partitions),
            gaps=gaps.Gaps(connection),
            incidents=incidents.Incidents(connection),
            cluster_incidents=cluster_incidents.ClusterIncidents(connection),
            outbox=outbox.Outbox(connection, now),
            bundles=bundles.Bundles(connection, now),
            losses=losses.Losses(connection, now),
            silences=silencing.Silences(connection, now),
            sight=sight.Sight(connection, now),
            neighbours=neighbours.Neighbours(connection),
            reports=reports.Reports(connection, now),
            accounts=accounts.Accounts(connection),
            windows=windows.Windows(connection, now),
            dead_letters=letters.DeadLetters(connection, now),
            audit=audit.Audit(connection),
            letters=letters.Pages(connection),
            error_pages=error_pages.Pages(connection),
            listing=listing.Listing(connection),
            alerts=alerts.Alerts(connection),
            alert_numbers=alert_numbers.AlertNumbers(connection),
            silence_pages=silencing.Pages(connection, now),
            numbers=statistics.Numbers(connection, now),
        )

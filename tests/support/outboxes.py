"""An outbox in memory that keeps the promises of `ports.Outbox` about leases and order.

Only what delivery uses is there; a test that reaches for more fails.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from rollcall.core import errors
from rollcall.services import ports

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Row:
    """One notification and what became of it."""

    notification: ports.Notification
    cluster: str
    next_at: datetime
    status: str = "pending"  # pending, delivered, dead
    error: str | None = None
    thread: Mapping[str, Any] | None = None
    is_loss: bool = False


class MemoryStore:
    """A store with an outbox only. `down` makes it unreachable, `fail_commits` undoes that many."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.rows: list[Row] = []
        self.down = False
        self.fail_commits = 0
        self.mistake: Exception | None = None  # raised by the next transaction
        self.claims = 0

    def write(
        self,
        incident: UUID,
        *,
        version: int = 1,
        channel: str = "team",
        cluster: str = "test",
        kind: str = "incident.opened",
        age: timedelta = timedelta(),
    ) -> str:
        """Write one message that is due, and return its key."""
        key = f"{incident}.{version}"
        now = self.clock()
        notification = ports.Notification(
            id=len(self.rows) + 1,
            incident_id=incident,
            channel=channel,
            key=key,
            type=kind,
            payload={"type": kind, "version": 1},
            attempts=0,
            created_at=now - age,
        )
        self.rows.append(Row(notification=notification, cluster=cluster, next_at=now))
        return key

    def row(self, key: str, channel: str = "team") -> Row:
        """Return the row of a message."""
        found = [
            row
            for row in self.rows
            if (row.notification.key, row.notification.channel) == (key, channel)
        ]
        return found[0]

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        """Give the outbox; what was written is undone if the commit fails."""
        if self.down:
            raise errors.StoreUnavailable("Postgres is away")
        mistake, self.mistake = self.mistake, None
        if mistake:
            raise mistake
        before = [replace(row) for row in self.rows]
        yield cast("ports.Transaction", _Transaction(self))
        if self.fail_commits:
            self.fail_commits -= 1
            self.rows = before
            raise errors.StoreUnavailable("Postgres went away")

    async def run(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        """Do the work in one transaction."""
        async with self.transaction() as transaction:
            return await work(transaction)


class _Transaction:
    def __init__(self, store: MemoryStore) -> None:
        self.now = store.clock()
        self.outbox = _Outbox(store, self.now)


class _Outbox:
    def __init__(self, store: MemoryStore, now: datetime) -> None:
        self._store = store
        self._now = now

    async def claim(
        self, holder: str, limit: int, lease: timedelta, *, cluster: str
    ) -> Sequence[ports.Notification]:
        assert holder
        self._store.claims += 1
        due = [
            row
            for row in self._store.rows
            if row.cluster == cluster
            and row.status == "pending"
            and row.next_at <= self._now
            and not self._waits(row)
        ]
        claimed = sorted(due, key=lambda row: (row.next_at, row.notification.id))[:limit]
        for row in claimed:
            row.next_at = self._now + lease
        return [replace(row.notification, thread=self._thread(row)) for row in claimed]

    async def settle(self, outcomes: Sequence[ports.Outcome]) -> None:
        for outcome in outcomes:
            row = self._store.rows[outcome.notification.id - 1]
            row.notification = replace(
                row.notification, attempts=outcome.notification.attempts + outcome.counts
            )
            row.error = outcome.error
            if outcome.delivered:
                row.status = "delivered"
                row.thread = outcome.thread
            elif outcome.retry_at is None:
                row.status, row.is_loss = "dead", outcome.is_loss
            else:
                row.next_at = outcome.retry_at

    def _thread(self, row: Row) -> Mapping[str, Any] | None:
        earlier = [one for one in self._store.rows if self._precedes(one, row) and one.thread]
        return earlier[-1].thread if earlier else None

    def _waits(self, row: Row) -> bool:
        return any(
            self._precedes(earlier, row) and earlier.status == "pending"
            for earlier in self._store.rows
        )

    @staticmethod
    def _precedes(earlier: Row, row: Row) -> bool:
        return (
            earlier.notification.incident_id == row.notification.incident_id
            and earlier.notification.channel == row.notification.channel
            and earlier.notification.id < row.notification.id
        )

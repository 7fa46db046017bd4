"""The part of the store that reconciling uses, in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TypeVar, cast
from uuid import UUID

from rollcall.core import errors, executions
from rollcall.services import ports

T = TypeVar("T")

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass
class MemoryStore:
    """Rows by id; `written` lists what was asked to be written; `down` lets it fail."""

    rows: dict[UUID, ports.JobRow] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    revisions: list[ports.Applied] = field(default_factory=list)
    open: list[executions.Execution] = field(default_factory=list)
    summaries: dict[UUID, ports.Summary] = field(default_factory=dict)
    down: bool = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        if self.down:
            raise errors.StoreUnavailable("down")
        history = SimpleNamespace(open_jobs=self.open_jobs)
        yield cast(
            "ports.Transaction",
            SimpleNamespace(registry=self, history=history, summaries=self.summaries_of),
        )

    async def run(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        async with self.transaction() as transaction:
            return await work(transaction)

    async def register(self, job: ports.TrackedJob) -> ports.JobRow:
        self.written.append(f"register {job.namespace}/{job.name}")
        known = self.rows.get(job.id)
        row = replace(known, job=job) if known else _row(job)
        self.rows[job.id] = row
        return row

    async def applied(self, cronjob_id: UUID, applied: ports.Applied) -> None:
        self.written.append(f"applied {applied.generation}")
        self.revisions.append(applied)
        self.rows[cronjob_id] = replace(
            self.rows[cronjob_id],
            cronjob_uid=applied.cronjob_uid,
            generation=applied.generation,
            spec_hash=applied.spec_hash,
        )

    async def registered(self, cluster: str) -> Sequence[ports.JobRow]:
        return [row for row in self.rows.values() if row.job.cluster == cluster]

    async def open_jobs(self, _cluster: str) -> Sequence[executions.Execution]:
        return self.open

    async def summaries_of(self, cronjob_ids: Collection[UUID]) -> dict[UUID, ports.Summary]:
        bare = {one: ports.Summary(row=row, last=None) for one, row in self.rows.items()}
        known = {**bare, **self.summaries}
        return {one: known[one] for one in cronjob_ids if one in known}

    async def forget(self, cronjob_id: UUID) -> None:
        """Stand in for the use case that closes a job."""
        self.written.append(f"forget {self.rows[cronjob_id].job.name}")
        del self.rows[cronjob_id]


def _row(job: ports.TrackedJob) -> ports.JobRow:
    return ports.JobRow(
        job=job,
        cronjob_uid=None,
        generation=None,
        spec_hash=None,
        state=ports.JobState(),
        deleted_at=None,
        next_check_at=START,
    )

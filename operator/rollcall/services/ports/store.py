"""The store, seen from the use cases.

Everything inside one `Transaction` is committed together or not at all; `Transaction.now` is the
database's clock, which all deadlines use.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from rollcall.core import executions, incidents, policies, slots
from rollcall.services.ports.reports import Audit, DeadLetters, Reports, Windows
from rollcall.services.ports.values import (
    Applied,
    Identity,
    JobRow,
    JobState,
    Notification,
    Outcome,
    SlotKey,
    Started,
    Summary,
    TrackedJob,
)

T = TypeVar("T")


class Registry(Protocol):
    """Which jobs exist, and what was applied for them."""

    async def register(self, job: TrackedJob) -> JobRow:
        """Insert or update the job's row; a change asks for a new look at once.

        A row of another UID with the same name is marked deleted: the name was reused.
        """

    async def applied(self, cronjob_id: UUID, applied: Applied) -> None:
        """Keep what was applied; a revision is added only if the rhythm differs from the last."""

    async def learned(self, cronjob_id: UUID, revision: slots.Revision) -> None:
        """Keep what was read of the CronJob, if it is newer than what was applied."""

    async def mark_deleted(self, cronjob_id: UUID, at: datetime) -> None:
        """Close the row; its history stays."""

    async def owner(self, cronjob_id: UUID) -> str | None:
        """Return the UID of the CronJob as applied; None without one, or for a deleted job."""

    async def owners(self, cronjob_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Return the same for many; those that have none are left out."""

    async def policy(self, cronjob_id: UUID) -> Mapping[str, Any]:
        """Return the policy of a job's spec, as written; empty for one that is not registered."""

    async def registered(self, cluster: str) -> Sequence[JobRow]:
        """Return all rows of this cluster that are not deleted."""


class Schedule(Protocol):
    """Which jobs are due for a look."""

    async def due(self, cluster: str, limit: int) -> Sequence[UUID]:
        """Return jobs whose next look is due, most overdue first; deleted ones excluded."""

    async def lock(self, cronjob_id: UUID) -> JobRow | None:
        """Lock the job's row for this transaction; None if somebody else has it or it is gone."""

    async def save(self, cronjob_id: UUID, state: JobState, next_check_at: datetime) -> None:
        """Keep the outcome of a look; only rows that changed are written."""

    async def look_at(self, cronjob_id: UUID, at: datetime) -> None:
        """Bring the next look forward to `at`; never moves it back."""


class Ledger(Protocol):
    """Executions."""

    async def of_slots(self, slots: Collection[SlotKey]) -> Mapping[SlotKey, executions.Execution]:
        """Return the rows of slots (trigger schedule); those that have none are left out."""

    async def of_job(self, slot_at: datetime, job_uid: str) -> executions.Execution | None:
        """Return the run of this Job, looked for at this slot time."""

    async def recent(self, cronjob_id: UUID, limit: int) -> Sequence[executions.Execution]:
        """Return the newest by slot, and every open one, newest first."""

    async def save(self, execution: executions.Execution) -> None:
        """Insert or update by (slot_at, id).

        Raises errors.Conflict if the slot belongs to another Job.
        """


class History(Protocol):
    """What the rules and the judge look back on."""

    async def revisions(self, cronjob_id: UUID, since: datetime) -> Sequence[slots.Revision]:
        """Return the revision in force at `since` and all later ones, in order of time."""

    async def slots_with_rows(
        self, cronjob_id: UUID, after: datetime, until: datetime
    ) -> set[datetime]:
        """Return the slots in (after, until] that have a row."""

    async def typical_duration(self, cronjob_id: UUID, at_least: int) -> timedelta | None:
        """Return the p95 of the newest 100 succeeded runs, None for fewer than `at_least`."""

    async def open_jobs(self, cluster: str) -> Sequence[executions.Execution]:
        """Return all open executions of this cluster, for the comparison with a full list."""


class Neighbours(Protocol):
    """What the judge looks at around a job's slots."""

    async def runs_before(
        self, cronjob_id: UUID, at: datetime, limit: int
    ) -> Sequence[executions.Execution]:
        """Return the newest executions that had a Job, with a slot at or before `at`."""

    async def newest_started(self, cluster: str, limit: int) -> Sequence[Started]:
        """Return the active jobs of the cluster that started last, newest first."""


class Sight(Protocol):
    """Until when a cluster was seen, by the database's clock."""

    async def mark(self, cluster: str, through: datetime | None) -> datetime | None:
        """Keep until when the cluster was seen, never an earlier time; returns what stands."""

    async def dim(self, cluster: str) -> Sequence[UUID]:
        """Set the health of jobs that have no incident to Unknown; returns those that changed."""

    async def brighten(self, cluster: str) -> None:
        """Ask for a look at all jobs whose health is Unknown."""


class Attempts(Protocol):
    """Pods of executions, and who reports from them."""

    async def observe(
        self, seen: Mapping[executions.Execution, Sequence[executions.Attempt]]
    ) -> Mapping[UUID, Sequence[executions.Attempt]]:
        """Insert or update these pods and return all of each execution's, oldest first."""

    async def identify(self, pod_uid: str) -> Identity | None:
        """Return whose pod this is."""


class Events(Protocol):
    """What happened in an execution, kept beyond the life of the objects that told it."""

    async def record(
        self, execution: executions.Execution, events: Sequence[executions.Event]
    ) -> None:
        """Add these events; repeating it adds nothing."""

    async def of(self, execution_id: UUID) -> Sequence[executions.Event]:
        """Return the events of an execution, oldest first."""


class Gaps(Protocol):
    """Stretches of time that are told as one row."""

    async def save(self, gap: slots.Gap) -> None:
        """Insert or update by job, begin and status; the same again writes nothing."""

    async def of(self, cronjob_id: UUID, after: datetime, until: datetime) -> Sequence[slots.Gap]:
        """Return the gaps that reach into (after, until], oldest first."""


class Incidents(Protocol):
    """Incidents and their steps."""

    async def open_of(self, cronjob_id: UUID) -> Mapping[policies.Kind, incidents.Incident]:
        """Return the open incidents of a job."""

    async def save(self, step: incidents.Step, *, at: datetime) -> bool:
        """Write the incident and its transition with the reason for telling or not.

        False if another process opened one of this kind first: then nothing was written.
        """


class Outbox(Protocol):
    """Notifications that are to be sent."""

    async def enqueue(
        self, incident: incidents.Incident, channels: Sequence[str], payload: Mapping[str, Any]
    ) -> None:
        """Add one row per channel; repeating it adds nothing."""

    async def told(self, incident_id: UUID) -> Sequence[str]:
        """Return the channels that have or will have heard of this incident."""

    async def claim(
        self, holder: str, limit: int, lease: timedelta, *, cluster: str
    ) -> Sequence[Notification]:
        """Lease due rows (FOR UPDATE SKIP LOCKED), in order per incident and channel.

        A row is due only when no earlier row of its incident and channel is pending.
        """

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write what became of claimed rows and end their leases."""


class Transaction(Protocol):
    """One unit of work on the store."""

    now: datetime
    registry: Registry
    schedule: Schedule
    ledger: Ledger
    history: History
    attempts: Attempts
    events: Events
    gaps: Gaps
    incidents: Incidents
    outbox: Outbox
    sight: Sight
    neighbours: Neighbours
    reports: Reports
    windows: Windows
    dead_letters: DeadLetters
    audit: Audit

    async def summary(self, cronjob_id: UUID) -> Summary | None:
        """Return what the job's status shows."""


class Housekeeping(Protocol):
    """What keeps the store in shape; everything can be repeated, and be done by several at once.

    All raise errors.StoreUnavailable; what is done by then stays.
    """

    async def make_partitions(self) -> Sequence[str]:
        """Make the partitions of this week and the next ones; return what was made."""

    async def roll_up(self) -> Sequence[date]:
        """Roll up the days that need it; return them."""

    async def retire(self, weeks: int) -> Sequence[str]:
        """Remove what is older than this many whole weeks; return the partitions that went."""


class Store(Protocol):
    """Where everything is kept."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin; commit on leaving, roll back on an exception.

        Raises errors.StoreUnavailable when Postgres does not answer.
        """

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do the work in one transaction, all of it again after a deadlock or a lost connection.

        Raises errors.StoreUnavailable if repeating does not help.
        """

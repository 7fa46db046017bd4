"""The store, seen from the use cases.

Everything inside one `Transaction` is committed together or not at all; `Transaction.now` is the
database's clock, which all deadlines use.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from rollcall.core import incidents, policies, reporting, silences, slots
from rollcall.services.ports.accounts import Accounts
from rollcall.services.ports.outbox import Bundles, Losses, Outbox
from rollcall.services.ports.reports import Audit, DeadLetters, Reports, Windows
from rollcall.services.ports.runs import (
    Attempts,
    Events,
    Gaps,
    History,
    Ledger,
    Neighbours,
    Setups,
)
from rollcall.services.ports.values import (
    Applied,
    JobRow,
    JobState,
    Summary,
    TrackedJob,
    Trouble,
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

    async def some(self, cronjob_ids: Collection[UUID]) -> Sequence[JobRow]:
        """Return the rows of these jobs, without those that are deleted."""

    async def registered(self, cluster: str) -> Sequence[JobRow]:
        """Return all rows of this cluster that are not deleted."""


class Schedule(Protocol):
    """Which jobs are due for a look."""

    async def due(self, cluster: str, limit: int) -> Sequence[UUID]:
        """Return jobs whose next look is due, most overdue first; deleted ones excluded."""

    async def lock(self, cronjob_id: UUID) -> JobRow | None:
        """Lock the job's row for this transaction; None if somebody else has it or it is gone."""

    async def lock_all(self, cronjob_ids: Collection[UUID]) -> Sequence[JobRow]:
        """Lock the rows of many; those that somebody else has or that are gone are left out."""

    async def save(self, cronjob_id: UUID, state: JobState, next_check_at: datetime) -> None:
        """Keep the outcome of a look; only rows that changed are written."""

    async def save_all(self, outcomes: Mapping[UUID, tuple[JobState, datetime]]) -> None:
        """Keep the outcomes of looks: of each the state, and when to look again."""

    async def look_at(self, times: Mapping[UUID, datetime]) -> None:
        """Bring the next look at each job forward to its time; never moves one back."""


class Sight(Protocol):
    """Until when a cluster was seen, by the database's clock."""

    async def mark(self, cluster: str, through: datetime | None) -> datetime | None:
        """Keep until when the cluster was seen, never an earlier time; returns what stands."""

    async def kept_reports(self, cluster: str) -> None:
        """Keep that reports are kept now; after a break they are so from now on."""

    async def dim(self, cluster: str) -> Sequence[UUID]:
        """Set the health of jobs that have no incident to Unknown; returns those that changed."""

    async def brighten(self, cluster: str) -> None:
        """Ask for a look at all jobs whose health is Unknown."""


class Incidents(Protocol):
    """Incidents and their steps."""

    async def current_of(self, cronjob_id: UUID) -> Mapping[policies.Kind, incidents.Incident]:
        """Return the open and dismissed incidents of a job."""

    async def current_of_all(
        self, cronjob_ids: Collection[UUID]
    ) -> Mapping[UUID, Mapping[policies.Kind, incidents.Incident]]:
        """Return the same for many jobs, each of them."""

    async def told_before(
        self, cronjob_id: UUID, since: datetime
    ) -> Mapping[policies.Kind, datetime]:
        """Return by kind when the last one ended, since then, of which anybody was told."""

    async def lock(
        self, cluster: str, incident_id: UUID
    ) -> tuple[TrackedJob | None, incidents.Incident] | None:
        """Return one and its job, locked against looks and acts until the transaction ends.

        One about the cluster as a whole has no job: its cluster's row is locked.
        """

    async def subjects_of(
        self, incident_ids: Collection[UUID]
    ) -> Mapping[UUID, tuple[TrackedJob | None, policies.Kind]]:
        """Return of each incident whose it is, None for the cluster's own, and its kind."""

    async def save(self, step: incidents.Step, *, at: datetime) -> bool:
        """Write the incident and its transition with the reason for telling or not.

        False if another process took a step first: then nothing was written.
        """


class ClusterIncidents(Protocol):
    """Incidents about a cluster as a whole, and those of its jobs that tell of one."""

    async def lock(self, cluster: str) -> datetime | None:
        """Lock the cluster against looks at it and acts, and return until when it was seen."""

    async def current(self, cluster: str) -> Mapping[policies.Kind, incidents.Incident]:
        """Return the open and dismissed incidents about a cluster as a whole."""

    async def of_channels(self, cluster: str) -> Mapping[str, incidents.Incident]:
        """Return those about one of its channels, by channel."""

    async def told_before(self, cluster: str, channel: str, since: datetime) -> datetime | None:
        """Return when the last one about a channel ended, since then, of which anybody was told."""

    async def last_opened(self, cluster: str, kind: policies.Kind) -> datetime | None:
        """Return when the newest incident of a kind about a cluster was opened."""

    async def troubled(self, cluster: str, kinds: Collection[policies.Kind]) -> Sequence[Trouble]:
        """Return the open incidents of these kinds that jobs of the cluster have."""


class Silences(Protocol):
    """What keeps alerts quiet."""

    async def in_force(self, cluster: str) -> Sequence[silences.Silence]:
        """Return those that keep alerts quiet now."""

    async def add(self, cluster: str, silence: silences.Silence) -> None:
        """Insert one."""

    async def end(self, cluster: str, silence_id: UUID, by: str) -> silences.Silence | None:
        """End one now; return it as it was, None if there is none. One that is over stays so."""

    async def troubled(self, cluster: str) -> Sequence[UUID]:
        """Return the jobs that have an open incident."""


class Transaction(Protocol):
    """One unit of work on the store."""

    now: datetime
    registry: Registry
    schedule: Schedule
    ledger: Ledger
    history: History
    setups: Setups
    attempts: Attempts
    events: Events
    gaps: Gaps
    incidents: Incidents
    cluster_incidents: ClusterIncidents
    outbox: Outbox
    bundles: Bundles
    losses: Losses
    silences: Silences
    sight: Sight
    neighbours: Neighbours
    reports: Reports
    accounts: Accounts
    windows: Windows
    dead_letters: DeadLetters
    audit: Audit

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once all of it is kept, and never if it is undone."""

    async def summaries(self, cronjob_ids: Collection[UUID]) -> Mapping[UUID, Summary]:
        """Return what the statuses of jobs show; those that are not registered are left out."""


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

    async def beat(
        self, reports: Callable[[datetime], Sequence[reporting.Report]]
    ) -> Mapping[str, reporting.Kept]:
        """Keep reports that have no losses and no items but results, cheaper than `run` does.

        Returns by pod UID what became of results, at least; unknown pods are left out. `reports`
        builds them for a time that theirs are counted from. Raises what `run` does where nothing is
        kept; where some are, the others have a failure.
        """

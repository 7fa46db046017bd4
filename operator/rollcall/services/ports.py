"""What the use cases ask of the outside: small protocols, and the values that cross them.

Everything inside one `Transaction` is committed together or not at all. All instants are aware UTC;
`Transaction.now` is the database's clock, which all deadlines use.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from rollcall.core import executions, incidents, policies, slots

# By name: fields of the same name as their module would hide it in their own class.
from rollcall.core.health import Health
from rollcall.core.incidents import Incident

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedJob:
    """A TrackedCronJob as the registry keeps it."""

    id: UUID
    cluster: str
    uid: str
    namespace: str
    name: str
    group: str | None
    policy: Mapping[str, Any]  # `rules` and `alerts` of the spec, as written
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The CronJob as the API server has it after our apply, or after a hand edit of `suspend`."""

    cronjob_uid: str
    generation: int
    spec_hash: str
    revision: slots.Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the last evaluation left on the job's row."""

    judged_through: datetime | None = None  # every slot up to here has its row
    last_success_at: datetime | None = None
    last_schedule_at: datetime | None = None  # newest slot that was started
    consecutive_failures: int = 0
    health: Health = Health.NEW
    next_slot_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One row of `cronjobs`."""

    job: TrackedJob
    cronjob_uid: str | None  # None until the first apply
    generation: int | None
    spec_hash: str | None
    state: JobState
    deleted_at: datetime | None
    next_check_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The execution that a reporting pod belongs to."""

    cronjob_id: UUID
    namespace: str
    cronjob: str
    execution_id: UUID
    slot_at: datetime
    trigger: executions.Trigger
    job_name: str
    pod_uid: str
    attempt: int  # from 1, per completion index


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One row of the outbox: one message of one incident transition to one channel."""

    id: int
    incident_id: UUID
    channel: str
    key: str  # idempotency key, the same for every try
    type: str  # incident.opened, …
    payload: dict[str, Any]
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a job's status shows of the ledger."""

    row: JobRow
    last: executions.Execution | None  # newest by slot
    active: Sequence[executions.Execution] = ()
    incidents: Sequence[Incident] = ()  # open, worst first, inhibited ones included
    last_heartbeat_at: datetime | None = None  # any pod, ever
    unheard: int = 0  # newest ended runs in a row of which no pod was ever heard


class Registry(Protocol):
    """Which jobs exist, and what was applied for them."""

    async def register(self, job: TrackedJob) -> JobRow:
        """Insert or update the job's row; a change asks for a new look at once.

        A row of another UID with the same name is marked deleted: the name was reused.
        """

    async def applied(self, cronjob_id: UUID, applied: Applied) -> None:
        """Keep what was applied; a revision is added only if the rhythm differs from the last."""

    async def mark_deleted(self, cronjob_id: UUID, at: datetime) -> None:
        """Close the row; its history stays."""

    async def owner(self, cronjob_id: UUID) -> str | None:
        """Return the UID of the CronJob as applied; None without one, or for a deleted job."""

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

    async def of_slot(self, cronjob_id: UUID, slot_at: datetime) -> executions.Execution | None:
        """Return the slot's row (trigger schedule), if there is one."""

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


class Attempts(Protocol):
    """Pods of executions, and who reports from them."""

    async def observe(
        self, execution: executions.Execution, attempts: Sequence[executions.Attempt]
    ) -> Sequence[executions.Attempt]:
        """Insert or update these pods and return all of the execution's, oldest first."""

    async def identify(self, pod_uid: str) -> Identity | None:
        """Return whose pod this is."""

    async def heard(self, beats: Sequence[tuple[str, datetime]]) -> None:
        """Keep the latest heartbeat per pod UID; unknown pods are ignored."""


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

    async def settle(self, outcomes: Sequence["Outcome"]) -> None:
        """Write what became of claimed rows and end their leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try to deliver."""

    notification: Notification
    delivered: bool
    retry_at: datetime | None = None  # None and not delivered: given up
    counts: bool = True  # False: the try does not use up an attempt (429, paused channel)
    error: str | None = None


class Transaction(Protocol):
    """One unit of work on the store."""

    now: datetime
    registry: Registry
    schedule: Schedule
    ledger: Ledger
    history: History
    attempts: Attempts
    incidents: Incidents
    outbox: Outbox

    async def summary(self, cronjob_id: UUID) -> Summary | None:
        """Return what the job's status shows."""


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


class Evidence(Protocol):
    """The judge's own reads of the cluster; none of them is served from a watch."""

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        """Read the CronJob, None if it does not exist."""

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        """Read a Job, None if it does not exist."""

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        """Read the Events about this CronJob."""

    async def probe(self) -> None:
        """Make one small consistent read; raises errors.ClusterUnavailable if we are blind."""


class Directory(Protocol):
    """Which channels there are, and which a job's alerts go to."""

    def channels_for(
        self,
        namespace: str,
        name: str,
        *,
        kind: policies.Kind,
        severity: policies.Severity,
        wanted: Sequence[str] | None,
    ) -> Sequence[str]:
        """Return the names of the channels that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The answer of a channel to one message."""

    delivered: bool
    permanent: bool = False  # trying the same again cannot help
    retry_after: timedelta | None = None  # the channel asked for this pause
    error: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


class Sender(Protocol):
    """One configured channel that can be sent to."""

    async def send(self, notification: Notification) -> Delivery:
        """Send one message; never raises for what the other side does."""


class Senders(Protocol):
    """All configured channels."""

    async def sender(self, channel: str) -> Sender | None:
        """Return the channel with its secrets read, None if it does not exist (any more).

        Raises errors.InvalidSpec if it is misconfigured, errors.ClusterUnavailable if its secrets
        cannot be read now.
        """

    def report(self, channel: str, delivery: Delivery, at: datetime) -> None:
        """Keep the outcome for the channel's status."""

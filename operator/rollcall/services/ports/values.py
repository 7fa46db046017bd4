"""What crosses the ports of the store, beside the values of `core`. All instants are aware UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rollcall.core import dead_letters, executions, slots, windows

# By name: fields of the same name as their module would hide it in their own class.
from rollcall.core.health import Health
from rollcall.core.incidents import Incident
from rollcall.core.policies import Kind
from rollcall.core.silences import Silence

SlotKey = tuple[UUID, datetime]  # of which cronjob, when
Story = tuple[executions.Execution, Sequence[executions.Event]]  # what is to be added of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedJob:
    """A TrackedCronJob as the registry keeps it."""

    id: UUID
    cluster: str
    uid: str
    namespace: str
    name: str
    group: str | None
    policy: Mapping[str, Any]  # of the spec, as written, what `policies.read` reads
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedTemplate:
    """What a Job of a job was made from."""

    cronjob_id: UUID
    template: executions.JobTemplate


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
    index: int  # completion index, 0 without one


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
    thread: Mapping[str, Any] | None = None  # of the incident in the channel, begun last
    digest_id: int | None = None  # the first row of those that this message tells of at once
    waited_for: str | None = None  # why it was last made to wait
    waited_until: datetime | None = None

    @property
    def since(self) -> datetime:
        """Since when it could have been sent."""
        return max(self.created_at, self.waited_until or self.created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a job's status shows of the ledger."""

    row: JobRow
    last: executions.Execution | None  # newest by slot
    active: Sequence[executions.Execution] = ()
    incidents: Sequence[Incident] = ()  # open, worst first, behind them those inhibited
    last_heartbeat_at: datetime | None = None  # any pod, ever
    unheard: int = 0  # newest ended runs in a row of which no pod was ever heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A job that is not suspended, and the newest slot of it that was started."""

    cronjob_id: UUID
    revision: slots.Revision
    slot_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try to deliver."""

    notification: Notification
    delivered: bool
    retry_at: datetime | None = None  # None and not delivered: given up
    counts: bool = True  # False: the try does not use up an attempt (429, paused channel)
    error: str | None = None
    is_loss: bool = True  # given up although somebody was to hear it
    thread: Mapping[str, Any] | None = None  # as its delivery says


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSilence:
    """A silence as people see it."""

    silence: Silence
    created_at: datetime
    ended_by: str | None  # who ended it before its time


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """An open incident, and the last message of it that a channel has or will have."""

    incident: Incident
    channel: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An open incident of a job, as far as it tells of causes beyond that job."""

    job: TrackedJob
    kind: Kind
    reason: str
    evidence: Mapping[str, Any]
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlived:
    """A run that is over, and whether this pod of it has been seen to end."""

    run: executions.Execution
    pod_has_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindow:
    """The open window of a job, and the Job that has it."""

    lease: windows.Lease
    job_name: str  # empty if its execution is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One row of `dead_letters`."""

    id: UUID
    cronjob_id: UUID
    namespace: str
    cronjob: str
    execution_id: UUID
    at: datetime
    item: str
    payload: Any
    error: str
    state: dead_letters.State
    state_at: datetime
    actor: str | None  # who brought it into this state
    note: str | None
    handed_to: UUID | None  # the execution that was asked to process it again
    handed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act: who did what to which object, and what it changed."""

    at: datetime
    actor: str
    verb: str
    target: str  # kind/id
    reason: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

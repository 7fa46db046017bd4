"""What programs say of their own runs, and what of it may be kept.

The rules:
- An item is known by (pod UID, boot, seq): repeating it, in any order, changes nothing. `boot`
  names one start of the sidecar's process, `seq` counts from 1 over all its items.
- Progress and result are the latest; errors, dead letters and checkpoints are kept one by one.
- When something was said is told by the pod's clock, for people; nothing is decided by it. When it
  was heard is told by the database's clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from rollcall.core.unsent import Unsent
from rollcall.core.windows import Stretch

# The largest of each, in characters; the tables have the same limits as CHECK constraints.
LONGEST_TYPE = 200
LONGEST_MESSAGE = 4000  # of an error, a result and a dead letter's error
LONGEST_ITEM = 500
LONGEST_STAGE = 100
LONGEST_PROGRESS_MESSAGE = 1000
LARGEST_NUMBER = 2**53 - 1  # what every JSON reader keeps exactly
LONGEST_RETRY = 86_400  # seconds
LARGEST_VALUE = 64 * 1024  # bytes of JSON: a checkpoint's value, a dead letter's payload
LARGEST_METADATA = 8 * 1024  # bytes of JSON
MOST_COUNTERS = 64
COUNTER_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
DEEPEST = 64  # levels of a value; programs nest a handful, and readers recurse
# Of one attempt: what is beyond tells nobody more.
MOST_ERRORS = 1000  # further ones are counted
MOST_DEAD_LETTERS = 1000  # further ones are refused: a lost item must not look kept
# Of one run, whose pods can be thousands.
MOST_ERRORS_OF_RUN = 10_000
MOST_DEAD_LETTERS_OF_RUN = 10_000
CHECKPOINTS_KEPT = 3  # of a pod
# Of one completion index, beside those that go on: a Job may retry without end.
MOST_PODS_WITH_CHECKPOINTS = 100
MOST_REQUEUED = 100  # that one run is handed
LARGEST_REQUEUED = 128 * 1024  # bytes of JSON, as the run's sidecar is answered

Counters: TypeAlias = Mapping[str, int | float]
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class Verdict(StrEnum):
    """What a program says of its own work, stored by value; the order is from best to worst."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"


class ErrorClass(StrEnum):
    """Whether trying again can help, as the program sees it; stored by value."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a program is. `seq` counts progress alone, apart from the items."""

    seq: int
    done: float | None = None  # 0 to LARGEST_NUMBER, as `total`
    total: float | None = None
    stage: str | None = None
    message: str | None = None
    counters: Counters | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a later run can go on; `value` is any JSON."""

    seq: int
    at: datetime
    value: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Something that went wrong, whether or not the program went on; `retry_after` in seconds."""

    seq: int
    at: datetime
    type: str
    message: str
    item: str | None = None
    error_class: ErrorClass | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An item that the program could not process; `requeue_of` is the one that it was before."""

    seq: int
    at: datetime
    item: str
    payload: Json
    error: str
    requeue_of: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the program says of its work as a whole; the latest counts."""

    seq: int
    at: datetime
    result: Verdict
    message: str | None = None
    counters: Counters | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """A requeued dead letter, handed to this run, is processed."""

    seq: int
    at: datetime
    id: UUID


Item: TypeAlias = Checkpoint | Error | DeadLetter | Result | Handled


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An item that is not kept: `status` is the HTTP status, `detail` names the field or limit."""

    seq: int
    status: int
    detail: str


@dataclass(slots=True, kw_only=True)
class Report:
    """All that came from one pod and one start of its sidecar since the last transaction.

    Progress, items and `lost` need `boot`. `items` are in order of seq. It is not frozen: one is
    made of every heartbeat, and freezing more than doubles what that takes.
    """

    pod_uid: str
    at: datetime  # when it was heard, by the database's clock
    beats: int = 1  # heartbeats in it; 0: the pod was not heard, somebody else says so of it
    boot: str | None = None
    attempt: int = 1  # of the pod's completion index, as ports.Identity has it
    job_name: str = ""
    progress: Progress | None = None
    items: Sequence[Item] = ()
    lost: Mapping[str, int] = field(default_factory=dict)  # by kind, since the sidecar's start
    unsent: Unsent | None = None  # in a termination message: this much of `lost`
    left: Result | None = None  # in a termination message: counts where none was reported
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of a report's items: those that are not in `refused` are settled for good.

    With a `failure` nothing of it is kept, while others of its batch are.
    """

    refused: Sequence[Refusal] = ()
    is_news: bool = False  # errors, dead letters or a result that were not there before
    failure: Exception | None = None
    lost: Mapping[str, int] = field(default_factory=dict)  # of what it says, without what arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one pod has reported so far. All instants are by the database's clock."""

    pod_uid: str
    last_heartbeat_at: datetime | None
    progress: Progress | None
    progress_at: datetime | None
    first_at: datetime | None  # when `first_done` was heard, or would have been: for the rate
    first_done: float | None
    moved_at: datetime | None  # when `done` or a counter last changed
    errors: int  # reported, kept or not
    dead_letters: int
    result: Verdict | None
    result_message: str | None
    result_counters: Counters | None
    metadata: Mapping[str, Any] | None
    result_at: datetime | None
    lost: Mapping[str, int]  # by kind, over all starts of the sidecar
    final_at: datetime | None  # the sidecar said goodbye


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A checkpoint that a run goes on from, and the run and attempt that it came from."""

    value: Json
    at: datetime
    execution_id: UUID
    attempt: int
    slot_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """A dead letter that a run is asked to process again."""

    id: UUID
    item: str
    payload: Json
    error: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The run that has the job's window."""

    execution_id: UUID
    job_name: str


class Want(StrEnum):
    """What a sidecar asks for with a report."""

    RUN = "run"
    EXPECTED_END = "expectedEnd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run is told of itself. `is_complete` False: asking again later can tell more."""

    idempotency_key: str
    date: date
    deadline: datetime | None
    window: Stretch | None = None
    window_held_by: Holder | None = None
    checkpoint: Handed | None = None
    requeued: Sequence[Requeued] = ()
    is_complete: bool = True


def losses(known: Mapping[str, Any] | None, boot: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Take what a start of the sidecar has lost so far into what is kept of its pod.

    Counts only grow; those of the starts before it are summed under `earlier`.
    """
    if known is None or known["boot"] != boot:
        return {"boot": boot, "counts": dict(counts), "earlier": lost_in_all(known)}
    before = known["counts"]
    highest = {kind: max(counts.get(kind, 0), before.get(kind, 0)) for kind in {*counts, *before}}
    return {**known, "counts": highest}


def lost_in_all(known: Mapping[str, Any] | None) -> dict[str, int]:
    """Sum over all starts of a pod's sidecar, by kind."""
    if not known:
        return {}
    now, earlier = known["counts"], known["earlier"]
    return {kind: now.get(kind, 0) + earlier.get(kind, 0) for kind in {*now, *earlier}}

"""Which stretch of time a run processes: `[from, until)`, one run at a time.

The rules:
- A window begins where the newest processed one ended, and ends at the slot at the latest: what
  runs that succeeded have processed is without holes and without doubles.
- Only a run that succeeded has processed its window. A partial one has not, and gives it back also
  where its result came so late that the window counted as processed.
- At most one window of a job is open. It is judged when the next one is handed out, by the status
  of its own run: nothing else ends it, and nothing has to be swept. But a pod of a run that
  is over may be at work in its grace period (Replace, deletion): its run still has the window.
- What a run was given and did not process is given to the next, also where none ever succeeded.
- Only runs of a slot have one, and only where no two of them run at a time: Forbid or Replace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from rollcall.core import durations, errors, slots
from rollcall.core.executions import OPEN, Status, Trigger

# A pod that reported so many heartbeat intervals ago and did not end is taken to be at work.
AT_WORK_FOR = 4
# Runs by hand are for looking, and may come at any time.
TRIGGERS = frozenset({Trigger.SCHEDULE})
CONCURRENCY = frozenset({"Forbid", "Replace"})
# The look-back of a first run whose schedule has no slot before: there is nothing to go by.
_DAY = timedelta(days=1)


class State(StrEnum):
    """The states of a window, stored by value."""

    OPEN = "open"
    DONE = "done"  # processed
    RELEASED = "released"  # not processed: the next run gets it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`spec.window`: how far the first run looks back, and how much one run gets at most.

    None means the distance to the slot before, and no bound.
    """

    initial: timedelta | None = None
    longest: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The time in [from, until); `has_more` says that it was cut and does not reach the slot."""

    from_at: datetime
    until_at: datetime
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A window that a run has or had, and the status of that run in the ledger.

    `is_at_work` says whether a pod of the run has not ended, whatever became of the run.
    """

    execution_id: UUID
    stretch: Stretch
    status: Status
    is_at_work: bool = False

    @property
    def verdict(self) -> State:
        """What its run made of it."""
        made = state_of(State.OPEN, self.status)
        return State.OPEN if made is State.RELEASED and self.is_at_work else made


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The run that asks for its window, under the revision of its slot."""

    execution_id: UUID
    slot_at: datetime
    trigger: Trigger
    revision: slots.Revision | None  # None: the slot's was never applied by us

    @property
    def may_have_one(self) -> bool:
        """Whether runs like this one have windows."""
        concurrency = self.revision.concurrency if self.revision else None
        return self.trigger in TRIGGERS and concurrency in CONCURRENCY


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, in this order: settle the open lease, then open a new one.

    `window` is what the run is told; with neither window nor `held_by` it has none.
    """

    settle: State | None = None  # None: there is no open lease, or it stays open
    opens: bool = False
    window: Stretch | None = None
    held_by: UUID | None = None  # the execution whose lease is open


NONE = Decision()


def read(spec: Mapping[str, Any]) -> Wish | None:
    """Read `window` of a TrackedCronJob's spec; None where it has none.

    Raises errors.InvalidSpec, naming the field and what to write instead.
    """
    raw = spec.get("window")
    if not isinstance(raw, Mapping):
        return None
    return Wish(initial=_duration(raw, "initial"), longest=_duration(raw, "max"))


def decide(
    asking: Asking, wish: Wish | None, *, open_lease: Lease | None, newest_done: Lease | None
) -> Decision:
    """Say which window a run gets; asking again gives the same.

    `newest_done` is the processed window that ends last.
    """
    if wish is None or not asking.may_have_one:
        return NONE
    if open_lease and open_lease.execution_id == asking.execution_id:
        return Decision(window=open_lease.stretch)
    if newest_done and newest_done.execution_id == asking.execution_id:
        return Decision(window=newest_done.stretch)  # a pod that is late: its run has succeeded
    if open_lease and open_lease.verdict is State.OPEN:
        return Decision(held_by=open_lease.execution_id)
    begin = _begin(asking, wish, open_lease, newest_done)
    if begin >= asking.slot_at:
        return NONE  # and a lease stays open: where it begins must not be forgotten
    end = min(asking.slot_at, begin + wish.longest) if wish.longest else asking.slot_at
    return Decision(
        settle=open_lease.verdict if open_lease else None,
        window=Stretch(from_at=begin, until_at=end, has_more=end < asking.slot_at),
        opens=True,
    )


def state_of(stored: State, status: Status) -> State:
    """Say what became of a window, by its row and the status of its run.

    The row of an open one is settled only when the next is handed out.
    """
    if stored is State.OPEN and status not in OPEN:
        return State.DONE if status is Status.SUCCEEDED else State.RELEASED
    late = stored is State.DONE and status is Status.PARTIAL
    return State.RELEASED if late else stored


def _begin(
    asking: Asking, wish: Wish, open_lease: Lease | None, newest_done: Lease | None
) -> datetime:
    """Return up to when everything is processed that ever was to be."""
    if open_lease and open_lease.verdict is State.DONE:
        return open_lease.stretch.until_at
    begins = [_processed_until(newest_done)] if newest_done else []
    begins += [open_lease.stretch.from_at] if open_lease else []
    return min(begins, default=asking.slot_at - (wish.initial or _distance(asking)))


def _processed_until(done: Lease) -> datetime:
    return done.stretch.from_at if done.status is Status.PARTIAL else done.stretch.until_at


def _distance(asking: Asking) -> timedelta:
    before = slots.before(asking.revision, asking.slot_at) if asking.revision else None
    return asking.slot_at - before if before else _DAY


def _duration(raw: Mapping[str, Any], name: str) -> timedelta | None:
    written = raw.get(name)
    if written is None:
        return None
    try:
        value = durations.parse(str(written))
    except ValueError as error:
        raise errors.InvalidSpec("InvalidDuration", f"window.{name}: {error}") from error
    if not value:
        raise errors.InvalidSpec(
            "InvalidDuration", f"window.{name}: write a duration above zero, like 90s, 6h or 1h30m"
        )
    return value

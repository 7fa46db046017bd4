"""Which slots were due, until when each could be started, and from when on it is final.

The rules, from how the CronJob controller starts Jobs (kubernetes
pkg/controller/cronjob/cronjob_controllerv2.go):
- A slot T can be started only until the next slot N, and only until its start deadline D: it is
  final at min(N, T + D) plus a grace.
- The schedule in force is the one that was applied, from the moment it was applied. Nothing is
  expected within BOUNDARY of such a moment, where either schedule may have won.
- A slot that waits is given up where another schedule or a suspension takes over: neither the
  controller nor our own apply starts it afterwards.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from rollcall.core import durations, schedule

# Latency of the controller and of our reading, and differences between clocks.
GRACE = timedelta(seconds=60)
BOUNDARY = timedelta(seconds=60)
_INSTANT = timedelta(microseconds=1)
# Searching ten years of minutes takes a third of a second, a day of them none.
_LOOK_BACK = (timedelta(days=1), timedelta(days=32), timedelta(days=366), durations.LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A schedule as the API server had it from `effective_from` on."""

    generation: int
    schedule: str
    time_zone: str
    deadline: timedelta
    concurrency: str  # Allow, Forbid or Replace
    suspended: bool
    effective_from: datetime

    @property
    def ticks(self) -> tuple[str, str]:
        """What says when slots come: schedule and zone."""
        return self.schedule, self.time_zone

    def same_rhythm(self, other: "Revision") -> bool:
        """Whether slots come and end the same way: then no new revision begins."""
        since, generation = other.effective_from, other.generation
        return replace(self, effective_from=since, generation=generation) == other


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """A schedule, and when it was in force."""

    schedule: str
    time_zone: str
    begin_at: datetime
    end_at: datetime | None = None  # None for the one that is


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One expected tick, under the revision in force."""

    at: datetime
    startable_until: datetime  # min(next slot, at + deadline, end of its revision's ticks)
    revision: Revision

    @property
    def final_at(self) -> datetime:
        """From when on no Job can be started for it any more."""
        return self.startable_until + GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJobReading:
    """What the judge read of the CronJob itself; `uid` and `created_at` tell a re-creation."""

    uid: str
    suspended: bool
    last_schedule_at: datetime | None
    revision: Revision | None = None  # None: not read
    last_success_at: datetime | None = None
    created_at: datetime | None = None
    suspended_by: str | None = None  # who set `suspend` last, and when
    suspended_at: datetime | None = None
    active: frozenset[str] = frozenset()  # UIDs of the Jobs that the controller counts as active
    keeps_succeeded: int = 3  # history limits
    keeps_failed: int = 1
    keeps_for: timedelta | None = None  # ttlSecondsAfterFinished of its Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReading:
    """One Event about the CronJob, newest message."""

    reason: str
    message: str
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of time told as one row: many slots in which nothing ran, or a time without slots.

    `status` is missed, unknown, suspended or blind. `until_at` is the last slot, inclusive, or the
    end of the time; None while it goes on. `count` is the number of slots without a row of their
    own.
    """

    cronjob_id: UUID
    from_at: datetime
    until_at: datetime | None
    status: str
    reason: str
    message: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """A time in which one revision's slots are expected, and until when they can be started."""

    revision: Revision
    after: datetime
    until: datetime
    given_up_at: datetime | None


def expected(revisions: Sequence[Revision], *, after: datetime, until: datetime) -> Iterator[Slot]:
    """Yield the expected slots in (after, until], in order; `revisions` are in order of time."""
    for stretch in _stretches(revisions, after, until):
        yield from _slots(stretch)


def count_expected(revisions: Sequence[Revision], *, after: datetime, until: datetime) -> int:
    """Count the expected slots in (after, until] without visiting each."""
    return sum(
        _ticks(stretch.revision).count_between(stretch.after, stretch.until)
        for stretch in _stretches(revisions, after, until)
    )


def next_after(revisions: Sequence[Revision], after: datetime) -> datetime | None:
    """Return the next tick of the revision in force, whether or not it is expected already."""
    if not revisions or revisions[-1].suspended:
        return None
    return _ticks(revisions[-1]).next_after(after)


def before(revision: Revision, at: datetime) -> datetime | None:
    """Return the last tick before an instant; None if there is none in ten years."""
    ticks, end = _ticks(revision), at - _INSTANT
    found = (ticks.latest_at_or_before(end, at - span) for span in _LOOK_BACK)
    return next((tick for tick in found if tick), None)


def first_expected(revisions: Sequence[Revision]) -> datetime | None:
    """Return the first expected slot since creation or resumption; None while suspended."""
    begin = None
    for revision in reversed(revisions):
        if revision.suspended:
            break
        begin = revision
    if begin is None:
        return None
    return _ticks(revisions[-1]).next_after(begin.effective_from + BOUNDARY - _INSTANT)


def rhythms(revisions: Sequence[Revision]) -> list[Rhythm]:
    """Return the schedules that were in force one after the other, whatever else changed."""
    found: list[Rhythm] = []
    for (expression, zone), same in itertools.groupby(revisions, key=lambda one: one.ticks):
        begin_at = next(same).effective_from
        if found:
            found[-1] = replace(found[-1], end_at=begin_at)
        found.append(Rhythm(schedule=expression, time_zone=zone, begin_at=begin_at))
    return found


def suspensions(cronjob_id: UUID, revisions: Sequence[Revision], since: datetime) -> list[Gap]:
    """Return the suspensions that reach beyond `since`, each with the slots that it left out."""
    found: list[Gap] = []
    begin: Revision | None = None
    for revision in revisions:
        if revision.suspended:
            begin = begin or revision
        elif begin:
            found.append(_suspension(cronjob_id, begin, revision.effective_from))
            begin = None
    if begin:
        found.append(_suspension(cronjob_id, begin, None))
    return [gap for gap in found if gap.until_at is None or gap.until_at > since]


def _suspension(cronjob_id: UUID, begin: Revision, end: datetime | None) -> Gap:
    left_out = _ticks(begin).count_between(begin.effective_from, end) if end else 0
    return Gap(
        cronjob_id=cronjob_id,
        from_at=begin.effective_from,
        until_at=end,
        status="suspended",
        reason="Suspended",
        message="the CronJob was suspended: no slot is expected",
        count=left_out,
    )


def _stretches(
    revisions: Sequence[Revision], after: datetime, until: datetime
) -> Iterator[_Stretch]:
    for position, revision in enumerate(revisions):
        following = revisions[position + 1] if position + 1 < len(revisions) else None
        last = min(until, following.effective_from - BOUNDARY) if following else until
        first = max(after, revision.effective_from + BOUNDARY - _INSTANT)
        if not revision.suspended and first < last:
            end = _given_up_at(revision, revisions[position + 1 :])
            yield _Stretch(revision=revision, after=first, until=last, given_up_at=end)


def _given_up_at(revision: Revision, later: Sequence[Revision]) -> datetime | None:
    """Return when the controller forgets what it has not started of this revision."""
    for following in later:
        if following.suspended or following.ticks != revision.ticks:
            return following.effective_from
    return None


def _slots(stretch: _Stretch) -> Iterator[Slot]:
    ticks, previous = _ticks(stretch.revision), None
    for tick in ticks.slots_between(stretch.after, stretch.until):
        if previous:
            yield _slot(stretch, previous, tick)
        previous = tick
    if previous:
        yield _slot(stretch, previous, ticks.next_after(previous))


def _slot(stretch: _Stretch, at: datetime, following: datetime | None) -> Slot:
    ends = (following, at + stretch.revision.deadline, stretch.given_up_at)
    return Slot(
        at=at,
        startable_until=min(end for end in ends if end),
        revision=stretch.revision,
    )


def _ticks(revision: Revision) -> schedule.Schedule:
    return _parsed(revision.schedule, revision.time_zone)


@lru_cache(maxsize=4096)  # one entry per distinct schedule
def _parsed(expression: str, zone: str) -> schedule.Schedule:
    return schedule.parse(expression, zone)

"""Which slots were due, when their fate is final, and the verdict of one that did not run.

The rules, from how the CronJob controller starts Jobs (kubernetes
pkg/controller/cronjob/cronjob_controllerv2.go):
- A slot T can be started only until the next slot N, and only until its start deadline D: it is
  final at min(N, T + D) plus a grace.
- The schedule in force is the one that was applied, from the moment it was applied. Nothing is
  expected within BOUNDARY of such a moment, where either schedule may have won.
- Before a verdict the judge has read the CronJob and the Job that the slot would have: nothing here
  rests on an event that may have been lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import durations, executions, schedule

# Latency of the controller and of our reading, and differences between clocks.
GRACE = timedelta(seconds=60)
BOUNDARY = timedelta(seconds=60)
# The controller backs off after a refusal and its Events are rate limited, so that the next slots
# may have none of their own (client-go tools/record: one event in five minutes after a burst).
EVIDENCE_BEFORE = timedelta(minutes=10)


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

    def same_rhythm(self, other: "Revision") -> bool:
        """Whether slots come and end the same way: then no new revision begins."""
        return (
            self.schedule,
            self.time_zone,
            self.deadline,
            self.concurrency,
            self.suspended,
        ) == (
            other.schedule,
            other.time_zone,
            other.deadline,
            other.concurrency,
            other.suspended,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One expected tick, under the revision in force."""

    at: datetime
    startable_until: datetime  # min(next slot, at + deadline)
    revision: Revision

    @property
    def final_at(self) -> datetime:
        """From when on no Job can be started for it any more."""
        return self.startable_until + GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJobReading:
    """What the judge read of the CronJob itself; `uid` differs after a re-creation."""

    uid: str
    suspended: bool
    last_schedule_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReading:
    """One Event about the CronJob, newest message."""

    reason: str
    message: str
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why nothing ran in a slot."""

    status: executions.Status
    reason: str
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)


def expected(revisions: Sequence[Revision], *, after: datetime, until: datetime) -> Iterator[Slot]:
    """Yield the expected slots in (after, until], in order; `revisions` are in order of time."""
    for position, revision in enumerate(revisions):
        following = revisions[position + 1] if position + 1 < len(revisions) else None
        last = min(until, following.effective_from - BOUNDARY) if following else until
        first = max(after, revision.effective_from + BOUNDARY - timedelta(microseconds=1))
        if not revision.suspended and first < last:
            yield from _of_revision(revision, first, last)


def next_after(revisions: Sequence[Revision], after: datetime) -> datetime | None:
    """Return the next tick of the revision in force, whether or not it is expected already."""
    if not revisions or revisions[-1].suspended:
        return None
    return _schedule(revisions[-1]).next_after(after)


def first_expected(revisions: Sequence[Revision]) -> datetime | None:
    """Return the first expected slot since creation or resumption; None while suspended."""
    begin = None
    for revision in reversed(revisions):
        if revision.suspended:
            break
        begin = revision
    if begin is None:
        return None
    floor = begin.effective_from + BOUNDARY - timedelta(microseconds=1)
    return _schedule(revisions[-1]).next_after(floor)


def judge(
    slot: Slot,
    *,
    cronjob: CronJobReading | None,
    runs: Sequence[executions.Execution],
    events: Sequence[EventReading],
) -> Verdict:
    """Say why a final slot has no Job; `runs` are the job's executions around the slot."""
    if cronjob and cronjob.last_schedule_at == slot.at:
        return Verdict(
            status=executions.Status.UNKNOWN,
            reason="JobGone",
            message="the CronJob says that it started this slot, but its Job is gone",
        )
    blocker = _blocker(slot, runs)
    if blocker:
        return Verdict(
            status=executions.Status.SKIPPED,
            reason="ForbidConcurrent",
            message=f"{blocker.job_name} was still running (concurrencyPolicy Forbid)",
            evidence={"blockedBy": blocker.job_name},
        )
    return _missed(slot, cronjob, events)


def _missed(slot: Slot, cronjob: CronJobReading | None, events: Sequence[EventReading]) -> Verdict:
    reason, message = _cause(slot, cronjob, events)
    return Verdict(status=executions.Status.MISSED, reason=reason, message=message)


def _cause(
    slot: Slot, cronjob: CronJobReading | None, events: Sequence[EventReading]
) -> tuple[str, str]:
    if cronjob is None:
        return "CronJobDeleted", "the CronJob did not exist when the slot was due"
    if cronjob.suspended:
        return "Suspended", "the CronJob was suspended when the slot was due"
    near = [
        event
        for event in events
        if slot.at - EVIDENCE_BEFORE <= event.last_at <= slot.final_at + GRACE
    ]
    for event in sorted(near, key=lambda event: event.last_at, reverse=True):
        if event.reason == "FailedCreate":
            quota = "exceeded quota" in event.message
            return "QuotaExceeded" if quota else "AdmissionDenied", event.message
        if event.reason in {"UnknownTimeZone", "UnparseableSchedule", "InvalidSchedule"}:
            return event.reason, event.message
    waited = durations.text(slot.startable_until - slot.at)
    return "NotStarted", f"no Job was created within {waited}, and no Event says why"


def _blocker(slot: Slot, runs: Sequence[executions.Execution]) -> executions.Execution | None:
    if slot.revision.concurrency != "Forbid":
        return None
    for run in runs:
        if run.trigger is not executions.Trigger.SCHEDULE or run.created_at is None:
            continue
        ended = None if run.is_open else run.ended_at
        if run.created_at <= slot.at and (ended is None or ended >= slot.startable_until):
            return run
    return None


def _of_revision(revision: Revision, after: datetime, until: datetime) -> Iterator[Slot]:
    ticks = _schedule(revision)
    for tick in ticks.slots_between(after, until):
        following = ticks.next_after(tick)
        limit = tick + revision.deadline
        yield Slot(
            at=tick,
            startable_until=min(following, limit) if following else limit,
            revision=revision,
        )


def _schedule(revision: Revision) -> schedule.Schedule:
    return schedule.parse(revision.schedule, revision.time_zone)

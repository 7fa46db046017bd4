"""What keeps a slot from starting: what CronJob, Events and the cluster's other jobs say."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core import durations, slots, upstream

# The controller backs off after a refusal and its Events are rate limited, so that the next slots
# may have none of their own (client-go tools/record: one event in five minutes after a burst).
EVIDENCE_BEFORE = timedelta(minutes=10)
# So many other jobs must have been due, and not started, before the controller is blamed.
STANDING_STILL = 2

_CANNOT_READ = frozenset({"UnknownTimeZone", "UnparseableSchedule", "InvalidSchedule"})
_CAME_LATE = frozenset({"MissSchedule", "TooManyMissedTimes"})
_TELLING = _CANNOT_READ | _CAME_LATE | {"FailedCreate"}


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason of the closed list for which nothing starts, and the Event that says so, if any."""

    reason: str
    message: str
    event: slots.EventReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The other jobs of the cluster that are not suspended."""

    started_at: datetime | None = None  # the newest slot that any of them started
    due_at: Sequence[datetime] = ()  # when each was due again after its last start, in order


NO_OTHERS = Others()


def telling(events: Sequence[slots.EventReading]) -> list[slots.EventReading]:
    """Return the Events that can be a cause, newest first."""
    found = [event for event in events if event.reason in _TELLING]
    return sorted(found, key=lambda event: event.last_at, reverse=True)


def find(
    slot: slots.Slot,
    *,
    cronjob: slots.CronJobReading | None,
    events: Sequence[slots.EventReading],
    others: Others,
) -> Cause | None:
    """Say what keeps a slot from starting; `events` are telling ones, newest first."""
    return _of_cronjob(slot, cronjob) or _of_events(slot, events) or _of_others(slot, others)


def nothing_known(slot: slots.Slot) -> Cause:
    """Say that nothing says it."""
    waited = durations.text(slot.startable_until - slot.at)
    return Cause("NotStarted", f"no Job was created within {waited}, and no Event says why")


def _of_cronjob(slot: slots.Slot, cronjob: slots.CronJobReading | None) -> Cause | None:
    if cronjob is None:
        return Cause("CronJobDeleted", "the CronJob did not exist when the slot was due")
    if cronjob.created_at and cronjob.created_at > slot.at:
        made = cronjob.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        return Cause("CronJobDeleted", f"the CronJob was deleted, and made again at {made}")
    begun = cronjob.suspended_at is None or cronjob.suspended_at <= slot.startable_until
    if cronjob.suspended and begun:
        who = f" by {cronjob.suspended_by}" if cronjob.suspended_by else ""
        return Cause("Suspended", f"the CronJob was suspended{who} when the slot was due")
    return None


def _of_events(slot: slots.Slot, events: Sequence[slots.EventReading]) -> Cause | None:
    for event in events:
        near = slot.at - EVIDENCE_BEFORE <= event.last_at <= slot.final_at + slots.GRACE
        if near and event.reason not in _CAME_LATE:
            return _of_event(event)
    late = next((event for event in events if event.reason in _CAME_LATE), None)
    if late and late.last_at >= slot.at:
        return Cause("TooLate", late.message, late)
    return None


def _of_event(event: slots.EventReading) -> Cause:
    if event.reason in _CANNOT_READ:
        return Cause(event.reason, event.message, event)
    refusal = upstream.refused(event.message)
    # It was the Job itself that was refused, whatever words were found for it.
    reason = "QuotaExceeded" if refusal.reason == "QuotaExceeded" else "AdmissionDenied"
    return Cause(reason, refusal.message or event.message, event)


def _of_others(slot: slots.Slot, others: Others) -> Cause | None:
    """Blame the controller where it started nothing anywhere, though others were due too."""
    last = others.started_at
    if last and last >= slot.at:
        return None
    due = bisect.bisect_right(others.due_at, slot.startable_until)
    if due < STANDING_STILL:
        return None
    since = f"since {last.strftime('%Y-%m-%d %H:%M UTC')}" if last else "at all"
    return Cause(
        "ControllerDown",
        f"no CronJob of {due} others that were due was started {since}:"
        " the CronJob controller stands still",
    )

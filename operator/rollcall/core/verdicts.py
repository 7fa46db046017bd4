"""The verdict of a final slot that has no Job: what kept it from starting, by what evidence.

In this order, the first that holds:
1. The CronJob says that it started this slot: its Job is gone, and with it how it went.
2. Under Forbid one run was going on from the slot until it could not be started any more: skipped.
3. The CronJob was made again within a minute of the slot: nothing was expected.
4. We were blind, for so long that a Job could have come and gone in that time: unknown.
5. Missed; why, say CronJob, Events and the other jobs of the cluster, in this order.

Nothing here rests on a watch: the readings are the judge's own, made after the slot was final.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core import blindness, causes, durations, executions, slots

# So long is every Job kept after its end: history limits and time to live that we apply are never
# below it (`core.manifests`). Blindness that is shorter hides no Job, except under Replace.
KEPT_AT_LEAST = timedelta(minutes=15)
# So long the controller may take to notice that a run has ended, and to start what it held up.
NOTICED_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known around the slots of one job; made by `evidence`, for many slots at once."""

    cronjob: slots.CronJobReading | None
    holders: Sequence[executions.Execution]  # runs that could have held a slot under Forbid
    events: Sequence[slots.EventReading]  # those that can be a cause, newest first
    sight: blindness.Sight
    kept_since: datetime | None  # a Job created since then still exists; None: all do
    others: causes.Others


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why nothing ran in a slot; `event` is the Event that says so, if one does."""

    status: executions.Status
    reason: str
    message: str
    event: slots.EventReading | None = None


def evidence(
    *,
    cronjob: slots.CronJobReading | None,
    runs: Sequence[executions.Execution] = (),
    events: Sequence[slots.EventReading] = (),
    sight: blindness.Sight = blindness.CLEAR,
    kept_since: datetime | None = None,
    others: causes.Others = causes.NO_OTHERS,
) -> Evidence:
    """Keep of all readings those that can say something."""
    return Evidence(
        cronjob=cronjob,
        holders=[run for run in runs if _can_hold(run, cronjob)],
        events=causes.telling(events),
        sight=sight,
        kept_since=kept_since,
        others=others,
    )


def kept_since(
    cronjob: slots.CronJobReading | None,
    jobs: Sequence[executions.JobObservation],
    now: datetime,
) -> datetime | None:
    """Say since when every Job of this CronJob still exists, by what `jobs`, all of them, show.

    The controller deletes the oldest ended Jobs beyond the history limits; those that ended so long
    ago as the time to live are deleted too. None: none was deleted.
    """
    if cronjob is None:
        return now  # its Jobs went with it
    begins = [cronjob.created_at] if cronjob.created_at else []
    if cronjob.keeps_for is not None:
        begins.append(now - cronjob.keeps_for)
    limits = {
        executions.Status.SUCCEEDED: cronjob.keeps_succeeded,
        executions.Status.FAILED: cronjob.keeps_failed,
    }
    own = [job for job in jobs if job.owner_uid == cronjob.uid]  # no other is counted or deleted
    for status, limit in limits.items():
        ended = [job.created_at for job in own if job.decided is status]
        if len(ended) >= limit:
            begins.append(min(ended, default=now))
    return max(begins, default=None)


def judge(slot: slots.Slot, found: Evidence) -> Verdict | None:
    """Say why a final slot has no Job; None if it was not expected after all."""
    cronjob = found.cronjob
    if cronjob and cronjob.last_schedule_at == slot.at:
        return Verdict(
            status=executions.Status.UNKNOWN,
            reason="JobGone",
            message="the CronJob says that it started this slot, but its Job is gone",
        )
    holder = _holder(slot, found)
    if holder:
        return Verdict(
            status=executions.Status.SKIPPED,
            reason="ForbidConcurrent",
            message=f"{holder.job_name} was still running (concurrencyPolicy Forbid)",
        )
    if cronjob and cronjob.created_at and abs(cronjob.created_at - slot.at) <= slots.BOUNDARY:
        return None
    hidden = _hidden(slot, found)
    if hidden:
        return Verdict(
            status=executions.Status.UNKNOWN,
            reason="NotSeen",
            message=f"Rollcall could not see the cluster for {durations.text(hidden.length)},"
            " and a Job of this slot may have come and gone in that time",
        )
    why = cause(slot, found) or causes.nothing_known(slot)
    return Verdict(
        status=executions.Status.MISSED,
        reason=why.reason,
        message=why.message,
        event=why.event,
    )


def cause(slot: slots.Slot, found: Evidence) -> causes.Cause | None:
    """Say what keeps a slot from starting, final or not; None if nothing says it."""
    return causes.find(slot, cronjob=found.cronjob, events=found.events, others=found.others)


def _can_hold(run: executions.Execution, cronjob: slots.CronJobReading | None) -> bool:
    """Whether the controller counts the run as active; a Job started by hand is not among them.

    One whose end nobody saw proves nothing: it may have ended long before it was found to be gone.
    """
    if run.created_at is None or run.status is executions.Status.UNKNOWN:
        return False
    return _is_active(run, cronjob) or run.trigger is executions.Trigger.SCHEDULE


def goes_on(run: executions.Execution, cronjob: slots.CronJobReading | None) -> bool:
    """Whether a run goes on: for the controller also a decided one does, until its pods ended."""
    return run.is_open or _is_active(run, cronjob)


def _is_active(run: executions.Execution, cronjob: slots.CronJobReading | None) -> bool:
    return cronjob is not None and run.job_uid in cronjob.active


def _holder(slot: slots.Slot, found: Evidence) -> executions.Execution | None:
    if slot.revision.concurrency != "Forbid":
        return None
    for run in found.holders:
        ended = None if goes_on(run, found.cronjob) else run.ended_at
        began = run.created_at is not None and run.created_at <= slot.at
        if began and (ended is None or ended + NOTICED_WITHIN >= slot.startable_until):
            return run
    return None


def _hidden(slot: slots.Slot, found: Evidence) -> blindness.Blind | None:
    """Return the blindness in which the slot's whole run could have taken place."""
    last = found.cronjob.last_schedule_at if found.cronjob else None
    if last and last < slot.at:
        return None  # the CronJob says that it has started nothing since
    if slot.revision.concurrency == "Replace":  # its Job went for the next slot's, how soon ever
        went_at = slot.startable_until
        return next(
            (one for one in found.sight.blind if one.from_at <= went_at <= one.until_at), None
        )
    if found.kept_since is None or slot.at >= found.kept_since:
        return None
    for period in found.sight.blind:
        touches = period.from_at <= slot.startable_until and slot.at <= period.until_at
        if touches and period.length > KEPT_AT_LEAST:
            return period
    return None

"""What a look leaves behind: the job's latest state, and when anything can change by time alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rollcall.core import executions, findings, health, incidents, policies, slots, streaks
from rollcall.services import alerting, ports
from rollcall.services.timeline import Timeline

LOOK_AT_LEAST_EVERY = timedelta(hours=1)


def state(
    facts: findings.Facts,
    line: Timeline,
    still_open: Sequence[incidents.Incident],
    judged_through: datetime | None,
) -> ports.JobState:
    """Sum up the job."""
    before = line.row.state
    started = [
        run.slot_at
        for run in facts.recent
        if run.created_at and run.trigger is executions.Trigger.SCHEDULE
    ]
    known = [at for at in (*started, before.last_schedule_at) if at]
    return ports.JobState(
        judged_through=judged_through,
        last_success_at=facts.last_success_at,
        last_schedule_at=max(known, default=None),
        consecutive_failures=len(streaks.failures_in_a_row(facts.recent)),
        health=health.health(
            [incident.severity for incident in still_open],
            suspended=facts.suspended,
            has_history=facts.first_slot_final,
        ),
        next_slot_at=slots.next_after(line.revisions, facts.now),
    )


def look_again_at(
    facts: findings.Facts,
    line: Timeline,
    checks: Mapping[policies.Kind, findings.Check],
    updated: alerting.Updated,
    judged_through: datetime | None,
) -> datetime:
    """Return when to look again without being asked.

    At the next tick in any case, expected or not: from there on it can be late, and what is shown
    as the next slot must not lie in the past.
    """
    now = facts.now
    if not line.is_whole or (line.final and line.final[-1].at != judged_through):
        return now
    times = [check.look_again_at for check in checks.values()]
    alerts = facts.policy.alerts
    times += [incidents.remind_at(incident, alerts) for incident in updated.still_open]
    times += [incidents.escalate_at(incident, alerts) for incident in updated.still_open]
    times += [incidents.stable_at(incident) for incident in updated.still_open]
    times.append(updated.quiet_until)
    if line.unstarted:  # slots are judged in order: none before the first of them
        times.append(max(line.final_at(line.waiting[0]), now))
    times.append(slots.next_after(line.revisions, now))
    return min([at for at in times if at] + [now + LOOK_AT_LEAST_EVERY])

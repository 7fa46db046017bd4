"""Facts about a job, its policy and now: what is wrong, how badly, and when to look again.

Each check returns a Check: a finding if the rule holds, and the next instant at which its answer
can change by time alone. An execution that ends or a slot that becomes final asks for a new look by
itself. A new job raises nothing before its first slot is final, `late` and `overrunning` excepted.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from rollcall.core import durations, findings, report_rules, schedule, slots, streaks
from rollcall.core.executions import Status, Trigger
from rollcall.core.findings import NOTHING, Check, Facts
from rollcall.core.policies import AUTO, Kind, Severity

SHORTEST_STALE = timedelta(minutes=10)
SHORTEST_OVERRUN = timedelta(hours=2)
RUNS_FOR_A_TYPICAL_DURATION = 5

# Which open finding explains another one: the explained one is kept and shown, not notified.
INHIBITED_BY: Mapping[Kind, frozenset[Kind]] = {
    Kind.LATE: frozenset({Kind.MISSED}),
    Kind.STALE: frozenset({Kind.LATE, Kind.MISSED, Kind.FAILING, Kind.OVERRUNNING}),
}


def check(facts: Facts) -> dict[Kind, Check]:
    """Answer every enabled rule."""
    return {
        kind: rule(facts) if facts.policy.rules[kind].enabled else NOTHING
        for kind, rule in _RULES.items()
    }


def _late(facts: Facts) -> Check:
    waiting = [
        run.slot_at
        for run in facts.open_runs
        if run.trigger is Trigger.SCHEDULE and run.status is Status.PENDING
    ]
    if facts.unstarted:
        waiting.append(facts.unstarted)
    if not waiting or _blocked(facts):
        return NOTHING
    since = min(waiting)
    waited = durations.text(facts.now - since)
    reason, detail = _waiting_reason(facts, since)
    return findings.by_duration(
        facts,
        Kind.LATE,
        _limits(facts, Kind.LATE),
        since=since,
        reason=reason,
        message=f"the slot of {_clock(since)} has not started for {waited}{detail}",
        evidence={"slotTime": since.isoformat()},
    )


def _missed(facts: Facts) -> Check:
    row = streaks.misses_in_a_row(facts.recent, facts.gaps)
    if not row:
        return NOTHING
    what = "slot was missed" if row.count == 1 else "slots in a row were missed"
    return findings.by_count(
        facts,
        Kind.MISSED,
        row.count,
        since=row.since,
        reason=row.reason,
        message=f"{row.count} {what}, the last at {_clock(row.last_at)}: {row.message}",
        evidence={},
        execution_id=row.execution_id,
    )


def _failing(facts: Facts) -> Check:
    row = streaks.failures_in_a_row(facts.recent)
    if not row:
        return NOTHING
    newest, oldest = row[0], row[-1]
    what = "run failed" if len(row) == 1 else "runs in a row failed"
    code = f" with exit code {newest.exit_code}" if newest.exit_code is not None else ""
    return findings.by_count(
        facts,
        Kind.FAILING,
        len(row),
        since=oldest.ended_at or oldest.slot_at,
        reason=newest.reason or "Failed",
        message=f"{len(row)} {what}, the last ({newest.job_name}){code}: {newest.reason}",
        evidence={"exitCode": newest.exit_code},
        execution_id=newest.id,
    )


def _stale(facts: Facts) -> Check:
    since = _active_without_success(facts)
    if since is None:
        return NOTHING
    age = durations.text(facts.now - since)
    last = _clock(facts.last_success_at) if facts.last_success_at else "never"
    return findings.by_duration(
        facts,
        Kind.STALE,
        _limits(facts, Kind.STALE),
        since=since,
        reason="NoSuccess",
        message=f"no success for {age} (last success: {last})",
        evidence={"lastSuccessTime": _iso(facts.last_success_at)},
    )


def _overrunning(facts: Facts) -> Check:
    running = [run for run in facts.open_runs if run.status is Status.RUNNING and run.started_at]
    if not running:
        return NOTHING
    longest = min(running, key=lambda run: run.started_at or facts.now)
    since = longest.started_at or facts.now
    age = durations.text(facts.now - since)
    return findings.by_duration(
        facts,
        Kind.OVERRUNNING,
        _limits(facts, Kind.OVERRUNNING),
        since=since,
        reason="StillRunning",
        message=f"{longest.job_name} has been running for {age}",
        evidence={"jobName": longest.job_name, "startTime": since.isoformat()},
        execution_id=longest.id,
    )


_RULES = {
    Kind.LATE: _late,
    Kind.MISSED: _missed,
    Kind.FAILING: _failing,
    Kind.STALE: _stale,
    Kind.OVERRUNNING: _overrunning,
    Kind.NO_PROGRESS: report_rules.no_progress,
    Kind.ERRORS: report_rules.errors,
}


def _limits(facts: Facts, kind: Kind) -> dict[Severity, timedelta]:
    limits = {}
    for severity, threshold in facts.policy.rules[kind].thresholds.items():
        limit = _auto(facts, kind) if threshold is AUTO else threshold
        if isinstance(limit, timedelta):
            limits[severity] = limit
    return limits


def _auto(facts: Facts, kind: Kind) -> timedelta | None:
    if kind is Kind.OVERRUNNING:
        typical = facts.typical_duration
        return max(SHORTEST_OVERRUN, 3 * typical) if typical else SHORTEST_OVERRUN
    limits = (_limit_under(rhythm, facts) for rhythm in facts.rhythms)
    return min((limit for limit in limits if limit), default=None)


def _limit_under(rhythm: slots.Rhythm, facts: Facts) -> timedelta | None:
    """Return after how long without success a schedule makes a job stale.

    It speaks for the time in which it was in force alone: an edit makes nothing stale by itself,
    and mends nothing.
    """
    gap = _longest_gap(rhythm.schedule, rhythm.time_zone, facts.now.date())
    since = _active_without_success(facts)
    if gap is None or since is None:
        return None
    due_at = max(since, rhythm.begin_at) + max(SHORTEST_STALE, 2 * gap)
    counts = rhythm.end_at is None or due_at <= rhythm.end_at
    return due_at - since if counts else None


def _active_without_success(facts: Facts) -> datetime | None:
    """Return since when a success could have come and did not; None if none was expected."""
    if facts.suspended or facts.active_since is None or not facts.first_slot_final:
        return None
    return max(facts.active_since, facts.last_success_at or facts.active_since)


@lru_cache(maxsize=4096)  # one entry per distinct schedule and day
def _longest_gap(expression: str, zone: str, day: date) -> timedelta | None:
    start = datetime.combine(day, datetime.min.time(), tzinfo=UTC)
    return schedule.parse(expression, zone).longest_gap(start)


def _blocked(facts: Facts) -> bool:
    return facts.concurrency == "Forbid" and any(
        run.status is Status.RUNNING for run in facts.open_runs
    )


def _waiting_reason(facts: Facts, since: datetime) -> tuple[str, str]:
    """Return the reason for which the slot's run waits, and how a sentence goes on with it."""
    for run in facts.open_runs:
        if run.slot_at == since and run.reason:
            return run.reason, f": {run.reason}" + (f": {run.message}" if run.message else "")
    if facts.obstacle and since == facts.unstarted:
        return facts.obstacle.reason, f": {facts.obstacle.reason}: {facts.obstacle.message}"
    return "NotStarted", ""


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None

"""Facts about a job, its policy and now: what is wrong, how badly, and when to look again.

Each check returns a Check: a finding if the rule holds, and the next instant at which its answer
can change by time alone. An execution that ends or a slot that becomes final asks for a new look by
itself. A new job raises nothing before its first slot is final, `late` and `overrunning` excepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from rollcall.core import durations, schedule
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.policies import AUTO, Kind, Policy, Severity

SHORTEST_STALE = timedelta(minutes=10)
SHORTEST_OVERRUN = timedelta(hours=2)
RUNS_FOR_A_TYPICAL_DURATION = 5

# Which open finding explains another one: the explained one is kept and shown, not notified.
INHIBITED_BY: Mapping[Kind, frozenset[Kind]] = {
    Kind.LATE: frozenset({Kind.MISSED}),
    Kind.STALE: frozenset({Kind.MISSED, Kind.FAILING, Kind.OVERRUNNING}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at. `recent` is newest first, open executions included."""

    now: datetime
    policy: Policy
    schedule: str
    time_zone: str
    concurrency: str
    suspended: bool
    recent: Sequence[Execution]
    unstarted: datetime | None  # oldest expected slot without an execution, not yet final
    last_success_at: datetime | None
    active_since: datetime | None  # first expected slot since creation or resumption
    first_slot_final: bool
    typical_duration: timedelta | None  # p95 of succeeded runs, None for fewer than five

    @property
    def open_runs(self) -> list[Execution]:
        """Executions that have not ended."""
        return [run for run in self.recent if run.is_open]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that holds now, with its reason and evidence."""

    kind: Kind
    severity: Severity
    reason: str
    message: str
    since: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    execution_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The answer of one rule."""

    finding: Finding | None = None
    look_again_at: datetime | None = None


NOTHING = Check()


def check(facts: Facts) -> dict[Kind, Check]:
    """Answer every enabled rule."""
    return {
        kind: rule(facts) if facts.policy.rules[kind].enabled else NOTHING
        for kind, rule in _RULES.items()
    }


def successes_in_a_row(recent: Sequence[Execution]) -> int:
    """Count the newest successes since the last failed or missed execution."""
    count = 0
    for run in recent:
        if run.status in {Status.FAILED, Status.MISSED}:
            break
        count += run.status is Status.SUCCEEDED
    return count


def failures_in_a_row(recent: Sequence[Execution]) -> list[Execution]:
    """Return the scheduled failures since the last success by any trigger, newest first.

    Everything else is neutral: it neither counts nor ends the row.
    """
    row = []
    for run in recent:
        if run.status is Status.SUCCEEDED:
            break
        if run.status is Status.FAILED and run.trigger is Trigger.SCHEDULE:
            row.append(run)
    return row


def misses_in_a_row(recent: Sequence[Execution]) -> list[Execution]:
    """Return the slots in a row in which nothing ran, newest first; any later run ends the row."""
    row = []
    for run in recent:
        if run.has_run and (run.trigger is Trigger.SCHEDULE or run.status is Status.SUCCEEDED):
            break
        if run.status is Status.MISSED:
            row.append(run)
    return row


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
    return _by_duration(
        facts,
        Kind.LATE,
        since,
        reason=_waiting_reason(facts, since),
        message=f"the slot of {_clock(since)} has not started for {waited}",
        evidence={"slotTime": since.isoformat()},
    )


def _missed(facts: Facts) -> Check:
    row = misses_in_a_row(facts.recent)
    if not row:
        return NOTHING
    newest = row[0]
    what = "slot was missed" if len(row) == 1 else "slots in a row were missed"
    return _by_count(
        facts,
        Kind.MISSED,
        row,
        reason=newest.reason or "NotStarted",
        message=f"{len(row)} {what}, the last at {_clock(newest.slot_at)}: {newest.message}",
    )


def _failing(facts: Facts) -> Check:
    row = failures_in_a_row(facts.recent)
    if not row:
        return NOTHING
    newest = row[0]
    what = "run failed" if len(row) == 1 else "runs in a row failed"
    code = f" with exit code {newest.exit_code}" if newest.exit_code is not None else ""
    return _by_count(
        facts,
        Kind.FAILING,
        row,
        reason=newest.reason or "Failed",
        message=f"{len(row)} {what}, the last ({newest.job_name}){code}: {newest.reason}",
    )


def _stale(facts: Facts) -> Check:
    known = [at for at in (facts.last_success_at, facts.active_since) if at]
    if facts.suspended or facts.active_since is None or not facts.first_slot_final:
        return NOTHING
    since = max(known)
    age = durations.text(facts.now - since)
    last = _clock(facts.last_success_at) if facts.last_success_at else "never"
    return _by_duration(
        facts,
        Kind.STALE,
        since,
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
    return _by_duration(
        facts,
        Kind.OVERRUNNING,
        since,
        reason="StillRunning",
        message=f"{longest.job_name} has been running for {age}",
        evidence={"jobName": longest.job_name, "startTime": since.isoformat()},
        run=longest,
    )


_RULES = {
    Kind.LATE: _late,
    Kind.MISSED: _missed,
    Kind.FAILING: _failing,
    Kind.STALE: _stale,
    Kind.OVERRUNNING: _overrunning,
}


def _by_count(
    facts: Facts, kind: Kind, row: Sequence[Execution], *, reason: str, message: str
) -> Check:
    thresholds = facts.policy.rules[kind].thresholds
    reached = [
        severity
        for severity, threshold in thresholds.items()
        if isinstance(threshold, int) and len(row) >= threshold
    ]
    if not reached:
        return NOTHING
    return Check(
        finding=Finding(
            kind=kind,
            severity=max(reached, key=lambda severity: severity.weight),
            reason=reason,
            message=message,
            since=row[-1].ended_at or row[-1].slot_at,
            evidence={"count": len(row), "exitCode": row[0].exit_code},
            execution_id=row[0].id,
        )
    )


def _by_duration(
    facts: Facts,
    kind: Kind,
    since: datetime,
    *,
    reason: str,
    message: str,
    evidence: dict[str, Any],
    run: Execution | None = None,
) -> Check:
    limits = _limits(facts, kind)
    age = facts.now - since
    reached = [severity for severity, limit in limits.items() if age >= limit]
    ahead = [since + limit for limit in limits.values() if age < limit]
    look_again_at = min(ahead, default=None)
    if not reached:
        return Check(look_again_at=look_again_at)
    severity = max(reached, key=lambda severity: severity.weight)
    finding = Finding(
        kind=kind,
        severity=severity,
        reason=reason,
        message=message,
        since=since,
        evidence=evidence | {"threshold": durations.text(limits[severity])},
        execution_id=run.id if run else None,
    )
    return Check(finding=finding, look_again_at=look_again_at)


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
    gap = _longest_gap(facts.schedule, facts.time_zone, facts.now.date())
    return max(SHORTEST_STALE, 2 * gap) if gap else None


@lru_cache(maxsize=4096)  # one entry per distinct schedule and day
def _longest_gap(expression: str, zone: str, day: date) -> timedelta | None:
    start = datetime.combine(day, datetime.min.time(), tzinfo=UTC)
    return schedule.parse(expression, zone).longest_gap(start)


def _blocked(facts: Facts) -> bool:
    return facts.concurrency == "Forbid" and any(
        run.status is Status.RUNNING for run in facts.open_runs
    )


def _waiting_reason(facts: Facts, since: datetime) -> str:
    for run in facts.open_runs:
        if run.slot_at == since and run.reason:
            return run.reason
    return "NotStarted"


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None

"""The rules about runs: whether they fail, and how long they take."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rollcall.core import baselines, durations, findings, rule_specs, streaks, words
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.findings import NOTHING, Check, Facts, Finding
from rollcall.core.policies import Kind, Severity

SHORTEST_OVERRUN = timedelta(hours=2)
RUNS_FOR_A_TYPICAL_DURATION = 5
# A run is slow if it took longer than is usual by at least so much.
SLOW_AT_LEAST = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Odd:
    """A success, how long it took, and the limit that it is beyond."""

    run: Execution
    took: timedelta
    severity: Severity
    limit: timedelta


def failing(facts: Facts) -> Check:
    """Find runs in a row that failed."""
    row = streaks.failures_in_a_row(facts.recent)
    if not row:
        return NOTHING
    newest, oldest = row[0], row[-1]
    return findings.by_count(
        facts,
        Kind.FAILING,
        len(row),
        since=oldest.ended_at or oldest.slot_at,
        reason=newest.reason or "Failed",
        message=failing_message(newest, len(row)),
        evidence={
            "exitCode": newest.exit_code,
            "exitClass": words.exit_class(newest.exit_code),
        },
        execution_id=newest.id,
    )


def overrunning(facts: Facts) -> Check:
    """Find a run that goes on for too long; of several the one that does so longest."""
    running = [run for run in facts.open_runs if run.status is Status.RUNNING and run.started_at]
    if not running:
        return NOTHING
    longest = min(running, key=lambda run: run.started_at or facts.now)
    since = longest.started_at or facts.now
    age = durations.text(facts.now - since)
    typical = facts.typical_duration
    auto = max(SHORTEST_OVERRUN, 3 * typical) if typical else SHORTEST_OVERRUN
    return findings.by_duration(
        facts,
        Kind.OVERRUNNING,
        findings.limits(facts, Kind.OVERRUNNING, auto),
        since=since,
        reason="StillRunning",
        message=f"{longest.job_name} has been running for {age}",
        evidence={"jobName": longest.job_name, "startTime": since.isoformat()},
        execution_id=longest.id,
    )


def failure_rate(facts: Facts) -> Check:
    """Find that of the runs of the last time so many percent failed, again and again.

    Failures in a row, with nothing but successes beside them, are told by `failing` alone.
    """
    rule, row = facts.policy.rules[Kind.FAILURE_RATE], streaks.newest_failures(facts.recent)
    if not rule.window or not (row or facts.tally):
        return NOTHING
    tally = facts.tally or streaks.tally(facts.recent, facts.now - rule.window)
    percent = rule_specs.WHOLE * tally.failed // tally.total if tally.total >= rule.least else 0
    reached = findings.reached(facts, Kind.FAILURE_RATE, percent)
    if not reached or (len(row) >= tally.failed and _is_told_as_failing(facts, len(row))):
        return NOTHING
    window = durations.text(rule.window)
    finding = Finding(
        kind=Kind.FAILURE_RATE,
        severity=findings.worst(reached),
        reason="FailureRate",
        message=f"{percent} % of the runs of the last {window} failed"
        f" ({tally.failed} of {tally.total})",
        since=facts.now - rule.window,
        evidence={"percent": percent, "failed": tally.failed, "executions": tally.total},
        execution_id=row[0].id if row else None,
    )
    return Check(finding=finding)


def slow(facts: Facts) -> Check:
    """Find a success that took far longer than the job's runs do."""
    odd = _odd(
        facts,
        lambda place: findings.limits(facts, Kind.SLOW, _slow_after(facts.recent[place:])),
        is_beyond=operator.ge,
    )
    if odd is None:
        return NOTHING
    took, limit = durations.text(odd.took), durations.text(odd.limit)
    return _found(odd, Kind.SLOW, f"{odd.run.job_name} took {took}, where {limit} is slow")


def too_fast(facts: Facts) -> Check:
    """Find a success that came so fast that the run can hardly have done its work."""
    limits = findings.limits(facts, Kind.TOO_FAST)
    odd = _odd(facts, lambda _: limits, is_beyond=operator.lt)
    if odd is None:
        return NOTHING
    took, limit = durations.text(odd.took), durations.text(odd.limit)
    message = f"{odd.run.job_name} succeeded after {took}, in less than {limit}"
    return _found(odd, Kind.TOO_FAST, message)


def _is_told_as_failing(facts: Facts, count: int) -> bool:
    reached = findings.reached(facts, Kind.FAILING, count)
    is_enabled = facts.policy.rules[Kind.FAILING].enabled
    return is_enabled and any(severity is not Severity.INFO for severity in reached)


def failing_message(newest: Execution, count: int) -> str:
    """Say that so many runs in a row failed, the last one like this."""
    code = f" with {words.exit_code(newest.exit_code)}" if newest.exit_code is not None else ""
    why = words.end(newest.reason or "Error")
    if count == 1:
        return f"{newest.job_name} failed{code}: {why}"
    return f"{count} runs in a row failed, the last ({newest.job_name}){code}: {why}"


def _odd(
    facts: Facts,
    limits: Callable[[int], Mapping[Severity, timedelta]],
    *,
    is_beyond: Callable[[timedelta, timedelta], bool],
) -> _Odd | None:
    """Return the newest success of a slot if it took oddly long or short, and no later one did not.

    `limits` are those for the run at a place of `recent`. A run by hand is nobody's news, and
    proves as much as any other that all is well again.
    """
    for place, run in enumerate(facts.recent):
        took = _lasted(run)
        if took is None:
            continue
        known = limits(place)
        reached = [one for one, limit in known.items() if is_beyond(took, limit)]
        if not reached:
            return None
        if run.trigger is Trigger.SCHEDULE:
            severity = findings.worst(reached)
            return _Odd(run=run, took=took, severity=severity, limit=known[severity])
    return None


def _lasted(run: Execution) -> timedelta | None:
    """Return how long a run took that succeeded."""
    return run.duration if run.status is Status.SUCCEEDED else None


def _slow_after(runs: Sequence[Execution]) -> timedelta | None:
    """Return from when on the first of these runs is slow, by how long those before it took."""
    newest = _lasted(runs[0])
    if newest is None or newest < SLOW_AT_LEAST:
        return None
    before = [took.total_seconds() for run in runs[1:] if (took := _lasted(run)) is not None]
    usual = baselines.of(before)
    if usual is None:
        return None
    return timedelta(seconds=usual.median + max(usual.reach, SLOW_AT_LEAST.total_seconds()))


def _found(odd: _Odd, kind: Kind, message: str) -> Check:
    finding = Finding(
        kind=kind,
        severity=odd.severity,
        reason="Duration",
        message=message,
        since=odd.run.ended_at or odd.run.slot_at,
        evidence={
            "jobName": odd.run.job_name,
            "duration": durations.text(odd.took),
            "threshold": durations.text(odd.limit),
        },
        execution_id=odd.run.id,
    )
    return Check(finding=finding)

"""The rules about runs: whether they fail, and how long they take."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from rollcall.core import durations, findings, streaks
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.findings import NOTHING, Check, Facts, Finding
from rollcall.core.policies import Kind, Severity

SHORTEST_OVERRUN = timedelta(hours=2)
RUNS_FOR_A_TYPICAL_DURATION = 5


def failing(facts: Facts) -> Check:
    """Find runs in a row that failed."""
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


def too_fast(facts: Facts) -> Check:
    """Find a success that came so fast that the run can hardly have done its work."""
    limits = findings.limits(facts, Kind.TOO_FAST)
    odd = _odd(facts, lambda took: [one for one, limit in limits.items() if took < limit])
    if odd is None:
        return NOTHING
    run, took, severity = odd
    limit = durations.text(limits[severity])
    message = f"{run.job_name} succeeded after {durations.text(took)}, in less than {limit}"
    return _about(run, took, Kind.TOO_FAST, severity, message)


def _odd(
    facts: Facts, reached: Callable[[timedelta], Sequence[Severity]]
) -> tuple[Execution, timedelta, Severity] | None:
    """Return the newest success of a slot if it took oddly long or short, and no later one did not.

    A run by hand is nobody's news, and proves as much as any other that all is well again.
    """
    for run in facts.recent:
        took = run.duration
        if run.status is not Status.SUCCEEDED or took is None:
            continue
        severities = reached(took)
        if not severities:
            return None
        if run.trigger is Trigger.SCHEDULE:
            return run, took, findings.worst(severities)
    return None


def _about(run: Execution, took: timedelta, kind: Kind, severity: Severity, message: str) -> Check:
    finding = Finding(
        kind=kind,
        severity=severity,
        reason="Duration",
        message=message,
        since=run.ended_at or run.slot_at,
        evidence={"jobName": run.job_name, "duration": durations.text(took)},
        execution_id=run.id,
    )
    return Check(finding=finding)

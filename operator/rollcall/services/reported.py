"""What the programs of a job's runs reported, as far as its rules ask for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from rollcall.core import executions, findings, policies, progress, report_rules, reporting
from rollcall.services import ports

_ASKING = (policies.Kind.NO_PROGRESS, policies.Kind.ERRORS, policies.Kind.COUNTER)


async def gather(
    transaction: ports.Transaction,
    policy: policies.Policy,
    recent: Sequence[executions.Execution],
) -> Mapping[UUID, findings.Reported]:
    """Read it by run; nothing is read for a job whose rules do not ask.

    `recent` is newest first.
    """
    if not any(_asks(policy.rules[kind]) for kind in _ASKING):
        return {}
    types = policy.rules[policies.Kind.ERRORS].types
    runs = {run.id: run for run in report_rules.news(recent)}
    runs |= {run.id: run for run in recent if run.status is executions.Status.RUNNING}
    asks = _asks(policy.rules[policies.Kind.COUNTER])
    counted = report_rules.counted(recent) if asks else None
    if counted:
        runs[counted.id] = counted
    return {
        run.id: await _of(transaction, run, types, is_counted=run is counted)
        for run in runs.values()
    }


def _asks(rule: policies.Rule) -> bool:
    return rule.enabled and bool(rule.thresholds)


async def _of(
    transaction: ports.Transaction,
    run: executions.Execution,
    types: frozenset[str] | None,
    *,
    is_counted: bool,
) -> findings.Reported:
    heard = await transaction.reports.of(run.id)
    is_running = run.status is executions.Status.RUNNING
    moved = [one.moved_at for one in heard if one.moved_at and is_running]
    pods: Sequence[executions.Attempt] = ()
    if is_counted or moved:
        pods = (await transaction.attempts.observe({run: ()}))[run.id]
    return findings.Reported(
        moved_at=_moved_at(moved, pods),
        heard_at=max(
            (one.last_heartbeat_at for one in heard if one.last_heartbeat_at), default=None
        ),
        errors=await _errors(transaction, run, heard, types),
        dead_letters=sum(one.dead_letters for one in heard),
        counters=progress.counted(pods, heard) if is_counted else None,
    )


async def _errors(
    transaction: ports.Transaction,
    run: executions.Execution,
    heard: Sequence[reporting.Heard],
    types: frozenset[str] | None,
) -> int:
    if types is None or not any(one.errors for one in heard):
        return sum(one.errors for one in heard)
    counts = await transaction.reports.error_types(run.id)
    return sum(count for kind, count in counts.items() if kind in types)


def _moved_at(moved: Sequence[datetime], pods: Sequence[executions.Attempt]) -> datetime | None:
    """Return when the run last moved: a new pod of it is a move, too."""
    if not moved:
        return None
    return max([*moved, *(pod.started_at for pod in pods if pod.started_at)])

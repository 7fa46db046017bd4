"""What the programs of a job's runs reported, as far as its rules ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from rollcall.core import (
    baselines,
    counters,
    executions,
    findings,
    policies,
    progress,
    report_rules,
    reporting,
)
from rollcall.services import ports
from rollcall.services.recent import Recent

_ASKING = (policies.Kind.NO_PROGRESS, policies.Kind.ERRORS, policies.Kind.COUNTER)
# A run's history is that of the successes before it, which changes no more.
_KNOWN_FOR = 3600.0  # seconds
_REMEMBERED = 2000
# Pods that are read for one history, of twenty runs or more: a run of more pods has none.
_MOST_PODS = 2000
_MOST_OF_A_RUN = _MOST_PODS // baselines.RUNS


class Reported:
    """Reads it; nothing is read for a job whose rules do not ask."""

    def __init__(self) -> None:
        self._histories: Recent[tuple[UUID, frozenset[str]], counters.History] = Recent(
            lifetime=_KNOWN_FOR, size=_REMEMBERED
        )

    async def gather(
        self,
        transaction: ports.Transaction,
        policy: policies.Policy,
        recent: Sequence[executions.Execution],
    ) -> Mapping[UUID, findings.Reported]:
        """Return it by run; `recent` is newest first."""
        if not any(_asks(policy.rules[kind]) for kind in _ASKING):
            return {}
        errors = policy.rules[policies.Kind.ERRORS]
        runs = {run.id: run for run in report_rules.news(recent)}
        runs |= {run.id: run for run in recent if run.status is executions.Status.RUNNING}
        rule = policy.rules[policies.Kind.COUNTER]
        counted = report_rules.counted(recent) if _asks(rule) else []
        runs |= {run.id: run for run in counted[:1]}
        found = {
            run.id: await _of(transaction, run, errors, is_counted=run in counted[:1])
            for run in runs.values()
        }
        names = counters.compared(rule.bounds)
        for newest in counted[:1] if names else ():
            before = await self._history(transaction, counted, names)
            found[newest.id] = replace(found[newest.id], before=before)
        return found

    async def _history(
        self,
        transaction: ports.Transaction,
        runs: Sequence[executions.Execution],
        names: frozenset[str],
    ) -> counters.History:
        """Return what these counters were in the successes before the newest of these runs."""
        newest, *before = runs
        known = self._histories.get((newest.id, names))
        if known is None:
            known = await _read_history(transaction, before[: _most_runs(newest)], names)
            self._histories.put((newest.id, names), known)
        return known


async def _read_history(
    transaction: ports.Transaction, runs: Sequence[executions.Execution], names: frozenset[str]
) -> counters.History:
    if len(runs) < baselines.RUNS:
        return {}
    pods = await transaction.attempts.observe(dict.fromkeys(runs, ()))
    heard = await transaction.reports.of_all([run.id for run in runs])
    told = [progress.counted(pods[run.id], heard[run.id]) or {} for run in runs]
    return {name: tuple(one[name] for one in told if name in one) for name in names}


def _most_runs(newest: executions.Execution) -> int:
    """Return how many runs are read, if those before had as many pods."""
    pods = max(newest.attempts, 1)
    return _MOST_PODS // pods if pods <= _MOST_OF_A_RUN else 0


def _asks(rule: policies.Rule) -> bool:
    return rule.enabled and bool(rule.thresholds)


async def _of(
    transaction: ports.Transaction,
    run: executions.Execution,
    rule: policies.Rule,
    *,
    is_counted: bool,
) -> findings.Reported:
    heard = await transaction.reports.of(run.id)
    is_running = run.status is executions.Status.RUNNING
    moved = [one.moved_at for one in heard if one.moved_at and is_running]
    pods: Sequence[executions.Attempt] = ()
    if is_counted or moved:
        pods = (await transaction.attempts.observe({run: ()}))[run.id]
    errors = await _errors(transaction, run, heard, rule.types)
    letters = sum(one.dead_letters for one in heard)
    is_told = _asks(rule) and (errors or letters)
    return findings.Reported(
        moved_at=_moved_at(moved, pods),
        stage=_stage(heard),
        heard_at=max(
            (one.last_heartbeat_at for one in heard if one.last_heartbeat_at), default=None
        ),
        errors=errors,
        dead_letters=letters,
        example=await transaction.reports.example(run, rule.types) if is_told else None,
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


def _stage(heard: Sequence[reporting.Heard]) -> str | None:
    told = [
        (one.progress_at, one.progress.stage) for one in heard if one.progress_at and one.progress
    ]
    return max(told, key=lambda pair: pair[0])[1] if told else None


def _moved_at(moved: Sequence[datetime], pods: Sequence[executions.Attempt]) -> datetime | None:
    """Return when the run last moved: a new pod of it is a move, too."""
    if not moved:
        return None
    return max([*moved, *(pod.started_at for pod in pods if pod.started_at)])

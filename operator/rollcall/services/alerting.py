"""Findings become incidents, and incidents messages: all in the transaction of one look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rollcall.core import (
    executions,
    findings,
    incidents,
    messages,
    policies,
    rules,
    streaks,
)
from rollcall.services import ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What came of it: whether channels are told, whether anything changed, and what is open."""

    told: bool
    changed: bool
    still_open: Sequence[incidents.Incident]


class Alerting:
    """Brings incidents in line with findings."""

    def __init__(self, *, directory: ports.Directory, cluster: str) -> None:
        self._directory = directory
        self._cluster = cluster

    async def update(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        facts: findings.Facts,
        checks: Mapping[policies.Kind, findings.Check],
        before: Mapping[policies.Kind, incidents.Incident],
    ) -> Updated:
        """Open, change, remind of and resolve what the findings ask for.

        `before` are the job's open incidents.
        """
        found = {kind: check.finding for kind, check in checks.items() if check.finding}
        told = changed = False
        still_open = []
        for kind in policies.Kind:
            step = incidents.decide(
                before.get(kind),
                found.get(kind),
                cronjob_id=job.id,
                inhibited_by=_inhibitor(kind, found),
                alerts=facts.policy.alerts,
                recovered=_has_recovered(kind, facts),
                now=facts.now,
            )
            current = step.incident if step else before.get(kind)
            if current and current.is_open:
                still_open.append(current)
            if step:
                changed = True
                told |= await self._write(transaction, job, facts.policy.alerts, step, facts.recent)
        return Updated(told=told, changed=changed, still_open=still_open)

    async def withdraw(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        alerts: policies.Alerts,
        runs: Sequence[executions.Execution],
        at: datetime,
    ) -> bool:
        """End all incidents of a job that is gone; says whether channels are told."""
        told = False
        for incident in (await transaction.incidents.open_of(job.id)).values():
            step = incidents.withdraw(incident, at)
            told |= await self._write(transaction, job, alerts, step, runs)
        return told

    async def _write(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        alerts: policies.Alerts,
        step: incidents.Step,
        runs: Sequence[executions.Execution],
    ) -> bool:
        channels: Sequence[str] = ()
        if step.notify and step.transition:
            channels = await self._channels(transaction, job, alerts, step)
            if not channels:
                step = replace(step, notify=False, why="NoChannel")
        if not await transaction.incidents.save(step, at=transaction.now):
            return False
        if not step.notify or not step.transition:
            return False
        payload = messages.payload(
            step=step,
            transition=step.transition,
            at=transaction.now,
            cluster=self._cluster,
            subject=messages.Subject(
                namespace=job.namespace, name=job.name, uid=job.uid, group=job.group
            ),
            alerts=alerts,
            execution=_run_of(step.incident, runs),
            recent=runs,
        )
        await transaction.outbox.enqueue(step.incident, channels, payload)
        return True

    async def _channels(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        alerts: policies.Alerts,
        step: incidents.Step,
    ) -> Sequence[str]:
        """Return who is told: of an end, exactly those who heard of the beginning."""
        if step.transition in incidents.ENDS:
            return await transaction.outbox.told(step.incident.id)
        return self._directory.channels_for(
            job.namespace,
            job.name,
            kind=step.incident.kind,
            severity=step.incident.severity,
            wanted=alerts.channels,
        )


def _inhibitor(
    kind: policies.Kind, found: Mapping[policies.Kind, findings.Finding]
) -> policies.Kind | None:
    candidates = sorted(rules.INHIBITED_BY.get(kind, frozenset()) & found.keys())
    return candidates[0] if candidates else None


def _has_recovered(kind: policies.Kind, facts: findings.Facts) -> bool:
    if kind is not policies.Kind.FAILING:
        return True
    needed = facts.policy.alerts.recovery_threshold
    return streaks.successes_in_a_row(facts.recent) >= needed


def _run_of(
    incident: incidents.Incident, runs: Sequence[executions.Execution]
) -> executions.Execution | None:
    return next((run for run in runs if run.id == incident.execution_id), None)

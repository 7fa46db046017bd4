"""Findings become incidents, and incidents messages: all in the transaction of one look."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from rollcall.core import (
    executions,
    findings,
    incident_steps,
    incidents,
    policies,
    rules,
    wide,
)
from rollcall.services import job_messages, ports, quiet, timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What came of it: whether channels are told, whether anything changed, and what is open.

    `quiet_until` is when something that is open may no longer be kept quiet.
    """

    told: bool
    changed: bool
    still_open: Sequence[incidents.Incident]
    quiet_until: datetime | None


class Alerting:
    """Brings incidents in line with findings."""

    def __init__(
        self,
        *,
        directory: ports.Directory,
        quiet: quiet.Quiet,
        cluster: str,
        suppressed: Callable[[str], None],
        wait: Callable[[], timedelta],
    ) -> None:
        self._directory = directory
        self._wait = wait
        self._quiet = quiet
        self._cluster = cluster
        self._suppressed = suppressed

    async def update(
        self,
        transaction: ports.Transaction,
        line: timeline.Timeline,
        facts: findings.Facts,
        checks: Mapping[policies.Kind, findings.Check],
    ) -> Updated:
        """Open, change, remind of and resolve what the findings ask for."""
        before, alerts = line.incidents, facts.policy.alerts
        found = {kind: check.finding for kind, check in checks.items() if check.finding}
        lasting = {
            kind: incident
            for kind, incident in before.items()
            if kind not in found and not rules.recovered(incident, facts)
        }
        # What somebody dismissed explains nothing: nobody would be told of anything any more.
        current = {
            kind: one.severity
            for kind, one in (found | lasting).items()
            if not incident_steps.stays_dismissed(before.get(kind), found.get(kind))
        }
        announced = {
            kind
            for kind, one in before.items()
            if one.is_open and one.announced_at and not one.inhibited_by
        }
        told = changed = False
        still_open = []
        quiet_until = []
        told_before = await self._told_before(transaction, facts, line.row.job, found, before)
        for kind in sorted(found.keys() | before.keys(), key=list(policies.Kind).index):
            mute = self._quiet.mute(line.row.job, kind, alerts, line.silences, facts.now)
            step = incident_steps.decide(
                before.get(kind),
                found.get(kind),
                cronjob_id=line.row.job.id,
                inhibited_by=_inhibitor(kind, line, found, current, announced),
                silenced_by=mute.by if mute else None,
                alerts=alerts,
                recovered=kind not in lasting,
                told_before=told_before.get(kind),
                now=facts.now,
            )
            latest = step.incident if step else before.get(kind)
            if latest and latest.is_open:
                still_open.append(latest)
                quiet_until += [mute.until] if mute else []
            if step:
                changed = True
                is_told = await self._write(transaction, line.row.job, alerts, step, facts.recent)
                told |= is_told
                if not is_told and _is_news(before.get(kind), step):
                    transaction.after_commit(partial(self._suppressed, _why_not(step)))
        return Updated(
            told=told,
            changed=changed,
            still_open=still_open,
            quiet_until=min(quiet_until, default=None),
        )

    async def _told_before(
        self,
        transaction: ports.Transaction,
        facts: findings.Facts,
        job: ports.TrackedJob,
        found: Mapping[policies.Kind, findings.Finding],
        before: Mapping[policies.Kind, incidents.Incident],
    ) -> Mapping[policies.Kind, datetime]:
        """Look back if something is opened, which is rare."""
        if found.keys() <= before.keys():
            return {}
        since = facts.now - incidents.FLAPS_WITHIN
        return await transaction.incidents.told_before(job.id, since)

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
        for incident in (await transaction.incidents.current_of(job.id)).values():
            if not incident.is_open:
                continue
            step = incident_steps.withdraw(incident, at)
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
        return await job_messages.write(
            transaction,
            self._cluster,
            job,
            alerts,
            step,
            channels=channels,
            runs=runs,
            wait=self._wait() if _may_be_explained(step) else timedelta(),
        )

    async def _channels(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        alerts: policies.Alerts,
        step: incidents.Step,
    ) -> Sequence[str]:
        """Return who is told: of an end, exactly those who heard of the beginning.

        Channels that a step of escalation named hear of all that follows, and a step's severity
        stays.
        """
        if step.transition in incidents.ENDS:
            return await transaction.outbox.told(step.incident.id)
        taken = alerts.escalation[: step.incident.escalated]
        raised = [one.severity for one in taken if one.severity]
        severity = max([step.incident.severity, *raised], key=lambda one: one.weight)
        is_besides = step.transition is incidents.Transition.ESCALATED and not taken[-1].severity
        named = (
            taken[-1].channels if is_besides else [one for step in taken for one in step.channels]
        )
        names = set(self._named(job, step.incident.kind, named))
        if not is_besides:
            names |= set(self._routed(job, step.incident.kind, severity, alerts.channels))
        return sorted(names)

    def _named(
        self, job: ports.TrackedJob, kind: policies.Kind, channels: Sequence[str]
    ) -> Sequence[str]:
        """Return those that may be told, whatever severity they take."""
        return [
            name
            for severity in policies.Severity
            for name in self._routed(job, kind, severity, channels)
        ]

    def _routed(
        self,
        job: ports.TrackedJob,
        kind: policies.Kind,
        severity: policies.Severity,
        wanted: Sequence[str] | None,
    ) -> Sequence[str]:
        return self._directory.channels_for(
            job.namespace, job.name, kind=kind, severity=severity, wanted=wanted
        )


def _inhibitor(
    kind: policies.Kind,
    line: timeline.Timeline,
    found: Mapping[policies.Kind, findings.Finding],
    current: Mapping[policies.Kind, policies.Severity],
    announced: Collection[policies.Kind],
) -> policies.Kind | None:
    """Return what explains a problem: another one of the job, or one of the cluster."""
    if kind not in current:
        return None
    before = line.incidents.get(kind)
    now = found.get(kind) or before
    own = rules.inhibitor(kind, current, announced)
    return own or (wide.explains(line.of_cluster, now, before) if now else None)


def _may_be_explained(step: incidents.Step) -> bool:
    """Whether a cause beyond the job may be found at any moment, and is waited for a little."""
    is_news = step.transition in {incidents.Transition.OPENED, incidents.Transition.CHANGED}
    return is_news and step.incident.kind in wide.NOT_STARTED


def _is_news(before: incidents.Incident | None, step: incidents.Step) -> bool:
    """Whether there was something to tell: a step, or the problem once more."""
    repeats = before.suppressed if before else 0
    return step.transition is not None or step.incident.suppressed > repeats


def _why_not(step: incidents.Step) -> str:
    return "NoChannel" if step.notify else step.why.partition(":")[0]

"""What people do about incidents; every act stands in the audit log.

An act locks the job's row before it reads the incident, as looks do: they cannot overtake each
other. Channels are told at once of what changes for them, those that were told of the incident.
"""

from dataclasses import dataclass
from uuid import UUID

from rollcall.core import acts, errors, incidents, policies
from rollcall.services import job_messages, ports, timeline, wide_alerts, wide_looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Carries out acts about the incidents of one cluster, each in a transaction of the caller."""

    cluster: str
    defaults: policies.Defaults

    async def carry_out(
        self, unit: ports.Transaction, incident_id: UUID, wish: acts.Wish
    ) -> incidents.Incident:
        """Do it and write it down; return the incident as it is then.

        Raises errors.NotFound, errors.Conflict if it would change nothing.
        """
        found = await unit.incidents.lock(self.cluster, incident_id)
        if found is None:
            raise errors.NotFound(f"there is no alert {incident_id}")
        job, before = found
        step = acts.take(before, wish, unit.now)
        await self._write(unit, job, step)
        await unit.audit.record(
            ports.AuditEntry(
                at=unit.now,
                actor=wish.actor,
                verb=wish.act.value,
                target=acts.target(incident_id),
                reason=wish.reason,
                before=acts.told(before),
                after=acts.told(step.incident),
            )
        )
        return step.incident

    async def _write(
        self, unit: ports.Transaction, job: ports.TrackedJob | None, step: incidents.Step
    ) -> None:
        channels = await unit.outbox.told(step.incident.id) if step.notify else ()
        if job is None:
            await wide_alerts.write(unit, self.cluster, step, dict.fromkeys(channels, ()))
            await wide_looks.look_at_troubled(unit, self.cluster)
            return
        alerts = policies.read(job.policy, self.defaults).alerts
        runs = await unit.ledger.recent(job.id, timeline.RECENT) if channels else ()
        await job_messages.write(
            unit, self.cluster, job, alerts, step, channels=channels, runs=runs
        )
        # The look that follows brings status, reminders and what was asked for up to date.
        await unit.schedule.look_at({job.id: unit.now})

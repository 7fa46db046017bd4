"""Incidents and their steps.

Invariant: a step is written only onto the version that it was decided from. Whoever comes second,
be it with the same opening or with a step from an older reading, writes nothing and hears so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import incidents, policies
from rollcall.store import models

_incidents = models.table(models.Incident)
_transitions = models.table(models.IncidentTransition)

# Built once: building a statement costs more than running it.
_OPEN_OF = sa.select(_incidents).where(
    _incidents.c.cronjob_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
    _incidents.c.resolved_at.is_(None),
)


@dataclass(slots=True)
class Incidents:
    """`ports.Incidents` on one connection."""

    connection: AsyncConnection

    async def open_of(self, cronjob_id: UUID) -> Mapping[policies.Kind, incidents.Incident]:
        """Return the open incidents of a job."""
        return (await self.open_of_all([cronjob_id]))[cronjob_id]

    async def open_of_all(
        self, cronjob_ids: Collection[UUID]
    ) -> Mapping[UUID, Mapping[policies.Kind, incidents.Incident]]:
        """Return the same for many jobs, each of them."""
        found: dict[UUID, dict[policies.Kind, incidents.Incident]] = {
            one: {} for one in cronjob_ids
        }
        for incident in await read_open(self.connection, cronjob_ids):
            found[incident.cronjob_id][incident.kind] = incident
        return found

    async def save(self, step: incidents.Step, *, at: datetime) -> bool:
        """Write the incident and its transition with the reason for telling or not.

        False if another process took a step first: then nothing was written.
        """
        incident = step.incident
        is_new = step.transition is incidents.Transition.OPENED and incident.version == 1
        statement = _opening(incident) if is_new else _next(step)
        if (await self.connection.execute(statement)).one_or_none() is None:
            return False
        if step.transition:
            await self.connection.execute(_transition(step, step.transition, at))
        return True


async def read_open(
    connection: AsyncConnection, cronjob_ids: Collection[UUID]
) -> list[incidents.Incident]:
    """Read the open incidents of these jobs."""
    rows = await connection.execute(_OPEN_OF, {"ids": list(cronjob_ids)})
    return [of_row(row) for row in rows]


def of_row(row: sa.Row[Any]) -> incidents.Incident:
    """Read an incident from all its columns."""
    return incidents.Incident(
        id=row.id,
        cronjob_id=row.cronjob_id,
        kind=policies.Kind(row.kind),
        severity=policies.Severity(row.severity),
        reason=row.reason,
        message=row.message,
        evidence=row.evidence,
        execution_id=row.execution_id,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        announced_at=row.announced_at,
        notified_at=row.notified_at,
        suppressed=row.suppressed,
        reasons=tuple(row.reasons),
        inhibited_by=policies.Kind(row.inhibited_by) if row.inhibited_by else None,
        version=row.version,
    )


def _opening(incident: incidents.Incident) -> sa.Executable:
    return (
        insert(_incidents)
        .values(
            id=incident.id,
            cronjob_id=incident.cronjob_id,
            kind=incident.kind.value,
            opened_at=incident.opened_at,
            **_columns(incident),
        )
        .on_conflict_do_nothing()
        .returning(_incidents.c.id)
    )


def _next(step: incidents.Step) -> sa.Executable:
    incident = step.incident
    before = incident.version - (1 if step.transition else 0)
    return (
        sa.update(_incidents)
        .where(
            _incidents.c.id == incident.id,
            _incidents.c.version == before,
            _incidents.c.resolved_at.is_(None),
        )
        .values(**_columns(incident))
        .returning(_incidents.c.id)
    )


def _transition(
    step: incidents.Step, transition: incidents.Transition, at: datetime
) -> sa.Executable:
    return sa.insert(_transitions).values(
        incident_id=step.incident.id,
        version=step.incident.version,
        at=at,
        transition=transition.value,
        severity=step.incident.severity.value,
        reason=step.incident.reason,
        message=step.incident.message,
        notify=step.notify,
        why=step.why,
    )


def _columns(incident: incidents.Incident) -> dict[str, Any]:
    return {
        "severity": incident.severity.value,
        "reason": incident.reason,
        "message": incident.message,
        "evidence": incident.evidence,
        "execution_id": incident.execution_id,
        "resolved_at": incident.resolved_at,
        "announced_at": incident.announced_at,
        "notified_at": incident.notified_at,
        "suppressed": incident.suppressed,
        "reasons": list(incident.reasons),
        "inhibited_by": incident.inhibited_by.value if incident.inhibited_by else None,
        "version": incident.version,
    }

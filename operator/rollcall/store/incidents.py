"""Incidents and their steps.

Invariant: a step is written only onto the version that it was decided from. Whoever comes second,
be it with the same opening or with a step from an older reading, writes nothing and hears so.
People's acts lock the job's row first, as looks do, so that neither overtakes the other.
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
from rollcall.services import ports
from rollcall.store import incident_rows, models, registry

_clusters = models.table(models.Cluster)
_jobs = models.table(models.CronJob)
_incidents = models.table(models.Incident)
_transitions = models.table(models.IncidentTransition)

# Built once: building a statement costs more than running it.
_CURRENT_OF = (
    sa.select(_incidents)
    .where(
        _incidents.c.cronjob_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
        # Written as in the predicate of incidents_current_idx.
        sa.text("(incidents.resolved_at IS NULL OR incidents.dismissed)"),
    )
    # The open one last: it is what counts, should there be a dismissed one as well.
    .order_by(_incidents.c.resolved_at.nulls_last())
)
_BY_ID = sa.select(_incidents).where(_incidents.c.id == sa.bindparam("id"))
_LOCK_JOB_OF = (
    sa.select(_jobs)
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _jobs.c.id
        == sa.select(_incidents.c.cronjob_id)
        .where(_incidents.c.id == sa.bindparam("id"))
        .scalar_subquery(),
    )
    .with_for_update(key_share=True)
)
# The row that looks at a cluster as a whole lock.
_LOCK_CLUSTER_OF = (
    sa.select(_clusters.c.cluster)
    .where(
        _clusters.c.cluster
        == sa.select(_incidents.c.cluster)
        .where(_incidents.c.id == sa.bindparam("id"), _incidents.c.cluster == sa.bindparam("of"))
        .scalar_subquery(),
    )
    .with_for_update(key_share=True)
)
_SUBJECTS = (
    sa.select(_incidents.c.id.label("incident_id"), _incidents.c.kind, _jobs)
    .outerjoin(_jobs, _jobs.c.id == _incidents.c.cronjob_id)
    .where(_incidents.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
)
_TOLD_BEFORE = (
    sa.select(_incidents.c.kind, sa.func.max(_incidents.c.resolved_at).label("over_at"))
    .where(
        _incidents.c.cronjob_id == sa.bindparam("cronjob_id"),
        _incidents.c.resolved_at > sa.bindparam("since"),
        _incidents.c.announced_at.is_not(None),
    )
    .group_by(_incidents.c.kind)
)
_OPEN = insert(_incidents).on_conflict_do_nothing().returning(_incidents.c.id)
_NEXT = (
    sa.update(_incidents)
    .where(_incidents.c.id == sa.bindparam("key"), _incidents.c.version == sa.bindparam("before"))
    .returning(_incidents.c.id)
)
_TAKE = sa.insert(_transitions)
_FOLLOWED = (
    sa.update(_incidents).where(_incidents.c.id == sa.bindparam("key")).values(dismissed=False)
)


@dataclass(slots=True)
class Incidents:
    """`ports.Incidents` on one connection."""

    connection: AsyncConnection

    async def current_of(self, cronjob_id: UUID) -> Mapping[policies.Kind, incidents.Incident]:
        """Return the open and dismissed incidents of a job."""
        return (await self.current_of_all([cronjob_id]))[cronjob_id]

    async def current_of_all(
        self, cronjob_ids: Collection[UUID]
    ) -> Mapping[UUID, Mapping[policies.Kind, incidents.Incident]]:
        """Return the same for many jobs, each of them."""
        found: dict[UUID, dict[policies.Kind, incidents.Incident]] = {
            one: {} for one in cronjob_ids
        }
        for incident in await _read(self.connection, cronjob_ids):
            if incident.cronjob_id:
                found[incident.cronjob_id][incident.kind] = incident
        return found

    async def told_before(
        self, cronjob_id: UUID, since: datetime
    ) -> Mapping[policies.Kind, datetime]:
        """Return by kind when the last one ended, since then, of which anybody was told."""
        given = {"cronjob_id": cronjob_id, "since": since}
        rows = await self.connection.execute(_TOLD_BEFORE, given)
        return {policies.Kind(row.kind): row.over_at for row in rows}

    async def lock(
        self, cluster: str, incident_id: UUID
    ) -> tuple[ports.TrackedJob | None, incidents.Incident] | None:
        """Return one and its job, locked against looks and acts until the transaction ends.

        One about the cluster as a whole has no job: its cluster's row is locked.
        """
        key = {"id": incident_id}
        jobs = await self.connection.execute(_LOCK_JOB_OF, key | {"cluster": cluster})
        job = jobs.one_or_none()
        if job is None:
            of = await self.connection.execute(_LOCK_CLUSTER_OF, key | {"of": cluster})
            if of.one_or_none() is None:
                return None
        row = (await self.connection.execute(_BY_ID, key)).one_or_none()
        if row is None:
            return None
        return registry.job_row(job).job if job else None, incident_rows.incident_of(row)

    async def subjects_of(
        self, incident_ids: Collection[UUID]
    ) -> Mapping[UUID, tuple[ports.TrackedJob | None, policies.Kind]]:
        """Return of each incident whose it is, None for the cluster's own, and its kind."""
        rows = await self.connection.execute(_SUBJECTS, {"ids": sorted(incident_ids)})
        return {
            row.incident_id: (
                registry.job_row(row).job if row.id else None,
                policies.Kind(row.kind),
            )
            for row in rows
        }

    async def save(self, step: incidents.Step, *, at: datetime) -> bool:
        """Write the incident and its transition with the reason for telling or not.

        False if another process took a step first: then nothing was written.
        """
        is_new = step.transition is incidents.Transition.OPENED and step.incident.version == 1
        statement, given = (_OPEN, _opening(step.incident)) if is_new else (_NEXT, _next(step))
        if (await self.connection.execute(statement, given)).one_or_none() is None:
            return False
        if step.follows:
            await self.connection.execute(_FOLLOWED, {"key": step.follows})
        if step.transition:
            await self.connection.execute(_TAKE, _transition(step, step.transition, at))
        return True


async def read_open(
    connection: AsyncConnection, cronjob_ids: Collection[UUID]
) -> list[incidents.Incident]:
    """Read the open incidents of these jobs."""
    return [one for one in await _read(connection, cronjob_ids) if one.is_open]


async def _read(
    connection: AsyncConnection, cronjob_ids: Collection[UUID]
) -> list[incidents.Incident]:
    rows = await connection.execute(_CURRENT_OF, {"ids": list(cronjob_ids)})
    return [incident_rows.incident_of(row) for row in rows]


def _opening(incident: incidents.Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "cronjob_id": incident.cronjob_id,
        "cluster": incident.cluster,
        "channel": incident.channel,
        "kind": incident.kind.value,
        "opened_at": incident.opened_at,
        **incident_rows.columns(incident),
    }


def _next(step: incidents.Step) -> dict[str, Any]:
    incident = step.incident
    before = incident.version - (1 if step.transition else 0)
    return {"key": incident.id, "before": before, **incident_rows.columns(incident)}


def _transition(
    step: incidents.Step, transition: incidents.Transition, at: datetime
) -> dict[str, Any]:
    return {
        "incident_id": step.incident.id,
        "version": step.incident.version,
        "at": at,
        "transition": transition.value,
        "severity": step.incident.severity.value,
        "reason": step.incident.reason,
        "message": step.incident.message,
        "notify": step.notify,
        "why": step.why,
    }

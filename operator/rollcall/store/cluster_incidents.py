"""Incidents about a cluster as a whole, and those of its jobs that tell of one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import policies
from rollcall.core.incidents import Incident
from rollcall.services import ports
from rollcall.store import incident_rows, models, registry

_clusters = models.table(models.Cluster)
_jobs = models.table(models.CronJob)
_incidents = models.table(models.Incident)
_OF_TROUBLE = ("kind", "reason", "evidence", "opened_at")

# Built once: building a statement costs more than running it.
_LOCK = (
    sa.select(_clusters.c.observed_through)
    .where(_clusters.c.cluster == sa.bindparam("of"))
    .with_for_update(key_share=True)
)
# Written as in the predicate of incidents_of_cluster_idx, and so that it is of use.
_OF_CLUSTER = (
    sa.select(_incidents)
    .where(
        _incidents.c.cluster == sa.bindparam("of"),
        sa.text("incidents.cluster IS NOT NULL"),
        sa.text("(incidents.resolved_at IS NULL OR incidents.dismissed)"),
    )
    .order_by(_incidents.c.resolved_at.nulls_last())
)
_AS_A_WHOLE = _OF_CLUSTER.where(_incidents.c.channel.is_(None))
_OF_CHANNELS = _OF_CLUSTER.where(_incidents.c.channel.is_not(None))
_TOLD_BEFORE = sa.select(sa.func.max(_incidents.c.resolved_at)).where(
    _incidents.c.cluster == sa.bindparam("of"),
    sa.text("incidents.cluster IS NOT NULL"),
    _incidents.c.channel == sa.bindparam("of_channel"),
    _incidents.c.resolved_at > sa.bindparam("since"),
    _incidents.c.announced_at.is_not(None),
)
_NEWEST = sa.select(sa.func.max(_incidents.c.opened_at)).where(
    _incidents.c.cluster == sa.bindparam("of"),
    sa.text("incidents.cluster IS NOT NULL"),
    _incidents.c.kind == sa.bindparam("what"),
)
_TROUBLED = (
    sa.select(_jobs, *(_incidents.c[name] for name in _OF_TROUBLE))
    .join(_jobs, _jobs.c.id == _incidents.c.cronjob_id)
    .where(
        _incidents.c.resolved_at.is_(None),
        _incidents.c.kind == sa.any_(sa.bindparam("kinds", type_=sa.ARRAY(sa.Text))),
        _jobs.c.cluster == sa.bindparam("of"),
    )
)


@dataclass(slots=True)
class ClusterIncidents:
    """`ports.ClusterIncidents` on one connection."""

    connection: AsyncConnection

    async def lock(self, cluster: str) -> datetime | None:
        """Lock the cluster against looks at it and acts, and return until when it was seen."""
        row = (await self.connection.execute(_LOCK, {"of": cluster})).one_or_none()
        return row.observed_through if row else None

    async def current(self, cluster: str) -> Mapping[policies.Kind, Incident]:
        """Return the open and dismissed incidents about a cluster as a whole."""
        rows = await self.connection.execute(_AS_A_WHOLE, {"of": cluster})
        return {incident.kind: incident for incident in map(incident_rows.incident_of, rows)}

    async def of_channels(self, cluster: str) -> Mapping[str, Incident]:
        """Return those about one of its channels, by channel."""
        rows = await self.connection.execute(_OF_CHANNELS, {"of": cluster})
        return {one.channel: one for one in map(incident_rows.incident_of, rows) if one.channel}

    async def told_before(self, cluster: str, channel: str, since: datetime) -> datetime | None:
        """Return when the last one about a channel ended, since then, of which anybody was told."""
        given = {"of": cluster, "of_channel": channel, "since": since}
        found: datetime | None = (await self.connection.execute(_TOLD_BEFORE, given)).scalar_one()
        return found

    async def last_opened(self, cluster: str, kind: policies.Kind) -> datetime | None:
        """Return when the newest incident of a kind about a cluster was opened."""
        given = {"of": cluster, "what": kind.value}
        found: datetime | None = (await self.connection.execute(_NEWEST, given)).scalar_one()
        return found

    async def troubled(
        self, cluster: str, kinds: Collection[policies.Kind]
    ) -> Sequence[ports.Trouble]:
        """Return the open incidents of these kinds that jobs of the cluster have."""
        given = {"of": cluster, "kinds": sorted(kind.value for kind in kinds)}
        return [
            ports.Trouble(
                job=registry.job_row(row).job,
                kind=policies.Kind(row.kind),
                reason=row.reason,
                evidence=row.evidence,
                opened_at=row.opened_at,
            )
            for row in await self.connection.execute(_TROUBLED, given)
        ]

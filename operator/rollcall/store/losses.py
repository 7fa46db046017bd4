"""Messages that were given up although somebody was to hear them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import undelivered
from rollcall.services import ports
from rollcall.store import models, registry

_rows = models.table(models.Notification)
_incidents = models.table(models.Incident)
_jobs = models.table(models.CronJob)

_LOST = sa.and_(
    _rows.c.cluster == sa.bindparam("of"),
    _rows.c.dead_at > sa.bindparam("since"),
)
_NEWEST = (
    sa.select(_rows.c.channel, _rows.c.dead_at, _rows.c.last_error)
    .where(_LOST)
    .order_by(_rows.c.dead_at.desc())
    .limit(undelivered.MOST_COUNTED)
    .subquery()
)
# Built once: building a statement costs more than running it.
_RECENT = sa.select(
    _NEWEST.c.channel,
    sa.func.count().label("lost"),
    sa.func.max(_NEWEST.c.dead_at).label("last_at"),
    sa.func.array_agg(
        aggregate_order_by(sa.func.coalesce(_NEWEST.c.last_error, ""), _NEWEST.c.dead_at.desc())
    )[1].label("why"),
).group_by(_NEWEST.c.channel)
_OF_CHANNEL = (
    sa.select(_rows.c.incident_id)
    .where(_LOST, _rows.c.channel == sa.bindparam("of_channel"))
    .order_by(_rows.c.dead_at.desc())
    .limit(undelivered.MOST_COUNTED)
    .subquery()
)
_JOBS = (
    sa.select(_jobs)
    .where(
        _jobs.c.id.in_(
            sa.select(_incidents.c.cronjob_id).where(
                _incidents.c.id.in_(sa.select(_OF_CHANNEL.c.incident_id))
            )
        )
    )
    .order_by(_jobs.c.namespace, _jobs.c.name)
)


@dataclass(slots=True)
class Losses:
    """`ports.Losses` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def recent(self, cluster: str) -> Mapping[str, undelivered.Loss]:
        """Return by channel those of the last day, without their jobs."""
        rows = await self.connection.execute(_RECENT, self._since(cluster))
        return {
            row.channel: undelivered.Loss(count=row.lost, last_at=row.last_at, why=row.why)
            for row in rows
        }

    async def jobs(self, cluster: str, channel: str) -> Sequence[ports.TrackedJob]:
        """Return the jobs that the newest of them were about."""
        given = self._since(cluster) | {"of_channel": channel}
        return [registry.job_row(row).job for row in await self.connection.execute(_JOBS, given)]

    def _since(self, cluster: str) -> dict[str, object]:
        return {"of": cluster, "since": self.now - undelivered.COUNTED}

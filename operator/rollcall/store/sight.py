"""Until when a cluster was seen and heard, and what its jobs say while it is not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import health, report_rules
from rollcall.store import models

_clusters = models.table(models.Cluster)
_jobs = models.table(models.CronJob)

_STAY = sorted(word.value for word in {*health.KEPT_WHILE_BLIND, health.Health.UNKNOWN})


def _mark() -> sa.Executable:
    statement = insert(_clusters)
    newest = sa.func.greatest(_clusters.c.observed_through, statement.excluded.observed_through)
    return statement.on_conflict_do_update(
        index_elements=[_clusters.c.cluster], set_={"observed_through": newest}
    ).returning(_clusters.c.observed_through)


def _kept() -> sa.Executable:
    """Extend the time in which reports were kept, or begin it anew after a break."""
    statement = insert(_clusters)
    now = statement.excluded.kept_through
    has_gone_on = _clusters.c.kept_through >= now - sa.literal(report_rules.KEPT_FOR)
    return statement.on_conflict_do_update(
        index_elements=[_clusters.c.cluster],
        set_={
            "kept_since": sa.case((has_gone_on, _clusters.c.kept_since), else_=now),
            "kept_through": sa.func.greatest(_clusters.c.kept_through, now),
        },
    )


# Built once: building a statement costs more than running it.
_MARK = _mark()
_KEPT = _kept()
_OF_CLUSTER = sa.and_(_jobs.c.cluster == sa.bindparam("of"), _jobs.c.deleted_at.is_(None))
_DIM = (
    sa.update(_jobs)
    .where(_OF_CLUSTER, _jobs.c.health.not_in(_STAY))
    .values(health=health.Health.UNKNOWN.value)
    .returning(_jobs.c.id)
)
_BRIGHTEN = (
    sa.update(_jobs)
    .where(_OF_CLUSTER, _jobs.c.health == health.Health.UNKNOWN.value)
    .values(next_check_at=sa.bindparam("now"))
)


@dataclass(slots=True)
class Sight:
    """`ports.Sight` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def mark(self, cluster: str, through: datetime | None) -> datetime | None:
        """Keep until when the cluster was seen, never an earlier time; returns what stands."""
        values = {"cluster": cluster, "observed_through": through}
        stands: datetime | None = (await self.connection.execute(_MARK, values)).scalar_one()
        return stands

    async def kept_reports(self, cluster: str) -> None:
        """Keep that reports are kept now; after a break they are so from now on."""
        values = {"cluster": cluster, "kept_since": self.now, "kept_through": self.now}
        await self.connection.execute(_KEPT, values)

    async def dim(self, cluster: str) -> Sequence[UUID]:
        """Set the health of jobs that have no incident to Unknown; returns those that changed."""
        return list((await self.connection.execute(_DIM, {"of": cluster})).scalars())

    async def brighten(self, cluster: str) -> None:
        """Ask for a look at all jobs whose health is Unknown."""
        await self.connection.execute(_BRIGHTEN, {"of": cluster, "now": self.now})

"""Until when a cluster was seen, and what its jobs say of their health while it is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import health
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


# Built once: building a statement costs more than running it.
_MARK = _mark()
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

    async def dim(self, cluster: str) -> Sequence[UUID]:
        """Set the health of jobs that have no incident to Unknown; returns those that changed."""
        return list((await self.connection.execute(_DIM, {"of": cluster})).scalars())

    async def brighten(self, cluster: str) -> None:
        """Ask for a look at all jobs whose health is Unknown."""
        await self.connection.execute(_BRIGHTEN, {"of": cluster, "now": self.now})

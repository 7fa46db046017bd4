"""Silences: few, and read by every look, so by one small index scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import silences
from rollcall.services import ports
from rollcall.store import models

_rows = models.table(models.Silence)
_jobs = models.table(models.CronJob)
_incidents = models.table(models.Incident)

# Built once: building a statement costs more than running it.
_OF_CLUSTER = sa.select(_rows).where(_rows.c.cluster == sa.bindparam("of"))
_IN_FORCE = _OF_CLUSTER.where(
    _rows.c.starts_at <= sa.bindparam("now"), _rows.c.ends_at > sa.bindparam("now")
).order_by(_rows.c.ends_at, _rows.c.id)
_NOT_OVER = _OF_CLUSTER.where(_rows.c.ends_at > sa.bindparam("now"))
_LOCK = _OF_CLUSTER.where(_rows.c.id == sa.bindparam("id")).with_for_update()
_END = (
    sa.update(_rows)
    .where(_rows.c.id == sa.bindparam("key"))
    .values(
        # One that has not begun never will, and is to come no more.
        starts_at=sa.func.least(_rows.c.starts_at, sa.bindparam("at")),
        ends_at=sa.bindparam("at"),
        ended_by=sa.bindparam("by"),
    )
)
_TROUBLED = (
    sa.select(_incidents.c.cronjob_id)
    .join(_jobs, _jobs.c.id == _incidents.c.cronjob_id)
    .where(_incidents.c.resolved_at.is_(None), _jobs.c.cluster == sa.bindparam("of"))
    .distinct()
)


@dataclass(slots=True)
class Silences:
    """`ports.Silences` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def in_force(self, cluster: str) -> Sequence[silences.Silence]:
        """Return those that keep alerts quiet now."""
        rows = await self.connection.execute(_IN_FORCE, {"of": cluster, "now": self.now})
        return [_silence(row) for row in rows]

    async def add(self, cluster: str, silence: silences.Silence) -> None:
        """Insert one."""
        await self.connection.execute(
            sa.insert(_rows).values(
                id=silence.id,
                cluster=cluster,
                selector=dict(silence.chosen),
                starts_at=silence.starts_at,
                ends_at=silence.ends_at,
                author=silence.author,
                reason=silence.reason,
                created_at=self.now,
            )
        )

    async def end(self, cluster: str, silence_id: UUID, by: str) -> silences.Silence | None:
        """End one now; return it as it was, None if there is none. One that is over stays so."""
        found = await self.connection.execute(_LOCK, {"of": cluster, "id": silence_id})
        row = found.one_or_none()
        if row is None:
            return None
        if row.ends_at > self.now:
            given = {"key": silence_id, "at": self.now, "by": by}
            await self.connection.execute(_END, given)
        return _silence(row)

    async def troubled(self, cluster: str) -> Sequence[UUID]:
        """Return the jobs that have an open incident."""
        return list((await self.connection.execute(_TROUBLED, {"of": cluster})).scalars())


@dataclass(slots=True)
class Pages:
    """What people are shown, read on one connection."""

    connection: AsyncConnection
    now: datetime

    async def listed(
        self, cluster: str, *, limit: int, past: bool
    ) -> Sequence[ports.ListedSilence]:
        """Return those that are in force or to come, or all; the one that ends last comes first."""
        query = _OF_CLUSTER if past else _NOT_OVER
        rows = await self.connection.execute(
            query.order_by(_rows.c.ends_at.desc(), _rows.c.id).limit(limit),
            {"of": cluster, "now": self.now},
        )
        return [
            ports.ListedSilence(
                silence=_silence(row), created_at=row.created_at, ended_by=row.ended_by
            )
            for row in rows
        ]


def _silence(row: sa.Row[Any]) -> silences.Silence:
    return silences.Silence(
        id=row.id,
        selector=silences.read_selector(row.selector, "selector"),
        chosen=row.selector,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        author=row.author,
        reason=row.reason,
    )

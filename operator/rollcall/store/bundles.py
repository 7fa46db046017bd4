"""Rows of the outbox that wait, and those that one message tells of at once.

Invariant: who is in a bundle is written before it is sent and stays so until it is settled, so that
whoever sends it again after a crash sends the same. The first of its rows, whose id is the
bundle's, stands for all: it alone is claimed. Should it be deleted, the others are rows like any.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import pacing
from rollcall.services import ports
from rollcall.store import models, notifications

_rows = models.table(models.Notification)

_IDS = sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.BigInteger)))
_INCIDENTS = sa.any_(sa.bindparam("incidents", type_=sa.ARRAY(sa.Uuid)))
_OF_CHANNEL = _rows.c.channel == sa.bindparam("of_channel")

# Built once: building a statement costs more than running it.
_FOLLOWING = (
    sa.select(*notifications.COLUMNS)
    .where(notifications.IS_PENDING, _rows.c.digest_id.is_(None))
    .where(_rows.c.incident_id == _INCIDENTS, _OF_CHANNEL)
    .order_by(_rows.c.id)
)
_IS_DIGEST = sa.func.coalesce(_rows.c.digest_id == _rows.c.id, sa.false())
_ONE_MESSAGE = sa.or_(_rows.c.digest_id.is_(None), _rows.c.digest_id == _rows.c.id)
_OF_CLUSTER = sa.and_(_rows.c.cluster == sa.bindparam("cluster"), _OF_CHANNEL, _ONE_MESSAGE)
_SENT = sa.union_all(
    sa.select(_rows.c.delivered_at.label("at"), _IS_DIGEST.label("is_digest")).where(
        _OF_CLUSTER, _rows.c.delivered_at > sa.bindparam("since")
    ),
    sa.select(sa.bindparam("now"), _IS_DIGEST).where(
        _OF_CLUSTER, notifications.IS_PENDING, _rows.c.holder.is_not(None), ~(_rows.c.id == _IDS)
    ),
).order_by(sa.desc("at"))
_HEARD = (
    sa.select(_rows.c.incident_id)
    .where(_rows.c.incident_id == _INCIDENTS, _OF_CHANNEL)
    .where(notifications.MAY_BE_HEARD)
    .distinct()
)
_WAIT = (
    sa.update(_rows)
    .where(_rows.c.id == _IDS, notifications.IS_PENDING)
    .values(
        next_at=sa.bindparam("until"),
        holder=None,
        waited_for=sa.bindparam("why"),
        waited_until=sa.bindparam("until"),
    )
)
_JOIN = (
    sa.update(_rows)
    .where(_rows.c.id == _IDS, notifications.IS_PENDING, _rows.c.digest_id.is_(None))
    .values(digest_id=sa.bindparam("first"))
    .returning(*notifications.COLUMNS)
)
_MEMBERS = (
    sa.select(*notifications.COLUMNS)
    .where(_rows.c.digest_id == sa.bindparam("first"), notifications.IS_PENDING)
    .order_by(_rows.c.id)
)
_SINCE = sa.func.greatest(_rows.c.created_at, _rows.c.waited_until)  # without those that are null
_OLDEST_DUE = sa.select(sa.func.min(_SINCE)).where(
    notifications.IS_PENDING,
    _rows.c.cluster == sa.bindparam("cluster"),
    sa.bindparam("now") >= _SINCE,
)


@dataclass(slots=True)
class Bundles:
    """`ports.Bundles` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def following(
        self, channel: str, incident_ids: Collection[UUID]
    ) -> Sequence[ports.Notification]:
        """Return the pending rows of these incidents for a channel that are in no bundle."""
        given = {"of_channel": channel, "incidents": sorted(incident_ids)}
        return [notifications.read(row) for row in await self.connection.execute(_FOLLOWING, given)]

    async def sent(
        self, cluster: str, channel: str, *, since: datetime, besides: Collection[int]
    ) -> Sequence[pacing.Sent]:
        """Return what went since then or is under way, newest first, but for these rows.

        It is read from the outbox itself, so that a restart forgets none of it.
        """
        given = {
            "cluster": cluster,
            "of_channel": channel,
            "since": since,
            "now": self.now,
            "ids": sorted(besides),
        }
        rows = await self.connection.execute(_SENT, given)
        return [pacing.Sent(at=row.at, is_digest=row.is_digest) for row in rows]

    async def heard(self, channel: str, incident_ids: Collection[UUID]) -> Collection[UUID]:
        """Return those of which the channel was told anything, or may have been."""
        given = {"of_channel": channel, "incidents": sorted(incident_ids)}
        return set((await self.connection.execute(_HEARD, given)).scalars())

    async def wait(self, row_ids: Collection[int], *, until: datetime, why: str) -> None:
        """Give leased rows back, due at that time."""
        given = {"ids": sorted(row_ids), "until": until, "why": why}
        await self.connection.execute(_WAIT, given)

    async def join(self, row_ids: Collection[int]) -> Sequence[ports.Notification]:
        """Let the first of these rows stand for all, from now on; return those that are in it.

        The caller has claimed the first in this transaction: nobody else can settle it.
        """
        given = {"ids": sorted(row_ids), "first": min(row_ids)}
        rows = await self.connection.execute(_JOIN, given)
        return sorted(map(notifications.read, rows), key=lambda row: row.id)

    async def oldest_due(self, cluster: str) -> datetime | None:
        """Return since when the oldest pending row could have been sent, None for none."""
        given = {"cluster": cluster, "now": self.now}
        found: datetime | None = (await self.connection.execute(_OLDEST_DUE, given)).scalar_one()
        return found

    async def members(self, digest_id: int) -> Sequence[ports.Notification]:
        """Return the rows that this one stands for, itself included."""
        rows = await self.connection.execute(_MEMBERS, {"first": digest_id})
        return [notifications.read(row) for row in rows]

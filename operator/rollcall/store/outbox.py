"""Notifications that are to be sent: at least once, in order per incident and channel.

How a row is delivered:
1. `enqueue` writes it in the transaction of its incident's step, once per (channel, key).
2. `claim` moves `next_at` to the end of a lease and commits; nobody else sees the row as due.
3. The worker sends, then `settle` says what became of it.
4. A worker that dies in between never settles: the lease ends, and the row is due again with the
   same key.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import incidents, messages, pacing
from rollcall.services import ports
from rollcall.store import incident_rows, models, notifications

_incidents = models.table(models.Incident)
_jobs = models.table(models.CronJob)
_rows = models.table(models.Notification)


@dataclass(slots=True)
class Outbox:
    """`ports.Outbox` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def enqueue(
        self,
        incident: incidents.Incident,
        channels: Sequence[str],
        payload: Mapping[str, Any],
        *,
        wait: timedelta = timedelta(),
    ) -> None:
        """Add one row per channel, due after that wait for a crowd; repeating it adds nothing."""
        if not channels:
            return
        rows = [
            {
                "incident_id": incident.id,
                "of_cluster": incident.cluster,
                "of_job": incident.cronjob_id,
                "channel": channel,
                "key": messages.key(incident.id, incident.version),
                "type": payload["type"],
                "payload": dict(payload),
                "created_at": self.now,
                "next_at": self.now + wait,
                "waited_for": pacing.Why.CROWD if wait else None,
                "waited_until": self.now + wait if wait else None,
            }
            for channel in sorted(set(channels))
        ]
        await self.connection.execute(_ADD, rows)
        if incident.version > 1:  # what waits of it may have to go with this one, or not at all
            given = {"incident": incident.id, "channels": list(channels), "now": self.now}
            await self.connection.execute(_LOOK_AGAIN, given)

    async def told(self, incident_id: UUID) -> Sequence[str]:
        """Return the channels that have, may have or will have heard of this incident."""
        rows = await self.connection.execute(
            sa.select(_rows.c.channel)
            .where(
                _rows.c.incident_id == incident_id,
                sa.or_(_rows.c.status == notifications.PENDING, notifications.MAY_BE_HEARD),
            )
            .distinct()
            .order_by(_rows.c.channel)
        )
        return rows.scalars().all()

    async def to_repeat(
        self, channels: Sequence[str], *, cluster: str
    ) -> Sequence[ports.Repetition]:
        """Return the open incidents that these channels have or will have heard of."""
        rows = await self.connection.execute(
            sa.select(_rows.c.channel, _rows.c.payload, *_incidents.c)
            .join(_incidents, _incidents.c.id == _rows.c.incident_id)
            .where(
                _incidents.c.resolved_at.is_(None),
                _rows.c.cluster == cluster,
                _rows.c.channel.in_(channels),
                _rows.c.status.in_((notifications.PENDING, notifications.DELIVERED)),
            )
            .ext(distinct_on(_rows.c.incident_id, _rows.c.channel))
            .order_by(_rows.c.incident_id, _rows.c.channel, _rows.c.id.desc())
        )
        return [
            ports.Repetition(
                incident=incident_rows.incident_of(row), channel=row.channel, payload=row.payload
            )
            for row in rows
        ]

    async def claim(
        self,
        holder: str,
        limit: int,
        lease: timedelta,
        *,
        cluster: str,
        channel: str | None = None,
    ) -> Sequence[ports.Notification]:
        """Lease due rows, in order per incident and channel.

        A row is due only when no earlier row of its incident and channel is pending. Only rows of
        this cluster are claimed: a channel of that name elsewhere is another one.
        """
        given: dict[str, Any] = {
            "of": cluster,
            "now": self.now,
            "limit": limit,
            "again_at": self.now + lease,
            "by": holder,
        }
        if channel is None:
            claimed = await self.connection.execute(_CLAIM, given)
        else:
            claimed = await self.connection.execute(_CLAIM_OF, given | {"of_channel": channel})
        return sorted(map(notifications.read, claimed), key=lambda notification: notification.id)

    async def settle(self, outcomes: Sequence[ports.Outcome]) -> None:
        """Write what became of claimed rows and end their leases.

        A row that is delivered or dead already stays so, whoever settles it late. The outcome of a
        bundle is that of all its rows; one of a single message is none of a bundle that its row
        went into since.
        """
        for outcome in sorted(outcomes, key=lambda outcome: outcome.notification.id):
            await self.connection.execute(
                sa.update(_rows)
                .where(_is_told_by(outcome.notification), notifications.IS_PENDING)
                .values(holder=None, **notifications.outcome_columns(outcome, self.now))
            )

    async def hold_back(self, held: Mapping[int, str]) -> None:
        """Settle claimed rows that are not sent, by id with the reason.

        An incident of which nobody has surely heard or will hear is to be opened anew, and is no
        longer announced unless somebody may have heard. Its version moves on, so that a look under
        way, which read that it was, writes nothing.
        """
        touched = set()
        for row_id in sorted(held):
            given = {"row_id": row_id, "why": held[row_id]}
            touched |= set((await self.connection.execute(_SUPPRESS, given)).scalars())
        await self.connection.execute(_UNANNOUNCE, {"ids": sorted(touched)})

    async def unheard(self, incident_ids: Collection[UUID]) -> Collection[tuple[UUID, str]]:
        """Return incident and channel where messages were held back and none can have arrived."""
        rows = await self.connection.execute(_UNHEARD, {"ids": sorted(incident_ids)})
        return {(row.incident_id, row.channel) for row in rows}

    async def release(self, cluster: str) -> None:
        """Let go at once what waits for a crowd."""
        await self.connection.execute(_RELEASE, {"of": cluster, "now": self.now})


def _is_told_by(message: ports.Notification) -> sa.ColumnElement[bool]:
    if message.digest_id is not None:
        return _rows.c.digest_id == message.digest_id
    return sa.and_(_rows.c.id == message.id, _rows.c.digest_id.is_(None))


def _claim(*more: sa.ColumnElement[bool]) -> sa.Executable:
    earlier = _rows.alias()
    is_waiting = (
        sa.exists()
        .where(
            earlier.c.incident_id == _rows.c.incident_id,
            earlier.c.channel == _rows.c.channel,
            earlier.c.id < _rows.c.id,
            earlier.c.status == notifications.PENDING,
        )
        .correlate(_rows)
    )
    is_due = sa.and_(_rows.c.cluster == sa.bindparam("of"), _rows.c.next_at <= sa.bindparam("now"))
    is_first = sa.or_(_rows.c.digest_id.is_(None), _rows.c.digest_id == _rows.c.id)
    query = (
        sa.select(_rows.c.id)
        .where(notifications.IS_PENDING, is_due, is_first, ~is_waiting, *more)
        .order_by(_rows.c.next_at, _rows.c.id)
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .with_for_update(skip_locked=True)
    )
    # Materialised by its row locks: it is evaluated once, so the limit holds.
    due = query.cte("due")
    return (
        sa.update(_rows)
        .where(_rows.c.id.in_(sa.select(due.c.id)))
        .values(next_at=sa.bindparam("again_at"), holder=sa.bindparam("by"))
        .returning(*notifications.COLUMNS)
    )


# Built once: building a statement costs more than running it, and this one runs each second.
_ADD = (
    insert(_rows)
    .values(
        cluster=sa.func.coalesce(
            sa.bindparam("of_cluster", type_=sa.Text),  # of an incident of the cluster's own
            sa.select(_jobs.c.cluster)
            .where(_jobs.c.id == sa.bindparam("of_job"))
            .scalar_subquery(),
        )
    )
    .on_conflict_do_nothing()
)
_CLAIM = _claim()
_CLAIM_OF = _claim(_rows.c.channel == sa.bindparam("of_channel"))
_LOOK_AGAIN = (
    sa.update(_rows)
    .where(_rows.c.incident_id == sa.bindparam("incident"), notifications.IS_PENDING)
    .where(_rows.c.channel == sa.any_(sa.bindparam("channels", type_=sa.ARRAY(sa.Text))))
    .where(_rows.c.waited_for == pacing.Why.HOURS, _rows.c.holder.is_(None))
    .values(next_at=sa.bindparam("now"))
)
_SUPPRESS = (
    sa.update(_rows)
    .where(_rows.c.id == sa.bindparam("row_id"), notifications.IS_PENDING)
    .values(status=notifications.SUPPRESSED, holder=None, suppressed_by=sa.bindparam("why"))
    .returning(_rows.c.incident_id)
)
# A row that was put off after a try is due at another time than it waited for.
_RELEASE = (
    sa.update(_rows)
    .where(
        _rows.c.cluster == sa.bindparam("of"),
        notifications.IS_PENDING,
        _rows.c.holder.is_(None),
        _rows.c.waited_for == pacing.Why.CROWD,
        _rows.c.waited_until > sa.bindparam("now"),
        _rows.c.next_at == _rows.c.waited_until,
    )
    .values(next_at=sa.bindparam("now"))
)
_IDS = sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))


def _has_one(status: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    of_it = _rows.c.incident_id == _incidents.c.id
    return sa.exists().where(of_it, status).correlate(_incidents)


_is_heard = _has_one(_rows.c.status.in_((notifications.PENDING, notifications.DELIVERED)))
_may_be_heard = _has_one(
    sa.or_(_rows.c.status == notifications.PENDING, notifications.MAY_BE_HEARD)
)
_UNANNOUNCE = (
    sa.update(_incidents)
    .where(_incidents.c.id == _IDS, _incidents.c.resolved_at.is_(None))
    .values(
        version=_incidents.c.version + 1,
        held_back=True,
        announced_at=sa.case((_may_be_heard, _incidents.c.announced_at)),
        notified_at=sa.case((_is_heard, _incidents.c.notified_at)),
        escalate_at=sa.case((_is_heard, _incidents.c.escalate_at)),
    )
)
_UNHEARD = (
    sa.select(_rows.c.incident_id, _rows.c.channel)
    .where(_rows.c.incident_id == _IDS)
    .group_by(_rows.c.incident_id, _rows.c.channel)
    .having(
        sa.func.bool_or(_rows.c.status == notifications.SUPPRESSED),
        ~sa.func.bool_or(notifications.MAY_BE_HEARD),
    )
)

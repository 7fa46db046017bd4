"""Incidents as people read them, in pages by keyset, and one with all that became of it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import incidents, policies
from rollcall.services import alerts, paging
from rollcall.store import incident_rows, models, pages

_jobs = models.table(models.CronJob)
_rows = models.table(models.Incident)
_steps = models.table(models.IncidentTransition)
_sent = models.table(models.Notification)

# Built once: building a statement costs more than running it.
_LISTED = sa.select(
    _rows, _jobs.c.namespace, _jobs.c.name.label("cronjob_name"), _jobs.c.policy
).outerjoin(_jobs, _jobs.c.id == _rows.c.cronjob_id)
_BY_ID = _LISTED.where(
    sa.or_(_jobs.c.cluster == sa.bindparam("cluster"), _rows.c.cluster == sa.bindparam("cluster")),
    _rows.c.id == sa.bindparam("id"),
)
_STEPS_OF = (
    sa.select(_steps).where(_steps.c.incident_id == sa.bindparam("id")).order_by(_steps.c.version)
)
_SENT_OF = sa.select(_sent).where(_sent.c.incident_id == sa.bindparam("id")).order_by(_sent.c.id)


@dataclass(slots=True)
class Alerts:
    """Reads of one connection."""

    connection: AsyncConnection

    async def page(
        self, choice: alerts.Choice, *, limit: int, cursor: str | None = None
    ) -> paging.Page[alerts.Listed]:
        """Return one page, newest first, of at most `limit` (from 1).

        Raises errors.InvalidSpec for a cursor that no page ended with.
        """
        query, keys = _LISTED.where(*conditions(choice)), (_rows.c.opened_at, _rows.c.id)
        rows, next_cursor = await pages.page(
            self.connection, query, keys, limit=limit, cursor=cursor
        )
        return paging.Page(items=[_listed(row) for row in rows], next_cursor=next_cursor)

    async def find(self, cluster: str, incident_id: UUID) -> alerts.Whole | None:
        """Return one with its steps and messages, None if there is none (any more)."""
        key = {"id": incident_id}
        found = await self.connection.execute(_BY_ID, key | {"cluster": cluster})
        row = found.one_or_none()
        if row is None:
            return None
        return alerts.Whole(
            listed=_listed(row),
            steps=[_step(one) for one in await self.connection.execute(_STEPS_OF, key)],
            sent=[_message(one) for one in await self.connection.execute(_SENT_OF, key)],
        )


def conditions(choice: alerts.Choice) -> list[sa.ColumnElement[bool]]:
    """Return what is true of the chosen incidents and their jobs, which some do not have."""
    found = pages.of_jobs(choice.cluster, choice.namespace, choice.cronjob)
    if choice.namespace is None and choice.cronjob is None:
        found = [sa.or_(*found, _rows.c.cluster == choice.cluster)]
    if choice.kinds:
        found.append(_rows.c.kind.in_(sorted(choice.kinds)))
    if choice.severities:
        found.append(_rows.c.severity.in_(sorted(choice.severities)))
    return found + _by_time(choice)


def _by_time(choice: alerts.Choice) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    is_open = _rows.c.resolved_at.is_(None)
    if choice.is_open is not None:
        found.append(is_open if choice.is_open else ~is_open)
    if choice.since is not None:
        found.append(sa.or_(_rows.c.opened_at >= choice.since, is_open))
    if choice.opened_since is not None:
        found.append(_rows.c.opened_at >= choice.opened_since)
    return found


def _listed(row: sa.Row[Any]) -> alerts.Listed:
    return alerts.Listed(
        incident=incident_rows.incident_of(row),
        namespace=row.namespace,
        cronjob=row.cronjob_name,
        policy=row.policy,
    )


def _step(row: sa.Row[Any]) -> alerts.PastStep:
    return alerts.PastStep(
        at=row.at,
        transition=incidents.Transition(row.transition),
        severity=policies.Severity(row.severity),
        reason=row.reason,
        message=row.message,
        notify=row.notify,
        why=row.why,
    )


def _message(row: sa.Row[Any]) -> alerts.Sent:
    return alerts.Sent(
        channel=row.channel,
        type=row.type,
        status=row.status,
        attempts=row.attempts,
        created_at=row.created_at,
        next_at=row.next_at,
        delivered_at=row.delivered_at,
        error=row.last_error,
        suppressed_by=row.suppressed_by,
        digest_id=row.digest_id,
        waited_for=row.waited_for,
    )

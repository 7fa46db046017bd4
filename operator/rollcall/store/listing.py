"""Pages of history, by keyset: each costs the same, however deep it lies.

Of few jobs every job's newest rows are taken from its own index and merged; of many jobs the rows
of all are read in order of time and the others left out. Nothing is ever counted or skipped over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import cursors, executions, ids
from rollcall.services import listing
from rollcall.store import models, pages, run_rows

_jobs = models.table(models.CronJob)
_rows = models.table(models.Execution)

FEW_JOBS = 100
_NEWEST_FIRST = (_rows.c.slot_at.desc(), _rows.c.id.desc())
_NAMED = (_jobs.c.namespace, _jobs.c.name.label("cronjob_name"))
_BY_ID = (
    sa.select(_rows, *_NAMED)
    .join(_jobs, _jobs.c.id == _rows.c.cronjob_id)
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _rows.c.id == sa.bindparam("id"),
        _rows.c.slot_at >= sa.bindparam("from_at"),  # else every partition is asked
        _rows.c.slot_at < sa.bindparam("until_at"),
    )
)


@dataclass(slots=True)
class Listing:
    """Reads of one connection."""

    connection: AsyncConnection

    async def page(
        self, choice: listing.Choice, *, limit: int, cursor: str | None = None
    ) -> listing.Page:
        """Return one page, newest slot first, of at most `limit` (from 1).

        Raises errors.InvalidSpec for a cursor that no page ended with.
        """
        after = cursors.decode(cursor) if cursor else None
        query = await self._query(choice, _beyond(after), limit + 1)
        found = [_listed(row) for row in await self.connection.execute(query)]
        items = found[:limit]
        return listing.Page(
            items=items, next_cursor=_end(items[-1].execution) if len(found) > limit else None
        )

    async def jobs(self, choice: listing.Choice) -> Mapping[UUID, tuple[str, str]]:
        """Return namespace and name of the chosen jobs by id, deleted ones included."""
        rows = await self.connection.execute(
            sa.select(_jobs.c.id, _jobs.c.namespace, _jobs.c.name).where(*_naming(choice))
        )
        return {row.id: (row.namespace, row.name) for row in rows}

    async def find(self, cluster: str, execution_id: UUID) -> listing.Listed | None:
        """Return one execution, None if there is none (any more)."""
        try:
            from_at = ids.instant_of(execution_id)
            until_at = from_at + timedelta(milliseconds=1)
        except OverflowError:
            return None
        key = {"cluster": cluster, "id": execution_id, "from_at": from_at, "until_at": until_at}
        row = (await self.connection.execute(_BY_ID, key)).one_or_none()
        return _listed(row) if row else None

    async def _query(
        self, choice: listing.Choice, beyond: list[sa.ColumnElement[bool]], limit: int
    ) -> sa.Select[Any]:
        chosen = [*_restrictions(choice), *beyond]
        if choice.namespace is None and choice.cronjob is None:
            return _of_many(choice, chosen, limit)
        few = sa.select(_jobs.c.id).where(*_naming(choice)).limit(FEW_JOBS + 1)
        cronjob_ids = list((await self.connection.execute(few)).scalars())
        if len(cronjob_ids) > FEW_JOBS:
            return _of_many(choice, chosen, limit)
        return _of_few(cronjob_ids, [*chosen, *_any_status(choice)], limit)


def _naming(choice: listing.Choice) -> list[sa.ColumnElement[bool]]:
    return pages.of_jobs(choice.cluster, choice.namespace, choice.cronjob)


def _restrictions(choice: listing.Choice) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if choice.trigger is not None:
        conditions.append(_rows.c.trigger == _written(choice.trigger))
    if choice.since is not None:
        conditions.append(_rows.c.slot_at >= choice.since)
    if choice.until is not None:
        conditions.append(_rows.c.slot_at < choice.until)
    return conditions


def _beyond(position: cursors.Position | None) -> list[sa.ColumnElement[bool]]:
    if position is None:
        return []
    return [
        _rows.c.slot_at <= position.at,  # this is what leaves partitions out
        sa.tuple_(_rows.c.slot_at, _rows.c.id) < sa.tuple_(position.at, position.id),
    ]


def _of_many(
    choice: listing.Choice, chosen: list[sa.ColumnElement[bool]], limit: int
) -> sa.Select[Any]:
    """Build the query for the newest of all jobs: one by status, each by its index, and merged."""
    parts = [
        sa.select(_rows, *_NAMED)
        .join(_jobs, _jobs.c.id == _rows.c.cronjob_id)
        .where(*_naming(choice), *chosen, *of_status)
        .order_by(*_NEWEST_FIRST)
        .limit(limit)
        for of_status in _each_status(choice) or [()]
    ]
    if len(parts) == 1:
        return parts[0]
    merged = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    return sa.select(merged).order_by(merged.c.slot_at.desc(), merged.c.id.desc()).limit(limit)


def _each_status(choice: listing.Choice) -> list[tuple[sa.ColumnElement[bool], ...]]:
    return [(_rows.c.status == _written(status),) for status in sorted(choice.statuses)]


def _any_status(choice: listing.Choice) -> list[sa.ColumnElement[bool]]:
    values = [_written(status) for status in sorted(choice.statuses)]
    return [_rows.c.status.in_(values)] if values else []


def _written(value: executions.Status | executions.Trigger) -> sa.ColumnElement[str]:
    """Write the value out, so that the planner recognises the partial indexes."""
    return sa.literal_column(f"'{value}'")


def _of_few(
    cronjob_ids: list[UUID], chosen: list[sa.ColumnElement[bool]], limit: int
) -> sa.Select[Any]:
    newest = (
        sa.select(_rows)
        .where(_rows.c.cronjob_id == _jobs.c.id, *chosen)
        .order_by(*_NEWEST_FIRST)
        .limit(limit)
        .correlate(_jobs)
        .lateral("newest")
    )
    return (
        sa.select(newest, *_NAMED)
        .join_from(_jobs, newest, sa.true())
        .where(_jobs.c.id.in_(cronjob_ids))
        .order_by(newest.c.slot_at.desc(), newest.c.id.desc())
        .limit(limit)
    )


def _listed(row: sa.Row[Any]) -> listing.Listed:
    return listing.Listed(
        execution=run_rows.execution_of(row), namespace=row.namespace, cronjob=row.cronjob_name
    )


def _end(execution: executions.Execution) -> str:
    return cursors.encode(cursors.Position(execution.slot_at, execution.id))

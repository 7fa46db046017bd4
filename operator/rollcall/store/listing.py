"""Pages of history, by keyset: each costs the same, however deep it lies.

Of few jobs every job's newest rows are taken from its own index and merged; of many jobs the rows
of all are read in order of time and the others left out. Nothing is ever counted or skipped over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import cursors, executions, ids
from rollcall.services import listing, paging
from rollcall.store import models, run_rows

_jobs = models.table(models.CronJob)
_rows = models.table(models.Execution)

FEW_JOBS = 100
MOST_STATEMENTS = 256  # that are kept as built; few combinations are ever asked for
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
_NAMING: Mapping[str, sa.ColumnElement[bool]] = {
    "cluster": _jobs.c.cluster == sa.bindparam("cluster"),
    "namespace": _jobs.c.namespace == sa.bindparam("namespace"),
    "cronjob": _jobs.c.name == sa.bindparam("cronjob"),
}
_CHOOSING: Mapping[str, sa.ColumnElement[bool]] = {
    "since": _rows.c.slot_at >= sa.bindparam("since"),
    "until": _rows.c.slot_at < sa.bindparam("until"),
    # The first of these two is what leaves partitions out.
    "after_at": _rows.c.slot_at <= sa.bindparam("after_at"),
    "after_id": sa.tuple_(_rows.c.slot_at, _rows.c.id)
    < sa.tuple_(sa.bindparam("after_at"), sa.bindparam("after_id", type_=sa.Uuid)),
}
_LIMIT: sa.BindParameter[int] = sa.bindparam("limit", type_=sa.Integer)
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)


class _Kind(NamedTuple):
    """What makes a query another one; all else are its parameters."""

    given: frozenset[str]
    statuses: frozenset[executions.Status]
    trigger: executions.Trigger | None


@dataclass(slots=True)
class Listing:
    """Reads of one connection."""

    connection: AsyncConnection

    async def page(
        self, choice: listing.Choice, *, limit: int, cursor: str | None = None
    ) -> paging.Page[listing.Listed]:
        """Return one page, newest slot first, of at most `limit` (from 1).

        Raises errors.InvalidSpec for a cursor that no page ended with.
        """
        after = cursors.decode(cursor) if cursor else None
        query, given = await self.query(choice, after, limit + 1)
        found = [_listed(row) for row in await self.connection.execute(query, given)]
        items = found[:limit]
        return paging.Page(
            items=items, next_cursor=_end(items[-1].execution) if len(found) > limit else None
        )

    async def jobs(self, choice: listing.Choice) -> Mapping[UUID, tuple[str, str]]:
        """Return namespace and name of the chosen jobs by id, deleted ones included."""
        naming = _named(choice)
        rows = await self.connection.execute(_jobs_of(frozenset(naming)), naming)
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

    async def query(
        self, choice: listing.Choice, after: cursors.Position | None, limit: int
    ) -> tuple[sa.Select[Any], dict[str, Any]]:
        """Return what reads the first `limit` rows beyond a position, and its parameters."""
        naming = _named(choice)
        given = _given(
            {
                "since": choice.since,
                "until": choice.until,
                "after_at": after and after.at,
                "after_id": after and after.id,
            }
        )
        kind = _Kind(frozenset(given), choice.statuses, choice.trigger)
        if choice.namespace is not None or choice.cronjob is not None:
            some = {**naming, "limit": FEW_JOBS + 1}
            few = await self.connection.execute(_some_of(frozenset(naming)), some)
            cronjob_ids = list(few.scalars())
            if len(cronjob_ids) <= FEW_JOBS:
                return _of_few(kind), {**given, "limit": limit, "ids": cronjob_ids}
        return _of_many(frozenset(naming), kind), {**given, "limit": limit, **naming}


def _named(choice: listing.Choice) -> dict[str, Any]:
    return _given({name: getattr(choice, name) for name in _NAMING})


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _conditions(
    known: Mapping[str, sa.ColumnElement[bool]], given: frozenset[str]
) -> list[sa.ColumnElement[bool]]:
    return [condition for name, condition in known.items() if name in given]


# Built once for what is given: building one costs more than running it.
@lru_cache(MOST_STATEMENTS)
def _jobs_of(naming: frozenset[str]) -> sa.Select[Any]:
    named = _conditions(_NAMING, naming)
    return sa.select(_jobs.c.id, _jobs.c.namespace, _jobs.c.name).where(*named)


@lru_cache(MOST_STATEMENTS)
def _some_of(naming: frozenset[str]) -> sa.Select[Any]:
    return sa.select(_jobs.c.id).where(*_conditions(_NAMING, naming)).limit(_LIMIT)


@lru_cache(MOST_STATEMENTS)
def _of_many(naming: frozenset[str], kind: _Kind) -> sa.Select[Any]:
    """Build the query for the newest of all jobs: one by status, each by its index, and merged."""
    # Looked up for each row, whatever the planner believes of jobs that nobody has analyzed yet:
    # rows in order of time, not all rows of all jobs. A subquery with an offset is not pulled up.
    job = (
        sa.select(*_NAMED)
        .where(_jobs.c.id == _rows.c.cronjob_id, *_conditions(_NAMING, naming))
        .offset(sa.literal_column("0"))
        .lateral("job")
    )
    parts = [
        sa.select(_rows, job)
        .join_from(_rows, job, sa.true())
        .where(*_chosen(kind), *of_status)
        .order_by(*_NEWEST_FIRST)
        .limit(_LIMIT)
        for of_status in _each_of(kind.statuses) or [()]
    ]
    if len(parts) == 1:
        return parts[0]
    merged = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    return sa.select(merged).order_by(merged.c.slot_at.desc(), merged.c.id.desc()).limit(_LIMIT)


@lru_cache(MOST_STATEMENTS)
def _of_few(kind: _Kind) -> sa.Select[Any]:
    newest = (
        sa.select(_rows)
        .where(_rows.c.cronjob_id == _jobs.c.id, *_chosen(kind), *_any_of(kind.statuses))
        .order_by(*_NEWEST_FIRST)
        .limit(_LIMIT)
        .correlate(_jobs)
        .lateral("newest")
    )
    return (
        sa.select(newest, *_NAMED)
        .join_from(_jobs, newest, sa.true())
        .where(_jobs.c.id.in_(_IDS))
        .order_by(newest.c.slot_at.desc(), newest.c.id.desc())
        .limit(_LIMIT)
    )


def _chosen(kind: _Kind) -> list[sa.ColumnElement[bool]]:
    conditions = _conditions(_CHOOSING, kind.given)
    if kind.trigger is not None:
        conditions.append(_rows.c.trigger == _written(kind.trigger))
    return conditions


def _each_of(statuses: frozenset[executions.Status]) -> list[tuple[sa.ColumnElement[bool], ...]]:
    return [(_rows.c.status == _written(status),) for status in sorted(statuses)]


def _any_of(statuses: frozenset[executions.Status]) -> list[sa.ColumnElement[bool]]:
    values = [_written(status) for status in sorted(statuses)]
    return [_rows.c.status.in_(values)] if values else []


def _written(value: executions.Status | executions.Trigger) -> sa.ColumnElement[str]:
    """Write the value out, so that the planner recognises the partial indexes."""
    return sa.literal_column(f"'{value}'")


def _listed(row: sa.Row[Any]) -> listing.Listed:
    return listing.Listed(
        execution=run_rows.execution_of(row), namespace=row.namespace, cronjob=row.cronjob_name
    )


def _end(execution: executions.Execution) -> str:
    return cursors.encode(cursors.Position(execution.slot_at, execution.id))

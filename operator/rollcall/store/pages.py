"""Lists for people: of which jobs, and in pages, newest first.

Pages go by keyset: what was added or removed meanwhile moves nothing. How far back a page is costs
nothing where an index has the order of the keys; elsewhere all that is chosen is read for each.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import cursors
from rollcall.store import models

_jobs = models.table(models.CronJob)


def of_jobs(
    cluster: str, namespace: str | None, cronjob: str | None
) -> list[sa.ColumnElement[bool]]:
    """Return what is true of the chosen jobs; None chooses all namespaces or names."""
    conditions = [_jobs.c.cluster == cluster]
    if namespace is not None:
        conditions.append(_jobs.c.namespace == namespace)
    if cronjob is not None:
        conditions.append(_jobs.c.name == cronjob)
    return conditions


async def page(
    connection: AsyncConnection,
    query: sa.Select[Any],
    keys: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]],
    *,
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """Return at most `limit` (from 1) rows, and the cursor of the next page if there is one.

    `keys` are an instant and an id that the query selects under these names. Raises
    errors.InvalidSpec for a cursor that no page ended with.
    """
    if cursor:
        after = cursors.decode(cursor)
        query = query.where(sa.tuple_(*keys) < sa.tuple_(after.at, after.id))
    query = query.order_by(*(key.desc() for key in keys)).limit(limit + 1)
    found = (await connection.execute(query)).all()
    rows = found[:limit]
    return rows, _end(rows[-1], keys) if len(found) > limit else None


def _end(row: sa.Row[Any], keys: tuple[sa.ColumnElement[Any], ...]) -> str:
    at, identifier = (getattr(row, key.name) for key in keys)
    return cursors.encode(cursors.Position(at, identifier))

"""Rows of `executions` as they are read."""

from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions
from rollcall.store import models

_rows = models.table(models.Execution)
# Written as in the predicate of executions_open_idx, else the planner does not recognise it.
IS_OPEN = sa.text("executions.status IN ('pending', 'queued', 'running')")


def _recent() -> sa.CompoundSelect[Any]:
    """Build the query for the newest and the open rows of many jobs."""
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    id_ = sa.column("id", sa.Uuid)
    wanted = sa.func.unnest(ids).table_valued(id_).render_derived()
    newest = (
        sa.select(_rows)
        .where(_rows.c.cronjob_id == wanted.c.id)
        .order_by(_rows.c.slot_at.desc(), _rows.c.id.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .lateral("newest")
    )
    return sa.union_all(
        sa.select(newest).join_from(wanted, newest, sa.true()),
        sa.select(_rows).where(_rows.c.cronjob_id == sa.any_(ids), IS_OPEN),
    )


# Built once: building a statement costs more than running it.
_RECENT = _recent()


async def recent(
    connection: AsyncConnection, cronjob_ids: Collection[UUID], limit: int
) -> dict[UUID, list[executions.Execution]]:
    """Read of each job the newest by slot, and every open one, newest first."""
    rows = await connection.execute(_RECENT, {"ids": list(cronjob_ids), "limit": limit})
    found: dict[UUID, dict[UUID, executions.Execution]] = {one: {} for one in cronjob_ids}
    for run in map(execution_of, rows.all()):
        found[run.cronjob_id][run.id] = run
    return {one: sorted(runs.values(), key=_place, reverse=True) for one, runs in found.items()}


def _place(run: executions.Execution) -> tuple[datetime, UUID]:
    return run.slot_at, run.id


_STATUSES = {status.value: status for status in executions.Status}
_TRIGGERS = {trigger.value: trigger for trigger in executions.Trigger}
_FIELDS = [field.name for field in fields(executions.Execution)]
# A look reads a hundred rows, and a row is slow to ask by name.
_pick = itemgetter(*map(list(_rows.columns.keys()).index, _FIELDS))


def execution_of(row: sa.Row[Any]) -> executions.Execution:
    """Read a row whose first columns are those of `executions`."""
    values = dict(zip(_FIELDS, _pick(row), strict=True))
    values["status"] = _STATUSES[values["status"]]
    values["trigger"] = _TRIGGERS[values["trigger"]]
    return executions.Execution(**values)

"""Items that programs could not process, as people and the next runs see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import dead_letters, reporting
from rollcall.services import dead_letters as services
from rollcall.services import paging, ports
from rollcall.store import at_work, models, pages, run_rows

_jobs = models.table(models.CronJob)
_rows = models.table(models.DeadLetter)
_runs = models.table(models.Execution)

# Built once: building a statement costs more than running it.
_LISTED = sa.select(_rows, _jobs.c.namespace, _jobs.c.name.label("cronjob_name")).join(
    _jobs, _jobs.c.id == _rows.c.cronjob_id
)
_BY_ID = _LISTED.where(_jobs.c.cluster == sa.bindparam("cluster"), _rows.c.id == sa.bindparam("id"))
_LOCK = _BY_ID.with_for_update(of=_rows)
_BECOME = (
    sa.update(_rows)
    .where(_rows.c.id == sa.bindparam("key"))
    .values(
        state=sa.bindparam("new_state"),
        state_at=sa.bindparam("new_state_at"),
        actor=sa.bindparam("new_actor"),
        note=sa.bindparam("new_note"),
    )
)
_REQUEUE = _BECOME.values(handed_to=None, handed_at=None)
_me = sa.bindparam("me", type_=sa.Uuid)
_going_on = (
    sa.select(_runs.c.id)
    .where(_runs.c.cronjob_id == sa.bindparam("cronjob_id"), run_rows.IS_OPEN)
    .scalar_subquery()
)
_WAITING = (
    sa.select(_rows)
    .where(
        _rows.c.cronjob_id == sa.bindparam("cronjob_id"),
        _rows.c.state == sa.literal_column("'requeued'"),  # so that the partial index is used
        sa.or_(
            _rows.c.handed_to.is_(None),
            _rows.c.handed_to == _me,
            sa.and_(_rows.c.handed_to.not_in(_going_on), ~at_work.of(_rows.c.handed_to)),
        ),
    )
    # What this run has already comes first: asking again must not take it away.
    .order_by(_rows.c.handed_to.is_not_distinct_from(_me).desc(), _rows.c.state_at, _rows.c.id)
    .limit(reporting.MOST_REQUEUED)
    .with_for_update(key_share=True)
)
_HAND_OVER = (
    sa.update(_rows)
    .where(
        _rows.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))),
        _rows.c.handed_to.is_distinct_from(_me),
    )
    .values(handed_to=_me, handed_at=sa.bindparam("now"))
)


@dataclass(slots=True)
class DeadLetters:
    """`ports.DeadLetters` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def lock(self, cluster: str, dead_letter_id: UUID) -> ports.DeadLetter | None:
        """Return one, locked until the transaction ends; None if there is none (any more)."""
        return await _one(self.connection, _LOCK, cluster, dead_letter_id)

    async def become(
        self, dead_letter_id: UUID, state: dead_letters.State, *, actor: str, note: str | None
    ) -> None:
        """Keep a new state; what is requeued is handed to nobody yet."""
        parameters = {
            "key": dead_letter_id,
            "new_state": state.value,
            "new_state_at": self.now,
            "new_actor": actor,
            "new_note": note,
        }
        is_requeued = state is dead_letters.State.REQUEUED
        await self.connection.execute(_REQUEUE if is_requeued else _BECOME, parameters)

    async def hand_over(
        self, identity: ports.Identity, heard_since: datetime
    ) -> Sequence[reporting.Requeued]:
        """Give this run what is requeued, oldest first, and what it was given before."""
        me = {"me": identity.execution_id}
        asked = {"cronjob_id": identity.cronjob_id, "heard_since": heard_since, "now": self.now}
        found = await self.connection.execute(_WAITING, me | asked)
        chosen = _fitting([_requeued(row) for row in found])
        if chosen:
            given = {"ids": [one.id for one in chosen], "now": self.now}
            await self.connection.execute(_HAND_OVER, me | given)
        return chosen


@dataclass(slots=True)
class Pages:
    """What people are shown, read on one connection."""

    connection: AsyncConnection

    async def find(self, cluster: str, dead_letter_id: UUID) -> ports.DeadLetter | None:
        """Return one, None if there is none (any more)."""
        return await _one(self.connection, _BY_ID, cluster, dead_letter_id)

    async def page(
        self, choice: services.Choice, *, limit: int, cursor: str | None = None
    ) -> paging.Page[ports.DeadLetter]:
        """Return one page, newest first, of at most `limit` (from 1).

        Raises errors.InvalidSpec for a cursor that no page ended with.
        """
        query, keys = _LISTED.where(*_conditions(choice)), (_rows.c.at, _rows.c.id)
        rows, next_cursor = await pages.page(
            self.connection, query, keys, limit=limit, cursor=cursor
        )
        return paging.Page(items=[_dead_letter(row) for row in rows], next_cursor=next_cursor)


async def _one(
    connection: AsyncConnection, query: sa.Executable, cluster: str, dead_letter_id: UUID
) -> ports.DeadLetter | None:
    key = {"cluster": cluster, "id": dead_letter_id}
    row = (await connection.execute(query, key)).one_or_none()
    return _dead_letter(row) if row else None


def _conditions(choice: services.Choice) -> list[sa.ColumnElement[bool]]:
    conditions = pages.of_jobs(choice.cluster, choice.namespace, choice.cronjob)
    if choice.states:
        conditions.append(_rows.c.state.in_(sorted(choice.states)))
    return conditions


def _fitting(waiting: Sequence[reporting.Requeued]) -> list[reporting.Requeued]:
    """Take from the front what fits into one answer; the first always does.

    It is measured as the api writes it: a control character takes six bytes there.
    """
    chosen: list[reporting.Requeued] = []
    left = reporting.LARGEST_REQUEUED - len("[]")
    for one in waiting:
        left -= len(msgspec.json.encode(one)) + len(",")
        if chosen and left < 0:
            break
        chosen.append(one)
    return chosen


def _requeued(row: sa.Row[Any]) -> reporting.Requeued:
    return reporting.Requeued(
        id=row.id, item=row.item, payload=row.payload, error=row.error, at=row.at
    )


def _dead_letter(row: sa.Row[Any]) -> ports.DeadLetter:
    return ports.DeadLetter(
        id=row.id,
        cronjob_id=row.cronjob_id,
        namespace=row.namespace,
        cronjob=row.cronjob_name,
        execution_id=row.execution_id,
        at=row.at,
        item=row.item,
        payload=row.payload,
        error=row.error,
        state=dead_letters.State(row.state),
        state_at=row.state_at,
        actor=row.actor,
        note=row.note,
        handed_to=row.handed_to,
        handed_at=row.handed_at,
    )

"""Executions: one row per run and per slot that did not run.

Invariants, held against two processes that write at once:
- A reader that is about to decide locks the row, so that read, decide and write are one step.
- A write takes effect only where the state machine allows it from the row as it is, and only on the
  row of the same Job: a late write of an old reading changes nothing.
- A conflict undoes that write alone; the transaction goes on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import errors, executions
from rollcall.services import ports
from rollcall.store import failures, models, partitions

_rows = models.table(models.Execution)
# Written as in the predicate of executions_open_idx, else the planner does not recognise it.
IS_OPEN = sa.text("executions.status IN ('pending', 'queued', 'running')")

# Built once: building a statement costs more than running it.
_wanted = (
    sa.func.unnest(
        sa.bindparam("cronjob_ids", type_=sa.ARRAY(sa.Uuid)),
        sa.bindparam("slots", type_=sa.ARRAY(sa.DateTime(timezone=True))),
    )
    .table_valued("cronjob_id", "slot_at", name="wanted")
    .render_derived()
)
_OF_SLOTS = (
    sa.select(_rows)
    .join(
        _wanted,
        sa.and_(_rows.c.slot_at == _wanted.c.slot_at, _rows.c.cronjob_id == _wanted.c.cronjob_id),
    )
    .where(_rows.c.trigger == executions.Trigger.SCHEDULE.value)
    # Always in the same order, so that two writers cannot wait for each other.
    .order_by(_rows.c.slot_at, _rows.c.id)
    .with_for_update(of=_rows)
)
_OF_JOB = (
    sa.select(_rows)
    .where(_rows.c.slot_at == sa.bindparam("slot_at"), _rows.c.job_uid == sa.bindparam("job_uid"))
    .with_for_update()
)
_OF_CRONJOB = sa.select(_rows).where(_rows.c.cronjob_id == sa.bindparam("cronjob_id"))
_NEWEST = _OF_CRONJOB.order_by(_rows.c.slot_at.desc(), _rows.c.id.desc()).limit(
    sa.bindparam("limit", type_=sa.Integer)
)
_RECENT = sa.union_all(_NEWEST.subquery().select(), _OF_CRONJOB.where(IS_OPEN))
_OWNER = sa.select(_rows.c.job_uid).where(
    _rows.c.slot_at == sa.bindparam("slot_at"), _rows.c.id == sa.bindparam("id")
)


@dataclass(slots=True)
class Ledger:
    """`ports.Ledger` on one connection."""

    connection: AsyncConnection
    now: datetime
    partitions: partitions.Partitions

    async def of_slots(
        self, slots: Collection[ports.SlotKey]
    ) -> Mapping[ports.SlotKey, executions.Execution]:
        """Return the rows of slots, locked until the transaction ends."""
        parameters = {
            "cronjob_ids": [cronjob_id for cronjob_id, _ in slots],
            "slots": [slot_at for _, slot_at in slots],
        }
        rows = await self.connection.execute(_OF_SLOTS, parameters)
        return {(run.cronjob_id, run.slot_at): run for run in map(execution_of, rows)}

    async def of_job(self, slot_at: datetime, job_uid: str) -> executions.Execution | None:
        """Return the run of this Job, locked until the transaction ends."""
        return await self._one(_OF_JOB, {"slot_at": slot_at, "job_uid": job_uid})

    async def recent(self, cronjob_id: UUID, limit: int) -> Sequence[executions.Execution]:
        """Return the newest by slot, and every open one, newest first."""
        return await read_recent(self.connection, cronjob_id, limit)

    async def save(self, execution: executions.Execution) -> None:
        """Insert or update by (slot_at, id); a step that the row does not allow changes nothing.

        Raises errors.Conflict if the slot belongs to another Job, partitions.SlotOutOfRange for a
        slot so far away that no Job of a real CronJob can have it.
        """

        async def write() -> None:
            await self._write(execution)

        await self.partitions.provide(execution.slot_at, self.now, write)

    async def _one(self, query: sa.Executable, key: dict[str, Any]) -> executions.Execution | None:
        row = (await self.connection.execute(query, key)).one_or_none()
        return execution_of(row) if row else None

    async def _write(self, execution: executions.Execution) -> None:
        try:
            async with self.connection.begin_nested():
                written = await self.connection.execute(_UPSERT, _parameters(execution, self.now))
        except exc.IntegrityError as error:
            if failures.sqlstate(error) != failures.UNIQUE_VIOLATION:
                raise
            raise errors.Conflict(
                f"{failures.constraint(error)}: {execution.slot_at} belongs to another Job"
            ) from error
        if written.one_or_none() is None:
            await self._explain(execution)

    async def _explain(self, execution: executions.Execution) -> None:
        """Tell a late or repeated write, which is ignored, from one for a slot of another Job."""
        key = {"slot_at": execution.slot_at, "id": execution.id}
        owner = (await self.connection.execute(_OWNER, key)).scalar_one_or_none()
        if owner and execution.job_uid and owner != execution.job_uid:
            raise errors.Conflict(f"{execution.slot_at} belongs to Job {owner}")


async def read_recent(
    connection: AsyncConnection, cronjob_id: UUID, limit: int
) -> list[executions.Execution]:
    """Read the newest by slot, and every open one, newest first."""
    rows = await connection.execute(_RECENT, {"cronjob_id": cronjob_id, "limit": limit})
    found = {row.id: execution_of(row) for row in rows}
    return sorted(found.values(), key=lambda run: (run.slot_at, run.id), reverse=True)


def execution_of(row: sa.Row[Any]) -> executions.Execution:
    """Read a row of `executions`."""
    return executions.Execution(
        id=row.id,
        cronjob_id=row.cronjob_id,
        slot_at=row.slot_at,
        trigger=executions.Trigger(row.trigger),
        status=executions.Status(row.status),
        reason=row.reason,
        message=row.message,
        exit_code=row.exit_code,
        job_name=row.job_name,
        job_uid=row.job_uid,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        attempts=row.attempts,
    )


def _upsert() -> sa.Executable:
    statement = insert(_rows)
    new = statement.excluded
    is_step = _rows.c.status == sa.any_(sa.bindparam("from", type_=sa.ARRAY(sa.Text)))
    set_ = {name: new[name] for name in _CHANGING}
    differs = [_rows.c[name].is_distinct_from(value) for name, value in set_.items()]
    of_this_job = sa.or_(_rows.c.job_uid.is_(None), _rows.c.job_uid == new.job_uid)
    return statement.on_conflict_do_update(
        index_elements=[_rows.c.slot_at, _rows.c.id],
        set_=set_,
        where=sa.and_(is_step, of_this_job, sa.or_(*differs)),
    ).returning(_rows.c.id)


_CHANGING = (
    "status",
    "reason",
    "message",
    "exit_code",
    "job_name",
    "job_uid",
    "created_at",
    "started_at",
    "ended_at",
    "attempts",
)
_UPSERT = _upsert()
# From which statuses the state machine reaches each.
_FROM = {
    new: [old.value for old in executions.Status if executions.may_become(old, new)]
    for new in executions.Status
}


def _parameters(execution: executions.Execution, now: datetime) -> dict[str, Any]:
    return {
        "slot_at": execution.slot_at,
        "id": execution.id,
        "cronjob_id": execution.cronjob_id,
        "trigger": execution.trigger.value,
        "recorded_at": now,
        "from": _FROM[execution.status],
        **{name: getattr(execution, name) for name in _CHANGING},
        "status": execution.status.value,
    }

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
from rollcall.store import arrays, failures, job_templates, models, partitions, run_rows

_rows = models.table(models.Execution)
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
_wanted_ids = arrays.rows(_rows, ("slot_at", "id"))
_OWNERS = sa.select(_rows.c.id, _rows.c.job_uid).join(
    _wanted_ids,
    sa.and_(_rows.c.slot_at == _wanted_ids.c.slot_at, _rows.c.id == _wanted_ids.c.id),
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
        return {(run.cronjob_id, run.slot_at): run for run in map(run_rows.execution_of, rows)}

    async def of_job(self, slot_at: datetime, job_uid: str) -> executions.Execution | None:
        """Return the run of this Job, locked until the transaction ends."""
        return await self._one(_OF_JOB, {"slot_at": slot_at, "job_uid": job_uid})

    async def recent(self, cronjob_id: UUID, limit: int) -> Sequence[executions.Execution]:
        """Return the newest by slot, and every open one, newest first."""
        return (await self.recent_of([cronjob_id], limit))[cronjob_id]

    async def recent_of(
        self, cronjob_ids: Collection[UUID], limit: int
    ) -> Mapping[UUID, Sequence[executions.Execution]]:
        """Return the same for many jobs, each of them."""
        return await run_rows.recent(self.connection, cronjob_ids, limit)

    async def save(self, execution: executions.Execution) -> None:
        """Insert or update by (slot_at, id); a step that the row does not allow changes nothing.

        Raises errors.Conflict if the slot belongs to another Job, partitions.SlotOutOfRange for a
        slot so far away that no Job of a real CronJob can have it.
        """
        await self._save(execution, ())

    async def _save(
        self, execution: executions.Execution, templates: Collection[ports.UsedTemplate]
    ) -> None:
        async def write() -> None:
            for owner in (await self._write([execution], templates)).values():
                raise errors.Conflict(f"{execution.slot_at} belongs to Job {owner}")

        await self.partitions.provide(execution.slot_at, self.now, write)

    async def save_all(
        self,
        runs: Collection[executions.Execution],
        templates: Collection[ports.UsedTemplate] = (),
    ) -> set[UUID]:
        """Save many, each once, and what their Jobs were made from.

        Return the ids of those whose slot belongs to another Job.
        Raises partitions.SlotOutOfRange as saving one does.
        """
        # So that two writers cannot wait for each other.
        ordered = sorted(runs, key=lambda run: (run.slot_at, run.id))
        try:
            return set(await self._write(ordered, templates))
        except errors.Conflict:
            pass  # it does not say whose
        except exc.DBAPIError as error:
            if not partitions.is_missing(error):
                raise
        return {run.id for run in ordered if not await self._is_saved(run, templates)}

    async def _is_saved(
        self, run: executions.Execution, templates: Collection[ports.UsedTemplate]
    ) -> bool:
        try:
            await self._save(run, templates)
        except errors.Conflict:
            return False
        return True

    async def _one(self, query: sa.Executable, key: dict[str, Any]) -> executions.Execution | None:
        row = (await self.connection.execute(query, key)).one_or_none()
        return run_rows.execution_of(row) if row else None

    async def _write(
        self, runs: Sequence[executions.Execution], templates: Collection[ports.UsedTemplate]
    ) -> Mapping[UUID, str]:
        """Write in one statement and in this order; return what was refused, and for which Jobs."""
        rows = [_columns(run) for run in runs]
        parameters = {
            "now": self.now,
            **arrays.parameters(rows, _GIVEN),
            **job_templates.parameters(templates),
        }
        try:
            async with self.connection.begin_nested():
                written = set((await self.connection.execute(_UPSERT, parameters)).scalars())
        except exc.IntegrityError as error:
            if failures.sqlstate(error) != failures.UNIQUE_VIOLATION:
                raise
            raise errors.Conflict(
                f"{failures.constraint(error)}: a slot belongs to another Job"
            ) from error
        return await self._refused([run for run in runs if run.id not in written])

    async def _refused(self, unwritten: Sequence[executions.Execution]) -> Mapping[UUID, str]:
        """Tell late or repeated writes, which are ignored, from those for slots of other Jobs.

        Return the latter, and the Jobs that have their slots.
        """
        if not unwritten:
            return {}
        keys = arrays.parameters([_columns(run) for run in unwritten], ("slot_at", "id"))
        owners = {row.id: row.job_uid for row in await self.connection.execute(_OWNERS, keys)}
        return {
            run.id: owner
            for run in unwritten
            if run.job_uid and (owner := owners.get(run.id)) and owner != run.job_uid
        }


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
    "waiting_since",
    "template_hash",
)
_GIVEN = ("slot_at", "id", "cronjob_id", "trigger", *_CHANGING)
# The state machine's table, staying the same included.
_STEPS = ", ".join(
    f"('{old}', '{new}')"
    for old in executions.Status
    for new in executions.Status
    if executions.may_become(old, new)
)


def _upsert() -> sa.Executable:
    given = arrays.rows(_rows, _GIVEN)
    recorded_at = sa.bindparam("now", type_=_rows.c.recorded_at.type)
    statement = insert(_rows).from_select(
        [*_GIVEN, "recorded_at"], sa.select(*given.c, recorded_at)
    )
    statement = statement.add_cte(job_templates.KEPT)
    new = statement.excluded
    is_step = sa.text(f"(executions.status, excluded.status) IN ({_STEPS})")
    set_: dict[str, sa.ColumnElement[Any]] = {name: new[name] for name in _CHANGING}
    # What its Job was made from stays as it was seen first.
    set_["template_hash"] = sa.func.coalesce(_rows.c.template_hash, new.template_hash)
    differs = [_rows.c[name].is_distinct_from(value) for name, value in set_.items()]
    of_this_job = sa.or_(_rows.c.job_uid.is_(None), _rows.c.job_uid == new.job_uid)
    return statement.on_conflict_do_update(
        index_elements=[_rows.c.slot_at, _rows.c.id],
        set_=set_,
        where=sa.and_(is_step, of_this_job, sa.or_(*differs)),
    ).returning(_rows.c.id)


_UPSERT = _upsert()


def _columns(run: executions.Execution) -> dict[str, Any]:
    values = {name: getattr(run, name) for name in _GIVEN}
    return values | {"trigger": run.trigger.value, "status": run.status.value}

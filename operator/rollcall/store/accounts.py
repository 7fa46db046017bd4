"""What is read of one run to be shown: its window, newest checkpoint, errors, forerunners."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, windows
from rollcall.services import ports
from rollcall.store import error_pages, history, models, run_rows

_checkpoints = models.table(models.Checkpoint)
_pods = models.table(models.Attempt)
_runs = models.table(models.Execution)
_windows = models.table(models.Window)

_EXECUTION = sa.bindparam("execution_id", type_=sa.Uuid)
_JOB = sa.bindparam("cronjob_id", type_=sa.Uuid)
_SLOT = sa.bindparam("slot_at", type_=sa.DateTime(timezone=True))
_LIMIT = sa.bindparam("limit", type_=sa.Integer)

# Built once: building a statement costs more than running it.
_RUN = sa.select(_runs).where(_runs.c.slot_at == _SLOT, _runs.c.id == _EXECUTION)
_WINDOW = (
    sa.select(_windows)
    .where(_windows.c.cronjob_id == _JOB, _windows.c.execution_id == _EXECUTION)
    .order_by(_windows.c.opened_at.desc())
    .limit(1)
)
_size = sa.func.octet_length(sa.cast(_checkpoints.c.value, sa.Text))
_CHECKPOINT = (
    sa.select(
        _checkpoints.c.at,
        _checkpoints.c.attempt,
        _checkpoints.c.index.label("place"),  # a row has a method `index`
        _size.label("size"),
        sa.case((_size <= sa.bindparam("shown"), _checkpoints.c.value)).label("value"),
    )
    .where(
        _checkpoints.c.cronjob_id == _JOB,
        _checkpoints.c.slot_at == _SLOT,
        _checkpoints.c.execution_id == _EXECUTION,
    )
    .order_by(_checkpoints.c.at.desc(), _checkpoints.c.attempt.desc(), _checkpoints.c.seq.desc())
    .limit(1)
)
_reported = error_pages.REPORTED.where(_pods.c.execution_id == _EXECUTION).subquery()
_ERRORS = sa.select(_reported).order_by(_reported.c.at.desc(), _reported.c.id.desc()).limit(_LIMIT)
_before = (
    sa.select(_runs)
    .where(_runs.c.cronjob_id == _JOB, _runs.c.slot_at < _SLOT)
    .order_by(_runs.c.slot_at.desc(), _runs.c.id.desc())
    .limit(history.TYPICAL_LOOKBACK)
    .subquery()
)
# A clock that is set back between the two makes no run shorter than nothing.
_took = sa.func.greatest(_before.c.ended_at - _before.c.started_at, timedelta())
_DURATIONS = (
    sa.select(_took)
    .where(
        _before.c.status == executions.Status.SUCCEEDED.value,
        _before.c.started_at.is_not(None),
        _before.c.ended_at.is_not(None),
    )
    .order_by(_before.c.slot_at.desc())
    .limit(_LIMIT)
)


@dataclass(slots=True)
class Accounts:
    """`ports.Accounts` on one connection."""

    connection: AsyncConnection

    async def run(self, identity: ports.Identity) -> executions.Execution | None:
        """Return the run of a pod as the ledger has it."""
        key = {"slot_at": identity.slot_at, "execution_id": identity.execution_id}
        row = (await self.connection.execute(_RUN, key)).one_or_none()
        return run_rows.execution_of(row) if row else None

    async def window(self, run: executions.Execution) -> ports.GivenWindow | None:
        """Return the window that it was given last."""
        key = {"cronjob_id": run.cronjob_id, "execution_id": run.id}
        row = (await self.connection.execute(_WINDOW, key)).one_or_none()
        if row is None:
            return None
        stretch = windows.Stretch(
            from_at=row.from_at, until_at=row.until_at, has_more=row.until_at < row.slot_at
        )
        return ports.GivenWindow(stretch=stretch, state=windows.State(row.state))

    async def checkpoint(
        self, run: executions.Execution, shown: int
    ) -> ports.KeptCheckpoint | None:
        """Return the newest one that is kept, with its value if that has at most `shown` bytes."""
        key = {
            "cronjob_id": run.cronjob_id,
            "slot_at": run.slot_at,
            "execution_id": run.id,
            "shown": shown,
        }
        row = (await self.connection.execute(_CHECKPOINT, key)).one_or_none()
        if row is None:
            return None
        return ports.KeptCheckpoint(
            at=row.at, attempt=row.attempt, index=row.place, size=row.size, value=row.value
        )

    async def errors(self, run: executions.Execution, limit: int) -> Sequence[ports.ReportedError]:
        """Return the newest errors that are kept."""
        key = {"execution_id": run.id, "limit": limit}
        rows = await self.connection.execute(_ERRORS, key)
        return [error_pages.reported(row) for row in rows]

    async def durations_before(self, run: executions.Execution, limit: int) -> Sequence[timedelta]:
        """Return how long the newest successes before this run took, newest first."""
        key = {"cronjob_id": run.cronjob_id, "slot_at": run.slot_at, "limit": limit}
        return list((await self.connection.execute(_DURATIONS, key)).scalars())

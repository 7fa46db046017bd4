"""The stretches of time that a job's runs process.

What is decided about them is decided under the lock on the job's row, so that two runs which ask at
once take turns; the partial unique index is the last word.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import errors, executions, ids, windows
from rollcall.services import ports
from rollcall.store import at_work, failures, models

_jobs = models.table(models.CronJob)
_rows = models.table(models.Window)
_runs = models.table(models.Execution)

# Built once: building a statement costs more than running it. NO KEY: rows that refer to the job
# may still be inserted.
_LOCK = (
    sa.select(_jobs.c.id)
    .where(_jobs.c.id == sa.bindparam("cronjob_id"))
    .with_for_update(key_share=True)
)
_OF_STATE = (
    sa.select(_rows, _runs.c.status, _runs.c.job_name)
    .join(
        _runs,
        sa.and_(_runs.c.slot_at == _rows.c.slot_at, _runs.c.id == _rows.c.execution_id),
        isouter=True,
    )
    .where(_rows.c.cronjob_id == sa.bindparam("cronjob_id"))
    .order_by(_rows.c.until_at.desc())
    .limit(1)
)
# The state is written out, so that the planner recognises the partial index.
_OPEN = _OF_STATE.add_columns(at_work.of(_rows.c.execution_id).label("is_at_work")).where(
    _rows.c.state == sa.literal_column("'open'")
)
_DONE = _OF_STATE.where(_rows.c.state == sa.literal_column("'done'"))
_ADD = sa.insert(_rows)
_SETTLE = (
    sa.update(_rows)
    .where(_rows.c.cronjob_id == sa.bindparam("key"), _rows.c.state == sa.literal_column("'open'"))
    .values(state=sa.bindparam("new"), ended_at=sa.bindparam("at"))
)


@dataclass(slots=True)
class Windows:
    """`ports.Windows` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def open_of(self, cronjob_id: UUID, heard_since: datetime) -> ports.OpenWindow | None:
        """Lock the job's row until the transaction ends, then return the open window."""
        await self.connection.execute(_LOCK, {"cronjob_id": cronjob_id})
        asked = {"cronjob_id": cronjob_id, "heard_since": heard_since, "now": self.now}
        row = (await self.connection.execute(_OPEN, asked)).one_or_none()
        if row is None:
            return None
        lease = replace(_lease(row), is_at_work=row.is_at_work)
        return ports.OpenWindow(lease=lease, job_name=row.job_name or "")

    async def newest_done(self, cronjob_id: UUID) -> windows.Lease | None:
        """Return the processed window that ends last."""
        row = (await self.connection.execute(_DONE, {"cronjob_id": cronjob_id})).one_or_none()
        return _lease(row) if row else None

    async def open(self, cronjob_id: UUID, execution_id: UUID, stretch: windows.Stretch) -> None:
        """Open a window for a run; raises errors.Conflict if one is open."""
        row = {
            "id": ids.window_id(execution_id=execution_id, opened_at=self.now),
            "cronjob_id": cronjob_id,
            "execution_id": execution_id,
            "slot_at": ids.instant_of(execution_id),
            "from_at": stretch.from_at,
            "until_at": stretch.until_at,
            "opened_at": self.now,
        }
        try:
            async with self.connection.begin_nested():
                await self.connection.execute(_ADD, row)
        except exc.IntegrityError as error:
            if failures.sqlstate(error) != failures.UNIQUE_VIOLATION:
                raise
            raise errors.Conflict("another window of this job is open") from error

    async def settle(self, cronjob_id: UUID, state: windows.State, at: datetime) -> None:
        """End the open window, if there is one, as DONE or RELEASED."""
        parameters = {"key": cronjob_id, "new": state.value, "at": at}
        await self.connection.execute(_SETTLE, parameters)


def _lease(row: sa.Row[Any]) -> windows.Lease:
    stretch = windows.Stretch(
        from_at=row.from_at, until_at=row.until_at, has_more=row.until_at < row.slot_at
    )
    # What is not known any more has not succeeded, as far as anybody can say; what was settled
    # keeps its state in the row.
    status = executions.Status(row.status) if row.status else executions.Status.UNKNOWN
    return windows.Lease(execution_id=row.execution_id, stretch=stretch, status=status)

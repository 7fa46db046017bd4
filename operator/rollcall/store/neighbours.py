"""What the judge looks at around a job's slots: its earlier runs, and the cluster's other jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions
from rollcall.services import ports
from rollcall.store import models, registry, run_rows

_jobs = models.table(models.CronJob)
_revisions = models.table(models.ScheduleRevision)
_rows = models.table(models.Execution)

# Built once: building a statement costs more than running it.
_RUNS_BEFORE = (
    sa.select(_rows)
    .where(
        _rows.c.cronjob_id == sa.bindparam("cronjob_id"),
        _rows.c.slot_at <= sa.bindparam("at"),
        _rows.c.created_at.is_not(None),
    )
    .order_by(_rows.c.slot_at.desc(), _rows.c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_IN_FORCE = (
    sa.select(_revisions)
    .where(_revisions.c.cronjob_id == _jobs.c.id)
    .order_by(_revisions.c.effective_from.desc())
    .limit(1)
    .lateral("in_force")
)
_NEWEST_STARTED = (
    sa.select(_IN_FORCE, _jobs.c.last_schedule_at)
    .join_from(_jobs, _IN_FORCE, sa.true())
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _jobs.c.deleted_at.is_(None),
        _IN_FORCE.c.suspended.is_(False),
    )
    .order_by(_jobs.c.last_schedule_at.desc().nulls_last())
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_STARTED_BETWEEN = (
    sa.select(sa.func.count())
    .join_from(_rows, _jobs, _jobs.c.id == _rows.c.cronjob_id)
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _rows.c.slot_at > sa.bindparam("after"),
        _rows.c.slot_at <= sa.bindparam("until"),
        _rows.c.trigger == executions.Trigger.SCHEDULE.value,
        _rows.c.status.not_in([executions.Status.MISSED.value, executions.Status.PENDING.value]),
    )
)
_DUE_BETWEEN = (
    sa.select(sa.func.count())
    .select_from(_jobs)
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _jobs.c.deleted_at.is_(None),
        _jobs.c.next_slot_at > sa.bindparam("after"),
        _jobs.c.next_slot_at <= sa.bindparam("until"),
    )
)


@dataclass(slots=True)
class Neighbours:
    """`ports.Neighbours` on one connection."""

    connection: AsyncConnection

    async def runs_before(
        self, cronjob_id: UUID, at: datetime, limit: int
    ) -> Sequence[executions.Execution]:
        """Return the newest executions that had a Job, with a slot at or before `at`."""
        parameters = {"cronjob_id": cronjob_id, "at": at, "limit": limit}
        rows = await self.connection.execute(_RUNS_BEFORE, parameters)
        return [run_rows.execution_of(row) for row in rows]

    async def started_between(self, cluster: str, after: datetime, until: datetime) -> int:
        """Count the slots of that time that were not in vain, those skipped among them."""
        given = {"cluster": cluster, "after": after, "until": until}
        count: int = (await self.connection.execute(_STARTED_BETWEEN, given)).scalar_one()
        return count

    async def due_between(self, cluster: str, after: datetime, until: datetime) -> int:
        """Count the jobs whose next slot, as the last look had it, fell due in that time."""
        given = {"cluster": cluster, "after": after, "until": until}
        count: int = (await self.connection.execute(_DUE_BETWEEN, given)).scalar_one()
        return count

    async def newest_started(self, cluster: str, limit: int) -> Sequence[ports.Started]:
        """Return the active jobs of the cluster that started last, newest first."""
        parameters = {"cluster": cluster, "limit": limit}
        rows = await self.connection.execute(_NEWEST_STARTED, parameters)
        return [
            ports.Started(
                cronjob_id=row.cronjob_id,
                revision=registry.revision_of(row),
                slot_at=row.last_schedule_at,
            )
            for row in rows
        ]

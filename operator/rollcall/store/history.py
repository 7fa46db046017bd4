"""What the rules and the judge look back on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, slots
from rollcall.store import ledger, models, registry

_jobs = models.table(models.CronJob)
_revisions = models.table(models.ScheduleRevision)
_rows = models.table(models.Execution)

TYPICAL_RUNS = 100
# Among how many of the newest rows they are looked for: a job that fails every minute must not make
# each look read its whole history.
TYPICAL_LOOKBACK = 1000
TYPICAL_PERCENTILE = 0.95


_JOB: sa.BindParameter[UUID] = sa.bindparam("cronjob_id")


def _revisions_since() -> sa.Select[Any]:
    since = sa.bindparam("since", type_=_revisions.c.effective_from.type)
    of_job = _revisions.c.cronjob_id == _JOB
    in_force = (
        sa.select(sa.func.max(_revisions.c.effective_from))
        .where(of_job, _revisions.c.effective_from <= since)
        .scalar_subquery()
    )
    return (
        sa.select(_revisions)
        .where(of_job, _revisions.c.effective_from >= sa.func.coalesce(in_force, since))
        .order_by(_revisions.c.effective_from)
    )


def typical(lookback: int = TYPICAL_LOOKBACK) -> sa.Select[Any]:
    """Build the query for the typical duration among the newest `lookback` rows."""
    newest = (
        sa.select(_rows)
        .where(_rows.c.cronjob_id == _JOB)
        .order_by(_rows.c.slot_at.desc(), _rows.c.id.desc())
        .limit(lookback)
        .subquery()
    )
    durations = (
        sa.select((newest.c.ended_at - newest.c.started_at).label("duration"))
        .where(
            newest.c.status == executions.Status.SUCCEEDED.value,
            newest.c.started_at.is_not(None),
            newest.c.ended_at.is_not(None),
        )
        .order_by(newest.c.slot_at.desc())
        .limit(TYPICAL_RUNS)
        .subquery()
    )
    percentile = sa.func.percentile_cont(TYPICAL_PERCENTILE, type_=sa.Interval)
    return sa.select(
        sa.func.count().label("runs"),
        percentile.within_group(durations.c.duration).label("duration"),
    ).select_from(durations)


# Built once: building a statement costs more than running it.
_REVISIONS = _revisions_since()
_TYPICAL = typical()
_SLOTS = sa.select(_rows.c.slot_at).where(
    _rows.c.cronjob_id == _JOB,
    _rows.c.trigger == executions.Trigger.SCHEDULE.value,
    _rows.c.slot_at > sa.bindparam("after"),
    _rows.c.slot_at <= sa.bindparam("until"),
)
_OPEN = (
    sa.select(_rows)
    .join(_jobs, _jobs.c.id == _rows.c.cronjob_id)
    .where(_jobs.c.cluster == sa.bindparam("cluster"), ledger.IS_OPEN)
    .order_by(_rows.c.slot_at, _rows.c.id)
)


@dataclass(slots=True)
class History:
    """`ports.History` on one connection."""

    connection: AsyncConnection

    async def revisions(self, cronjob_id: UUID, since: datetime) -> Sequence[slots.Revision]:
        """Return the revision in force at `since` and all later ones, in order of time."""
        parameters = {"cronjob_id": cronjob_id, "since": since}
        rows = await self.connection.execute(_REVISIONS, parameters)
        return [registry.revision_of(row) for row in rows]

    async def slots_with_rows(
        self, cronjob_id: UUID, after: datetime, until: datetime
    ) -> set[datetime]:
        """Return the slots in (after, until] that have a row."""
        parameters = {"cronjob_id": cronjob_id, "after": after, "until": until}
        return set((await self.connection.execute(_SLOTS, parameters)).scalars())

    async def typical_duration(self, cronjob_id: UUID, at_least: int) -> timedelta | None:
        """Return the p95 of the newest 100 succeeded runs, None for fewer than `at_least`."""
        row = (await self.connection.execute(_TYPICAL, {"cronjob_id": cronjob_id})).one()
        return row.duration if row.runs >= at_least else None

    async def open_jobs(self, cluster: str) -> Sequence[executions.Execution]:
        """Return all open executions of this cluster, for the comparison with a full list."""
        rows = await self.connection.execute(_OPEN, {"cluster": cluster})
        return [ledger.execution_of(row) for row in rows]

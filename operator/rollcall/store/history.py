"""What the rules and the judge look back on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, slots, streaks
from rollcall.store import arrays, models, registry, run_rows

_jobs = models.table(models.CronJob)
_revisions = models.table(models.ScheduleRevision)
_rows = models.table(models.Execution)

TYPICAL_RUNS = 100
# Among how many of the newest rows they are looked for: a job that fails every minute must not make
# each look read its whole history.
TYPICAL_LOOKBACK = 1000
TYPICAL_PERCENTILE = 0.95
TALLIED_RUNS = 2000  # a minute schedule has 1,440 a day


_JOB: sa.BindParameter[UUID] = sa.bindparam("cronjob_id")


_WANTED = ("cronjob_id", "effective_from")
_TALLIED = ("cronjob_id", "slot_at")


def _revisions_since() -> sa.Select[Any]:
    wanted = arrays.rows(_revisions, _WANTED)
    since = wanted.c.effective_from
    earlier = _revisions.alias("earlier")
    in_force = (
        sa.select(sa.func.max(earlier.c.effective_from))
        .where(earlier.c.cronjob_id == wanted.c.cronjob_id, earlier.c.effective_from <= since)
        .scalar_subquery()
        .correlate(wanted)
    )
    of_job = _revisions.c.cronjob_id == wanted.c.cronjob_id
    return (
        sa.select(_revisions)
        .join(wanted, of_job)
        .where(_revisions.c.effective_from >= sa.func.coalesce(in_force, since))
        .order_by(_revisions.c.cronjob_id, _revisions.c.effective_from)
    )


def typical(lookback: int = TYPICAL_LOOKBACK) -> sa.Select[Any]:
    """Build the query for the typical duration of jobs, each among its newest `lookback` rows."""
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    wanted = sa.func.unnest(ids).table_valued(sa.column("id", sa.Uuid)).render_derived()
    newest = (
        sa.select(_rows)
        .where(_rows.c.cronjob_id == wanted.c.id)
        .order_by(_rows.c.slot_at.desc(), _rows.c.id.desc())
        .limit(lookback)
        .correlate(wanted)
        .subquery()
    )
    # A clock that is set back between the two makes no run shorter than nothing.
    took = sa.func.greatest(newest.c.ended_at - newest.c.started_at, timedelta())
    durations = (
        sa.select(took.label("duration"))
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
    are_enough = sa.func.count() >= sa.bindparam("at_least", type_=sa.Integer)
    duration = sa.select(
        sa.case((are_enough, percentile.within_group(durations.c.duration)))
    ).select_from(durations)
    return sa.select(wanted.c.id, duration.correlate(wanted).scalar_subquery().label("duration"))


def tallied(at_most: int = TALLIED_RUNS) -> sa.Select[Any]:
    """Build the query that counts how runs of slots ended, of each job at most so many."""
    wanted = arrays.rows(_rows, _TALLIED)
    counted = (executions.Status.FAILED.value, executions.Status.SUCCEEDED.value)
    newest = (
        sa.select(_rows.c.status)
        .where(
            _rows.c.cronjob_id == wanted.c.cronjob_id,
            _rows.c.slot_at > wanted.c.slot_at,
            _rows.c.trigger == executions.Trigger.SCHEDULE.value,
            _rows.c.status.in_(counted),
        )
        .order_by(_rows.c.slot_at.desc(), _rows.c.id.desc())
        .limit(at_most)
        .lateral("newest")
    )
    failed = sa.func.count().filter(newest.c.status == executions.Status.FAILED.value)
    return (
        sa.select(wanted.c.cronjob_id, failed.label("failed"), sa.func.count().label("total"))
        .join_from(wanted, newest, sa.true())
        .group_by(wanted.c.cronjob_id)
    )


# Built once: building a statement costs more than running it.
_TALLIES = tallied()
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
    .where(_jobs.c.cluster == sa.bindparam("cluster"), run_rows.IS_OPEN)
    .order_by(_rows.c.slot_at, _rows.c.id)
)


@dataclass(slots=True)
class History:
    """`ports.History` on one connection."""

    connection: AsyncConnection

    async def revisions(self, cronjob_id: UUID, since: datetime) -> Sequence[slots.Revision]:
        """Return the revision in force at `since` and all later ones, in order of time."""
        return (await self.revisions_of({cronjob_id: since}))[cronjob_id]

    async def revisions_of(
        self, since: Mapping[UUID, datetime]
    ) -> Mapping[UUID, Sequence[slots.Revision]]:
        """Return the same for many jobs, each of them and each since its own time."""
        wanted = [{"cronjob_id": one, "effective_from": at} for one, at in since.items()]
        given = arrays.parameters(wanted, _WANTED)
        found: dict[UUID, list[slots.Revision]] = {one: [] for one in since}
        for row in await self.connection.execute(_REVISIONS, given):
            found[row.cronjob_id].append(registry.revision_of(row))
        return found

    async def slots_with_rows(
        self, cronjob_id: UUID, after: datetime, until: datetime
    ) -> set[datetime]:
        """Return the slots in (after, until] that have a row."""
        parameters = {"cronjob_id": cronjob_id, "after": after, "until": until}
        return set((await self.connection.execute(_SLOTS, parameters)).scalars())

    async def typical_durations(
        self, cronjob_ids: Collection[UUID], at_least: int
    ) -> Mapping[UUID, timedelta | None]:
        """Return of each job the p95 of its newest 100 succeeded runs, None for too few."""
        parameters = {"ids": list(cronjob_ids), "at_least": at_least}
        rows = await self.connection.execute(_TYPICAL, parameters)
        return {row.id: row.duration for row in rows}

    async def tallies(self, since: Mapping[UUID, datetime]) -> Mapping[UUID, streaks.Tally]:
        """Count how the runs of slots ended; of each job at most the newest TALLIED_RUNS."""
        wanted = [{"cronjob_id": one, "slot_at": at} for one, at in since.items()]
        rows = await self.connection.execute(_TALLIES, arrays.parameters(wanted, _TALLIED))
        return {row.cronjob_id: streaks.Tally(failed=row.failed, total=row.total) for row in rows}

    async def open_jobs(self, cluster: str) -> Sequence[executions.Execution]:
        """Return all open executions of this cluster, for the comparison with a full list."""
        rows = await self.connection.execute(_OPEN, {"cluster": cluster})
        return [run_rows.execution_of(row) for row in rows]

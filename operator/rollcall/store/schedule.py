"""Which jobs are due for a look.

`cronjobs.next_check_at` is the whole schedule: indexed, moved lazily, touched by no heartbeat.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.services import ports
from rollcall.store import arrays, models, registry

_jobs = models.table(models.CronJob)


# Built once: building a statement costs more than running it. The partial index cronjobs_due_idx
# answers the sweep alone.
DUE = (
    sa.select(_jobs.c.id)
    .where(
        _jobs.c.cluster == sa.bindparam("cluster"),
        _jobs.c.deleted_at.is_(None),
        _jobs.c.next_check_at <= sa.bindparam("now"),
    )
    .order_by(_jobs.c.next_check_at)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
# NO KEY: rows that refer to this one (incidents, revisions) may still be inserted.
_LOCK = (
    sa.select(_jobs)
    .where(_jobs.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(_jobs.c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_OUTCOME = ("id", *ports.JobState.__dataclass_fields__, "next_check_at")


def _save() -> sa.Update:
    """Build the write of looks' outcomes, which leaves rows alone that would not change."""
    given = arrays.rows(_jobs, _OUTCOME)
    new = {name: given.c[name] for name in _OUTCOME[1:]}
    differs = [_jobs.c[name].is_distinct_from(value) for name, value in new.items()]
    return sa.update(_jobs).where(_jobs.c.id == given.c.id, sa.or_(*differs)).values(new)


def _look_at() -> sa.Update:
    """Build the request for looks; rows are locked in the order of their keys.

    A row that is due already is written as well: a look that is under way read it before us, and
    would set its next look without knowing what we ask for. So we wait for its lock.
    """
    given = arrays.rows(_jobs, ("id", "next_check_at"))
    wanted = (
        sa.select(_jobs.c.id, given.c.next_check_at)
        .join(given, given.c.id == _jobs.c.id)
        .order_by(_jobs.c.id)
        .with_for_update(key_share=True, of=_jobs)
        .subquery("wanted")
    )
    sooner = sa.func.least(_jobs.c.next_check_at, wanted.c.next_check_at)
    return sa.update(_jobs).where(_jobs.c.id == wanted.c.id).values(next_check_at=sooner)


_SAVE = _save()
_LOOK_AT = _look_at()


@dataclass(slots=True)
class Schedule:
    """`ports.Schedule` on one connection."""

    connection: AsyncConnection
    now: datetime

    async def due(self, cluster: str, limit: int) -> Sequence[UUID]:
        """Return jobs whose next look is due, most overdue first; deleted ones excluded."""
        parameters = {"cluster": cluster, "now": self.now, "limit": limit}
        return [row.id for row in await self.connection.execute(DUE, parameters)]

    async def lock(self, cronjob_id: UUID) -> ports.JobRow | None:
        """Lock the job's row for this transaction; None if somebody else has it or it is gone."""
        return next(iter(await self.lock_all([cronjob_id])), None)

    async def lock_all(self, cronjob_ids: Collection[UUID]) -> Sequence[ports.JobRow]:
        """Lock the rows of many; those that somebody else has or that are gone are left out."""
        rows = await self.connection.execute(_LOCK, {"ids": list(cronjob_ids)})
        return [registry.job_row(row) for row in rows]

    async def save(self, cronjob_id: UUID, state: ports.JobState, next_check_at: datetime) -> None:
        """Keep the outcome of a look; a row that would not change is not written."""
        await self.save_all({cronjob_id: (state, next_check_at)})

    async def save_all(self, outcomes: Mapping[UUID, tuple[ports.JobState, datetime]]) -> None:
        """Keep the outcomes of looks: of each the state, and when to look again."""
        if not outcomes:
            return
        rows = [
            {
                "id": cronjob_id,
                **{name: getattr(state, name) for name in ports.JobState.__dataclass_fields__},
                "health": state.health.value,
                "next_check_at": next_check_at,
            }
            for cronjob_id, (state, next_check_at) in outcomes.items()
        ]
        await self.connection.execute(_SAVE, arrays.parameters(rows, _OUTCOME))

    async def look_at(self, times: Mapping[UUID, datetime]) -> None:
        """Bring the next look at each job forward to its time; never moves one back."""
        if times:
            rows = [{"id": one, "next_check_at": at} for one, at in times.items()]
            given = arrays.parameters(rows, ("id", "next_check_at"))
            await self.connection.execute(_LOOK_AT, given)

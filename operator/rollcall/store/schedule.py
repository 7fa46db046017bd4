"""Which jobs are due for a look.

`cronjobs.next_check_at` is the whole schedule: indexed, moved lazily, touched by no heartbeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.services import ports
from rollcall.store import models, registry

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
    .where(_jobs.c.id == sa.bindparam("id"))
    .with_for_update(key_share=True, skip_locked=True)
)
# Written also where the row is due already: a look that is under way read it before us, and would
# set its next look without knowing what we ask for. So we wait for its lock.
_LOOK_AT = (
    sa.update(_jobs)
    .where(_jobs.c.id == sa.bindparam("key"))
    .values(next_check_at=sa.func.least(_jobs.c.next_check_at, sa.bindparam("at")))
)


def _save() -> sa.Update:
    """Build the write of a look's outcome, which leaves a row alone that would not change."""
    new = {
        name: sa.bindparam(f"new_{name}", type_=_jobs.c[name].type)
        for name in (*ports.JobState.__dataclass_fields__, "next_check_at")
    }
    differs = [_jobs.c[name].is_distinct_from(value) for name, value in new.items()]
    return sa.update(_jobs).where(_jobs.c.id == sa.bindparam("key"), sa.or_(*differs)).values(new)


_SAVE = _save()


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
        row = (await self.connection.execute(_LOCK, {"id": cronjob_id})).one_or_none()
        return registry.job_row(row) if row else None

    async def save(self, cronjob_id: UUID, state: ports.JobState, next_check_at: datetime) -> None:
        """Keep the outcome of a look; a row that would not change is not written."""
        parameters = {
            "key": cronjob_id,
            "new_judged_through": state.judged_through,
            "new_last_success_at": state.last_success_at,
            "new_last_schedule_at": state.last_schedule_at,
            "new_consecutive_failures": state.consecutive_failures,
            "new_health": state.health.value,
            "new_next_slot_at": state.next_slot_at,
            "new_next_check_at": next_check_at,
        }
        await self.connection.execute(_SAVE, parameters)

    async def look_at(self, cronjob_id: UUID, at: datetime) -> None:
        """Bring the next look forward to `at`; never moves it back."""
        await self.connection.execute(_LOOK_AT, {"key": cronjob_id, "at": at})

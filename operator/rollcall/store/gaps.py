"""Stretches of time that are told as one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import slots
from rollcall.store import models

_gaps = models.table(models.Gap)
_CHANGING = ("until_at", "reason", "message", "count")


def _upsert() -> sa.Executable:
    statement = insert(_gaps)
    set_ = {name: statement.excluded[name] for name in _CHANGING}
    differs = [_gaps.c[name].is_distinct_from(value) for name, value in set_.items()]
    return statement.on_conflict_do_update(
        index_elements=list(_gaps.primary_key), set_=set_, where=sa.or_(*differs)
    )


# Built once: building a statement costs more than running it.
_UPSERT = _upsert()
_WITHIN = (
    sa.select(_gaps)
    .where(
        _gaps.c.cronjob_id == sa.bindparam("cronjob_id"),
        _gaps.c.from_at <= sa.bindparam("until"),
        sa.or_(_gaps.c.until_at.is_(None), _gaps.c.until_at > sa.bindparam("after")),
    )
    .order_by(_gaps.c.from_at, _gaps.c.status)
)


@dataclass(slots=True)
class Gaps:
    """`ports.Gaps` on one connection."""

    connection: AsyncConnection

    async def save(self, gap: slots.Gap) -> None:
        """Insert or update by job, begin and status; the same again writes nothing."""
        await self.connection.execute(
            _UPSERT, {column.name: getattr(gap, column.name) for column in _gaps.c}
        )

    async def of(self, cronjob_id: UUID, after: datetime, until: datetime) -> Sequence[slots.Gap]:
        """Return the gaps that reach into (after, until], oldest first."""
        parameters = {"cronjob_id": cronjob_id, "after": after, "until": until}
        rows = await self.connection.execute(_WITHIN, parameters)
        return [slots.Gap(**row) for row in rows.mappings()]

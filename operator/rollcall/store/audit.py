"""What people and runs did."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.services import ports
from rollcall.store import models

_entries = models.table(models.AuditEntry)

# Built once: building a statement costs more than running it.
_ADD = sa.insert(_entries)
_OF = sa.select(_entries).where(_entries.c.object == sa.bindparam("target")).order_by(_entries.c.id)


@dataclass(slots=True)
class Audit:
    """`ports.Audit` on one connection."""

    connection: AsyncConnection

    async def record(self, entry: ports.AuditEntry) -> None:
        """Add an entry."""
        await self.connection.execute(_ADD, {
            "at": entry.at,
            "actor": entry.actor,
            "verb": entry.verb,
            "object": entry.target,
            "reason": entry.reason,
            "before": entry.before,
            "after": entry.after,
        })  # fmt: skip

    async def of(self, target: str) -> Sequence[ports.AuditEntry]:
        """Return the entries about one object, oldest first."""
        rows = await self.connection.execute(_OF, {"target": target})
        return [
            ports.AuditEntry(
                at=row.at,
                actor=row.actor,
                verb=row.verb,
                target=row.object,
                reason=row.reason,
                before=row.before,
                after=row.after,
            )
            for row in rows
        ]

"""What happened in an execution, kept beyond the life of the objects that told it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, ids, texts
from rollcall.services import ports
from rollcall.store import arrays, models, partitions

_events = models.table(models.ExecutionEvent)

# Built once: building a statement costs more than running it.
_GIVEN = [column.name for column in _events.c]
_ADD = (
    insert(_events)
    .from_select(_GIVEN, sa.select(*arrays.rows(_events, _GIVEN).c))
    .on_conflict_do_nothing()
    .returning(_events.c.id)
)
_OF_EXECUTION = (
    sa.select(_events)
    .where(
        _events.c.slot_at == sa.bindparam("slot_at"),  # else every partition is asked
        _events.c.execution_id == sa.bindparam("execution_id"),
    )
    .order_by(_events.c.at, _events.c.id)
)


@dataclass(slots=True)
class Events:
    """`ports.Events` on one connection."""

    connection: AsyncConnection
    now: datetime
    partitions: partitions.Partitions

    async def record(
        self, execution: executions.Execution, events: Sequence[executions.Event]
    ) -> int:
        """Add these events, and return how many; repeating it adds nothing.

        Raises partitions.SlotOutOfRange as saving the execution does.
        """
        added = 0

        async def write() -> None:
            nonlocal added
            added = await self._write([(execution, events)])

        await self.partitions.provide(execution.slot_at, self.now, write)
        return added

    async def record_all(self, stories: Collection[ports.Story]) -> None:
        """Add the events of many executions."""
        try:
            await self._write(stories)
        except exc.DBAPIError as error:
            if not partitions.is_missing(error):
                raise
            for execution, events in stories:
                await self.record(execution, events)

    async def of(self, execution_id: UUID) -> Sequence[executions.Event]:
        """Return the events of an execution, oldest first."""
        key = {"slot_at": ids.instant_of(execution_id), "execution_id": execution_id}
        rows = await self.connection.execute(_OF_EXECUTION, key)
        return [
            executions.Event(at=row.at, source=row.source, reason=row.reason, message=row.message)
            for row in rows
        ]

    async def _write(self, stories: Collection[ports.Story]) -> int:
        rows = [_columns(execution, event) for execution, events in stories for event in events]
        if not rows:
            return 0
        async with self.connection.begin_nested():
            added = await self.connection.execute(_ADD, arrays.parameters(rows, _GIVEN))
            return len(added.all())


def _columns(execution: executions.Execution, event: executions.Event) -> dict[str, Any]:
    said = (event.source, event.reason, event.message)
    text = "\0".join(texts.clean(part) for part in said)
    return {
        # As the id has it, so that the id alone finds the row.
        "slot_at": ids.instant_of(execution.id),
        "execution_id": execution.id,
        "id": ids.event_id(execution_id=execution.id, at=event.at, text=text),
        "at": event.at,
        "source": event.source,
        "reason": event.reason,
        "message": event.message,
    }

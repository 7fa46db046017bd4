"""What happened in an execution is kept, each line once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from rollcall.core import executions
from rollcall.store import engine, partitions
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
RUN = builders.execution()


def event(minute: int = 0, **changes: str) -> executions.Event:
    said = {"source": "kubernetes", "reason": "FailedCreate", "message": "exceeded quota"}
    return executions.Event(at=AT + minute * MINUTE, **(said | changes))


async def test_events_come_back_oldest_first_and_belong_to_their_execution(
    store: engine.Database,
) -> None:
    other = builders.execution(slot_at=AT + MINUTE)
    async with store.transaction() as unit:
        await unit.events.record(RUN, [event(3), event(1)])
        await unit.events.record(RUN, [event(2, source="pod")])
        await unit.events.record(other, [event(4)])

        assert await unit.events.of(RUN.id) == [event(1), event(2, source="pod"), event(3)]


async def test_repeating_adds_nothing(store: engine.Database) -> None:
    told = [event(1), event(1, message="another pod's"), event(2)]
    async with store.transaction() as unit:
        assert await unit.events.record(RUN, [*told, event(1)]) == len(told)
    async with store.transaction() as unit:
        assert await unit.events.record(RUN, told) == 0

        assert len(await unit.events.of(RUN.id)) == len(told)


async def test_an_execution_without_events_has_none(store: engine.Database) -> None:
    async with store.transaction() as unit:
        assert await unit.events.record(RUN, []) == 0

        assert await unit.events.of(RUN.id) == []


async def test_text_that_postgres_cannot_keep_is_mended(store: engine.Database) -> None:
    async with store.transaction() as unit:
        for _ in range(2):
            await unit.events.record(RUN, [event(message="a\0b\udc80")])

        assert [found.message for found in await unit.events.of(RUN.id)] == ["a\ufffdb\ufffd"]


async def test_the_partition_of_an_old_execution_is_made_on_the_way(
    store: engine.Database,
) -> None:
    old = builders.execution(slot_at=AT - timedelta(weeks=60))
    async with store.transaction() as unit:
        await unit.events.record(old, [event()])

        assert await unit.events.of(old.id) == [event()]


async def test_events_too_far_away_are_refused_and_the_transaction_goes_on(
    store: engine.Database,
) -> None:
    ancient = builders.execution(slot_at=AT.replace(year=1999))
    async with store.transaction() as unit:
        with pytest.raises(partitions.SlotOutOfRange):
            await unit.events.record(ancient, [event()])
        await unit.events.record(RUN, [event()])

        assert await unit.events.of(RUN.id) == [event()]


async def test_reading_asks_one_partition_only(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.events.record(RUN, [event()])
        statements: list[str] = []
        sa.event.listen(
            unit.connection.sync_connection,
            "before_cursor_execute",
            lambda *call: statements.append(call[2]),
        )
        await unit.events.of(RUN.id)
        plan = await unit.connection.exec_driver_sql(
            "EXPLAIN " + statements[0],
            {"slot_at": AT, "execution_id": RUN.id},
        )

    scanned = [line for line in plan.scalars() if " on execution_events_" in line]
    assert len(scanned) == 1


async def test_the_events_of_many_executions_are_added_at_once(store: engine.Database) -> None:
    old = builders.execution(slot_at=AT - timedelta(weeks=70))
    async with store.transaction() as unit:
        for _ in range(2):
            await unit.events.record_all([(RUN, [event(1), event(2)]), (old, [event(3)])])

        assert await unit.events.of(RUN.id) == [event(1), event(2)]
        assert await unit.events.of(old.id) == [event(3)]

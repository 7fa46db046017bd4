"""Stretches of time told as one row."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from rollcall.core import slots
from rollcall.store import engine
from support import builders

JOB = builders.job()
AT = builders.SLOT_AT
HOUR = timedelta(hours=1)


def gap(from_hour: int = 0, until_hour: int | None = 2, **changes: object) -> slots.Gap:
    values = {
        "cronjob_id": JOB.id,
        "from_at": AT + from_hour * HOUR,
        "until_at": None if until_hour is None else AT + until_hour * HOUR,
        "status": "missed",
        "reason": "ControllerDown",
        "message": "no CronJob moved",
        "count": 3,
    }
    return slots.Gap(**(values | changes))  # type: ignore[arg-type]


async def test_a_gap_comes_back_as_it_was_saved(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.gaps.save(gap())

        assert await unit.gaps.of(JOB.id, AT, AT + 9 * HOUR) == [gap()]


async def test_saving_it_again_updates_it(store: engine.Database) -> None:
    grown = gap(until_hour=5, count=6, message="still none")
    async with store.transaction() as unit:
        await unit.gaps.save(gap(until_hour=None))
        await unit.gaps.save(grown)

        assert await unit.gaps.of(JOB.id, AT - HOUR, AT + 9 * HOUR) == [grown]


async def test_saving_the_same_writes_nothing(store: engine.Database) -> None:
    async def version() -> str:
        async with store.transaction() as unit:
            found = await unit.connection.execute(sa.text("SELECT xmin::text FROM gaps"))
            return str(found.scalar_one())

    async with store.transaction() as unit:
        await unit.gaps.save(gap())
    before = await version()
    async with store.transaction() as unit:
        await unit.gaps.save(gap())

    assert await version() == before


async def test_gaps_of_two_kinds_may_begin_at_once(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.gaps.save(gap())
        await unit.gaps.save(gap(status="blind"))

        assert len(await unit.gaps.of(JOB.id, AT - HOUR, AT)) == 2


REACHES = {
    "it lies inside": (AT - HOUR, AT + 9 * HOUR, True),
    "it begins inside": (AT - HOUR, AT, True),
    "its last slot is inside": (AT + HOUR, AT + 9 * HOUR, True),
    "it spans all of it": (AT + HOUR, AT + HOUR, True),
    "it ended at the excluded begin": (AT + 2 * HOUR, AT + 9 * HOUR, False),
    "it begins later": (AT - 2 * HOUR, AT - HOUR, False),
}


@pytest.mark.parametrize(("after", "until", "found"), REACHES.values(), ids=REACHES)
async def test_a_gap_is_found_where_it_reaches(
    store: engine.Database, after: datetime, until: datetime, *, found: bool
) -> None:
    async with store.transaction() as unit:
        await unit.gaps.save(gap())

        assert bool(await unit.gaps.of(JOB.id, after, until)) is found


async def test_an_open_gap_reaches_on(store: engine.Database) -> None:
    going_on = gap(until_hour=None, status="suspended")
    async with store.transaction() as unit:
        await unit.gaps.save(going_on)

        assert await unit.gaps.of(JOB.id, AT + 900 * HOUR, AT + 901 * HOUR) == [going_on]

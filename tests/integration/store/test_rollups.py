"""Daily roll-ups, and the numbers that are read from them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from rollcall.core import slots
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.rollups import Statistics
from rollcall.store import engine, housekeeping, rollups
from support import builders, clocks

DAY = timedelta(days=1)
NOON = clocks.START
TODAY = NOON.date()
JOB = builders.job()
OTHER = builders.job("other")


@pytest.fixture
async def keeper(store: engine.Database, clock: clocks.Clock) -> housekeeping.Housekeeping:
    assert clock.now == NOON
    async with store.transaction() as unit:
        for job in (JOB, OTHER):
            await unit.registry.register(job)
    keeper = housekeeping.Housekeeping(store)
    await keeper.make_partitions()
    return keeper


def run(
    days_ago: int = 0, seconds: float = 30, status: Status = Status.SUCCEEDED, **changes: object
) -> Execution:
    slot_at = NOON - days_ago * DAY
    values: dict[str, object] = {"slot_at": slot_at, "status": status}
    if status in {Status.SUCCEEDED, Status.FAILED}:
        values |= {"started_at": slot_at, "ended_at": slot_at + timedelta(seconds=seconds)}
    return builders.execution(JOB, **(values | changes))


async def save(store: engine.Database, *runs: Execution) -> None:
    async with store.transaction() as unit:
        for one in runs:
            await unit.ledger.save(one)


async def numbers(store: engine.Database, days: int = 30) -> Mapping[UUID, Statistics]:
    async with store.transaction() as unit:
        return await unit.numbers.of([JOB.id, OTHER.id], TODAY - days * DAY)


async def rows(store: engine.Database) -> list[tuple[object, ...]]:
    async with store.transaction() as unit:
        found = await unit.connection.execute(
            sa.text("SELECT xmin::text, * FROM rollup_day ORDER BY cronjob_id, day, status")
        )
        return [tuple(row) for row in found]


async def forget_executions(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.connection.execute(sa.text("DELETE FROM executions"))


async def test_numbers_are_the_same_from_executions_and_from_rollups(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(
        store,
        *(run(days, seconds=10 * days) for days in range(1, 9)),
        run(9, status=Status.FAILED),
        run(10, status=Status.MISSED),
        builders.execution(OTHER, slot_at=NOON - DAY, status=Status.SUCCEEDED),
    )
    from_executions = await numbers(store)

    await keeper.roll_up()
    await forget_executions(store)

    assert await numbers(store) == from_executions
    mine = from_executions[JOB.id]
    assert mine.counts == {Status.SUCCEEDED: 8, Status.FAILED: 1, Status.MISSED: 1}
    assert mine.success_rate == pytest.approx(8 / 9)
    assert mine.longest == timedelta(seconds=80)
    median = mine.duration(0.5)
    assert median is not None
    assert median.total_seconds() == pytest.approx(40, rel=0.12)
    assert from_executions[OTHER.id].counts == {Status.SUCCEEDED: 1}


async def test_todays_executions_count_at_once(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(store, run(1))
    await keeper.roll_up()
    await save(store, run(0), run(0, trigger=Trigger.MANUAL))

    assert (await numbers(store))[JOB.id].counts == {Status.SUCCEEDED: 3}


async def test_what_still_runs_is_not_counted(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(store, run(1, status=Status.RUNNING), run(0, status=Status.PENDING))
    await keeper.roll_up()

    assert await numbers(store) == {}


async def test_slots_that_are_told_as_one_gap_count_too(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    def gap(status: str, hours: int) -> slots.Gap:
        return slots.Gap(
            cronjob_id=JOB.id,
            from_at=NOON - 3 * DAY,
            until_at=NOON - 3 * DAY + timedelta(hours=hours),
            status=status,
            reason="ControllerDown",
            message="",
            count=hours + 1,
        )

    async with store.transaction() as unit:
        for one in (gap("missed", 30), gap("suspended", 40)):
            await unit.gaps.save(one)
    await save(store, run(3, status=Status.MISSED))
    from_rows = await numbers(store)
    await keeper.roll_up()

    assert from_rows[JOB.id].counts == {Status.MISSED: 32}
    assert await numbers(store) == from_rows


async def test_only_days_from_the_first_on_count(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(store, run(1), run(2), run(3))
    assert (await numbers(store, days=2))[JOB.id].counts == {Status.SUCCEEDED: 2}
    await keeper.roll_up()

    assert (await numbers(store, days=2))[JOB.id].counts == {Status.SUCCEEDED: 2}


async def test_a_day_belongs_to_utc(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    last_minute = datetime(2026, 2, 27, 23, 59, tzinfo=UTC)
    await save(
        store, run(slot_at=last_minute), run(slot_at=last_minute + timedelta(minutes=1), seconds=7)
    )
    await keeper.roll_up()

    days = [(row[2], row[4]) for row in await rows(store)]
    assert days == [(date(2026, 2, 27), 1), (date(2026, 2, 28), 1)]


async def test_rolling_up_again_changes_no_row(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    await save(store, *(run(days) for days in range(1, 6)), run(6, status=Status.MISSED))
    await keeper.roll_up()
    before = await rows(store)
    assert len(before) == 6

    clock.advance(DAY)
    await keeper.roll_up()

    assert await rows(store) == before


async def test_there_is_nothing_to_do_twice_a_day(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    await save(store, run(1))
    assert TODAY - DAY in await keeper.roll_up()

    clock.advance(timedelta(hours=1))
    assert await keeper.roll_up() == []

    clock.advance(DAY)
    assert TODAY in await keeper.roll_up()


async def test_a_verdict_that_is_corrected_in_time_is_corrected_in_the_rollup_too(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    await save(store, run(2, status=Status.MISSED))
    await keeper.roll_up()
    await save(store, run(2))

    clock.advance(DAY)
    await keeper.roll_up()

    await forget_executions(store)
    assert (await numbers(store))[JOB.id].counts == {Status.SUCCEEDED: 1}


async def test_days_that_nobody_rolled_up_are_read_from_executions_and_made_up_for(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    await save(store, run(3))
    await keeper.roll_up()
    clock.advance(20 * DAY)
    await save(store, run(-2), run(-15))
    assert (await numbers(store))[JOB.id].counts == {Status.SUCCEEDED: 3}

    rolled = await keeper.roll_up()

    assert {TODAY + 2 * DAY, TODAY + 15 * DAY} <= set(rolled)
    assert (await numbers(store))[JOB.id].counts == {Status.SUCCEEDED: 3}


async def test_any_number_of_jobs_is_rolled_up_in_portions(
    store: engine.Database, keeper: housekeeping.Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "JOBS_AT_ONCE", 1)
    await save(store, run(1), builders.execution(OTHER, slot_at=NOON - DAY, status=Status.FAILED))

    await keeper.roll_up()

    assert len(await rows(store)) == 2

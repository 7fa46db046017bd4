"""What the rules and the judge look back on."""

from datetime import datetime, timedelta

import pytest

from rollcall.core import streaks
from rollcall.core.executions import Status, Trigger
from rollcall.store import engine, history
from support import builders

JOB = builders.job()
AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def rhythms() -> list[datetime]:
    return [AT - 3 * DAY, AT - 2 * DAY, AT - DAY]


SINCE = {
    "before the first": (AT - 9 * DAY, rhythms()),
    "between two: the one in force and later ones": (AT - 2 * DAY + MINUTE, rhythms()[1:]),
    "exactly at one": (AT - 2 * DAY, rhythms()[1:]),
    "after the last": (AT, rhythms()[2:]),
}


@pytest.mark.parametrize(("since", "expected"), SINCE.values(), ids=SINCE)
async def test_revisions_begin_with_the_one_in_force(
    store: engine.Database, since: datetime, expected: list[datetime]
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        for hour, begin in enumerate(rhythms()):
            rhythm = builders.revision(schedule=f"0 {hour} * * *", effective_from=begin)
            await unit.registry.applied(JOB.id, builders.applied(rhythm))

        found = await unit.history.revisions(JOB.id, since)

    assert [revision.effective_from for revision in found] == expected


async def test_a_job_without_revisions_has_none(store: engine.Database) -> None:
    async with store.transaction() as unit:
        assert await unit.history.revisions(JOB.id, AT) == []


async def test_slots_with_rows_are_those_after_the_one_and_up_to_the_other(
    store: engine.Database,
) -> None:
    async with store.transaction() as unit:
        for minute in range(4):
            await unit.ledger.save(builders.execution(JOB, slot_at=AT + minute * MINUTE))
        await unit.ledger.save(
            builders.execution(JOB, slot_at=AT + MINUTE / 2, trigger=Trigger.MANUAL)
        )
        await unit.ledger.save(builders.execution(builders.job("other"), slot_at=AT + MINUTE))

        found = await unit.history.slots_with_rows(JOB.id, AT, AT + 2 * MINUTE)

    assert found == {AT + MINUTE, AT + 2 * MINUTE}


async def succeed(unit: engine.Transaction, number: int, took: timedelta) -> None:
    slot_at = AT + number * MINUTE
    await unit.ledger.save(
        builders.execution(
            JOB,
            slot_at=slot_at,
            status=Status.SUCCEEDED,
            started_at=slot_at,
            ended_at=slot_at + took,
        )
    )


async def typical_duration(unit: engine.Transaction, at_least: int) -> timedelta | None:
    return (await unit.history.typical_durations([JOB.id], at_least))[JOB.id]


async def test_the_typical_duration_is_the_95th_percentile(store: engine.Database) -> None:
    async with store.transaction() as unit:
        for number in range(21):
            await succeed(unit, number, timedelta(seconds=number))

        assert await typical_duration(unit, 5) == timedelta(seconds=19)


async def test_too_few_successes_have_no_typical_duration(store: engine.Database) -> None:
    async with store.transaction() as unit:
        for number in range(4):
            await succeed(unit, number, MINUTE)
        failed = builders.execution(JOB, slot_at=AT - MINUTE, status=Status.FAILED)
        await unit.ledger.save(failed)

        assert await typical_duration(unit, 5) is None
        assert await typical_duration(unit, 4) == MINUTE


async def test_only_the_newest_hundred_successes_count(store: engine.Database) -> None:
    async with store.transaction() as unit:
        for number in range(history.TYPICAL_RUNS + 10):
            await succeed(unit, number, timedelta(days=5) if number < 10 else MINUTE)

        assert await typical_duration(unit, 5) == MINUTE


async def test_successes_are_looked_for_among_the_newest_rows_only(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store.transaction() as unit:
        for number in range(5):
            await succeed(unit, number, MINUTE)
        for number in range(5, 8):
            slot_at = AT + number * MINUTE
            await unit.ledger.save(builders.execution(JOB, slot_at=slot_at, status=Status.FAILED))
        assert await typical_duration(unit, 5) == MINUTE

        monkeypatch.setattr(history, "_TYPICAL", history.typical(lookback=7))
        assert await typical_duration(unit, 5) is None


async def test_open_executions_are_those_of_the_cluster(store: engine.Database) -> None:
    elsewhere = builders.job(cluster="other")
    running = builders.execution(JOB, status=Status.RUNNING)
    pending = builders.execution(JOB, slot_at=AT - 8 * DAY)
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.registry.register(elsewhere)
        ended = builders.execution(JOB, slot_at=AT - DAY, status=Status.FAILED)
        for row in (running, pending, ended, builders.execution(elsewhere)):
            await unit.ledger.save(row)

        assert await unit.history.open_jobs(builders.CLUSTER) == [pending, running]


async def test_failures_are_tallied_over_each_jobs_own_time(
    store: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = builders.job("other")
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.registry.register(other)
        for minute in range(8):
            at = builders.SLOT_AT - minute * MINUTE
            status = Status.FAILED if minute % 4 == 0 else Status.SUCCEEDED
            await unit.ledger.save(builders.execution(JOB, slot_at=at, status=status))
        partial = builders.SLOT_AT - MINUTE / 2
        await unit.ledger.save(builders.execution(JOB, slot_at=partial, status=Status.PARTIAL))
        await unit.ledger.save(
            builders.execution(
                JOB,
                slot_at=builders.SLOT_AT,
                status=Status.FAILED,
                trigger=Trigger.MANUAL,
            )
        )
        wide = {JOB.id: builders.SLOT_AT - 8 * MINUTE, other.id: builders.SLOT_AT - 8 * MINUTE}
        assert await unit.history.tallies(wide) == {JOB.id: streaks.Tally(failed=2, total=8)}
        narrow = {JOB.id: builders.SLOT_AT - 4 * MINUTE}
        assert await unit.history.tallies(narrow) == {JOB.id: streaks.Tally(failed=1, total=4)}
        monkeypatch.setattr(history, "_TALLIES", history.tallied(at_most=3))
        assert await unit.history.tallies(wide) == {JOB.id: streaks.Tally(failed=1, total=3)}

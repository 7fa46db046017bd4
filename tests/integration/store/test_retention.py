"""What is old goes; what is open, and the newest execution of each job, stays."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from rollcall.core import executions, silences, slots
from rollcall.core.executions import Status
from rollcall.services import ports
from rollcall.store import engine, housekeeping, partitions, retention
from support import builders, clocks

WEEK = timedelta(weeks=1)
DAY = timedelta(days=1)
NOW = clocks.START  # a Monday, noon
JOB = builders.job()
OTHER = builders.job("other")
NEWEST = builders.execution(JOB, slot_at=NOW, status=Status.SUCCEEDED)


@pytest.fixture
async def keeper(store: engine.Database, clock: clocks.Clock) -> housekeeping.Housekeeping:
    assert clock.now == NOW
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(NEWEST)
    return housekeeping.Housekeeping(store)


def run(weeks_ago: int, **changes: object) -> executions.Execution:
    values: dict[str, object] = {"slot_at": NOW - weeks_ago * WEEK, "status": Status.SUCCEEDED}
    return builders.execution(JOB, **(values | changes))


async def save(store: engine.Database, *runs: executions.Execution) -> None:
    """Save the runs, each with an event and a pod."""
    async with store.transaction() as unit:
        for one in runs:
            await unit.ledger.save(one)
            event = executions.Event(at=one.slot_at, source="pod", reason="Started", message="")
            await unit.events.record(one, [event])
            pod = builders.attempt(f"pod-of-{one.id}", job_uid=one.job_uid or "none")
            await unit.attempts.observe({one: [pod]})


async def count(store: engine.Database, table: str) -> int:
    async with store.transaction() as unit:
        found = await unit.connection.execute(sa.text(f"SELECT count(*) FROM {table}"))  # noqa: S608
        return int(found.scalar_one())


async def remaining(store: engine.Database) -> set[object]:
    async with store.transaction() as unit:
        return set((await unit.connection.execute(sa.text("SELECT id FROM executions"))).scalars())


async def oldest_partition(store: engine.Database) -> datetime:
    async with store.transaction() as unit:
        weeks = await partitions.weeks_of(unit.connection, "executions")
    return min(week.begin_at for week in weeks)


async def test_whole_weeks_before_the_limit_go_with_all_that_belongs_to_them(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    old, kept = [run(3), run(5)], [run(1), run(2)]
    await save(store, *old, *kept)

    gone = await keeper.retire(2)

    assert sorted(gone) == [
        "execution_events_20260126",
        "execution_events_20260209",
        "executions_20260126",
        "executions_20260209",
    ]
    assert await remaining(store) == {NEWEST.id, *(one.id for one in kept)}
    assert await count(store, "attempts") == len(kept)
    assert await count(store, "execution_events") == len(kept)


async def test_a_week_goes_only_when_all_of_it_is_old_enough(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    monday = NOW.replace(hour=0)
    await save(store, run(2, slot_at=monday - 2 * WEEK))

    clock.set(monday + WEEK - timedelta(seconds=1))
    assert await keeper.retire(2) == []

    clock.set(monday + WEEK)
    assert len(await keeper.retire(2)) == 2


async def test_repeating_it_finds_nothing_to_do(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(store, run(5))
    assert await keeper.retire(2) != []

    assert await keeper.retire(2) == []


async def test_an_open_execution_stays_with_its_pods_and_events_however_old(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    hanging = run(40, status=Status.RUNNING)
    beside = run(40, slot_at=hanging.slot_at + DAY)
    await save(store, hanging, beside)

    assert await keeper.retire(2) == []

    assert await remaining(store) == {NEWEST.id, hanging.id}
    assert await count(store, "attempts") == 1
    assert await count(store, "execution_events") == 1


async def test_the_newest_execution_of_a_job_stays_until_there_is_a_newer_one(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(OTHER)
    yearly = builders.execution(OTHER, slot_at=NOW - 30 * WEEK, status=Status.FAILED)
    await save(store, yearly, builders.execution(OTHER, slot_at=NOW - 31 * WEEK))
    async with store.transaction() as unit:
        await unit.ledger.save(
            builders.execution(OTHER, slot_at=NOW - 31 * WEEK, status=Status.SUCCEEDED)
        )

    await keeper.retire(2)
    assert await remaining(store) == {NEWEST.id, yearly.id}

    await save(store, builders.execution(OTHER, slot_at=NOW, status=Status.SUCCEEDED))
    await keeper.retire(2)
    assert yearly.id not in await remaining(store)


async def test_nothing_of_a_deleted_job_is_kept_for_longer(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(OTHER)
        await unit.registry.mark_deleted(OTHER.id, NOW)
    await save(store, builders.execution(OTHER, slot_at=NOW - 30 * WEEK, status=Status.FAILED))

    await keeper.retire(2)

    assert await remaining(store) == {NEWEST.id}


async def test_a_week_is_rolled_up_before_it_goes(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(store, run(20), run(20, slot_at=NOW - 20 * WEEK + DAY, status=Status.FAILED))

    await keeper.retire(2)

    async with store.transaction() as unit:
        found = await unit.numbers.of([JOB.id], (NOW - 25 * WEEK).date())
    assert found[JOB.id].counts[Status.FAILED] == 1


async def test_a_week_that_lost_most_of_its_rows_keeps_its_rollup(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    slot_at = NOW - 20 * WEEK
    hanging = run(20, status=Status.RUNNING)
    others = [run(20, slot_at=slot_at + n * timedelta(hours=1)) for n in range(1, 5)]
    await save(store, hanging, *others)

    for _ in range(3):
        await keeper.roll_up()
        await keeper.retire(2)

    async with store.transaction() as unit:
        found = await unit.numbers.of([JOB.id], slot_at.date())
    assert found[JOB.id].counts[Status.SUCCEEDED] >= len(others)


async def test_old_gaps_go_and_those_that_go_on_stay(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    def gap(begin: int, end: int | None) -> slots.Gap:
        return slots.Gap(
            cronjob_id=JOB.id,
            from_at=NOW - begin * WEEK,
            until_at=None if end is None else NOW - end * WEEK,
            status="suspended",
            reason="Suspended",
            message="",
            count=0,
        )

    async with store.transaction() as unit:
        for one in (gap(40, 30), gap(40 - 1, None), gap(20, 1)):
            await unit.gaps.save(one)

    await keeper.retire(2)

    async with store.transaction() as unit:
        assert await unit.gaps.of(JOB.id, NOW - 99 * WEEK, NOW) == [gap(39, None), gap(20, 1)]


async def test_old_incidents_go_when_they_are_over_and_open_ones_stay(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    opened_at = NOW - 30 * WEEK
    async with store.transaction() as unit:
        over = builders.step(JOB, now=opened_at)
        await unit.incidents.save(over, at=opened_at)
        ended = builders.step(JOB, incident=over.incident, recovered=True, now=opened_at + DAY)
        await unit.incidents.save(ended, at=opened_at + DAY)
        await unit.incidents.save(builders.step(JOB, now=opened_at + 2 * DAY), at=opened_at)

    await keeper.retire(2)

    async with store.transaction() as unit:
        assert len(await unit.incidents.current_of(JOB.id)) == 1
    assert await count(store, "incidents") == 1
    assert await count(store, "incident_transitions") == 1


async def test_silences_go_when_they_were_over_for_long(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    async with store.transaction() as unit:
        for number, ends_at in enumerate((NOW - 30 * WEEK, NOW - DAY, NOW + DAY)):
            silence = silences.Silence(
                id=UUID(int=number),
                selector=silences.Selector(),
                chosen={},
                starts_at=NOW - 31 * WEEK,
                ends_at=ends_at,
                author="ada",
                reason="why",
            )
            await unit.silences.add(builders.CLUSTER, silence)

    await keeper.retire(2)

    assert await count(store, "silences") == 2


async def test_rollups_and_the_names_of_deleted_jobs_go_after_two_years(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(OTHER)
        await unit.registry.mark_deleted(OTHER.id, NOW)
    await save(store, run(1))
    await keeper.roll_up()

    clock.advance(retention.ROLLUPS_FOR - 8 * DAY)
    await keeper.retire(2)
    assert (await count(store, "rollup_day"), await count(store, "cronjobs")) == (2, 2)

    clock.advance(20 * DAY)
    await keeper.retire(2)
    assert (await count(store, "rollup_day"), await count(store, "cronjobs")) == (0, 1)


async def test_much_is_deleted_in_many_short_transactions(
    store: engine.Database, keeper: housekeeping.Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    await save(store, *(run(9, slot_at=NOW - 9 * WEEK + n * DAY / 9) for n in range(7)))

    await keeper.retire(2)

    assert await count(store, "attempts") == 0


async def test_writers_go_on_while_a_week_is_dropped(
    store: engine.Database, keeper: housekeeping.Housekeeping
) -> None:
    await save(store, *(run(weeks) for weeks in range(5, 15)))
    stop = asyncio.Event()
    written = 0

    async def write(worker: int) -> None:
        nonlocal written
        job = builders.job(f"writer-{worker}")
        while not stop.is_set():
            async with store.transaction() as unit:
                slot_at = NOW + timedelta(minutes=written)
                await unit.ledger.save(builders.execution(job, slot_at=slot_at))
            written += 1

    writers = [asyncio.create_task(write(number)) for number in range(3)]
    gone = await keeper.retire(2)
    stop.set()
    await asyncio.gather(*writers)

    assert len(gone) == 2 * 10
    assert written > 0


async def test_a_long_reader_delays_the_removal_and_nobody_else(
    store: engine.Database, keeper: housekeeping.Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAUSE", 0.05)
    monkeypatch.setattr(retention, "TRIES", 1000)
    await save(store, run(9))
    async with store.transaction() as reader:
        await reader.connection.execute(sa.text("SELECT count(*) FROM executions"))
        removal = asyncio.create_task(keeper.retire(2))
        waits = []
        while len(waits) < 30 and not removal.done():
            async with store.transaction() as writer:
                await writer.connection.execute(
                    sa.text("SET LOCAL lock_timeout = '1s'")
                )  # far more than a removal may keep a writer waiting
                slot_at = NOW + len(waits) * timedelta(minutes=1)
                await writer.ledger.save(builders.execution(JOB, slot_at=slot_at))
            waits.append(slot_at)
        assert len(waits) == 30
        assert not removal.done()

    assert len(await removal) == 2


async def test_a_reader_that_does_not_end_keeps_the_week_until_the_next_time(
    store: engine.Database,
    keeper: housekeeping.Housekeeping,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(retention, "PAUSE", 0.01)
    monkeypatch.setattr(retention, "TRIES", 2)
    await save(store, run(9))
    async with store.transaction() as reader:
        await reader.connection.execute(sa.text("SELECT count(*) FROM executions"))
        assert await keeper.retire(2) == ["execution_events_20251229"]
        assert "an old week is in use and stays for now" in caplog.messages

    assert await keeper.retire(2) == ["executions_20251229"]


async def test_an_execution_that_opens_meanwhile_is_seen_before_its_week_goes(
    store: engine.Database, keeper: housekeeping.Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = run(9, slot_at=NOW - 9 * WEEK + DAY, status=Status.RUNNING)
    await save(store, run(9))
    decide = retention._kept  # noqa: SLF001 - where the race is

    async def decide_too_early(unit: engine.Transaction, before: datetime) -> list[object]:
        found = await decide(unit, before)
        await save(store, late)
        return list(found)

    monkeypatch.setattr(retention, "_kept", decide_too_early)
    await keeper.retire(2)

    assert late.id in await remaining(store)


async def test_partitions_are_made_here_too(
    store: engine.Database, keeper: housekeeping.Housekeeping, clock: clocks.Clock
) -> None:
    await keeper.make_partitions()
    clock.advance(WEEK)

    assert len(await keeper.make_partitions()) == len(partitions.TABLES)
    assert await oldest_partition(store) <= NOW


async def test_a_template_goes_when_no_run_that_is_kept_has_it_and_the_newest_stays(
    store: engine.Database, clock: clocks.Clock, keeper: housekeeping.Housekeeping
) -> None:
    for weeks, name in ((9, "long ago"), (3, "till then"), (2, "now")):
        clock.set(NOW - weeks * WEEK)
        template = executions.JobTemplate(hash=name, summary="{}")
        used = ports.UsedTemplate(cronjob_id=JOB.id, template=template)
        async with store.transaction() as unit:
            await unit.ledger.save_all([run(weeks, job_uid=name)], [used])
    clock.set(NOW)

    await keeper.retire(2)
    assert await hashes(store) == {"till then", "now"}  # it may have been seen for a week more
    clock.set(NOW + 52 * WEEK)
    await keeper.retire(2)
    assert await hashes(store) == {"now"}


async def hashes(store: engine.Database) -> set[str]:
    async with store.transaction() as unit:
        found = await unit.connection.execute(sa.text("SELECT hash FROM job_templates"))
        return set(found.scalars())

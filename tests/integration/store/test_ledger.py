"""Executions: one row per run and per slot that did not run."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.core import errors, executions
from rollcall.core.executions import Status, Trigger
from rollcall.store import engine, partitions
from support import builders, clocks

MINUTE = timedelta(minutes=1)
JOB = builders.job()


async def save(store: engine.Database, *rows: executions.Execution) -> None:
    async with store.transaction() as unit:
        for row in rows:
            await unit.ledger.save(row)


async def of_slot(
    store: engine.Database, slot_at: datetime = builders.SLOT_AT
) -> executions.Execution | None:
    async with store.transaction() as unit:
        return (await unit.ledger.of_slots([(JOB.id, slot_at)])).get((JOB.id, slot_at))


@pytest.mark.parametrize("status", Status)
async def test_an_execution_comes_back_as_it_was(store: engine.Database, status: Status) -> None:
    row = builders.execution(JOB, status=status, exit_code=2**31 - 1, message="línea\n\t✓")

    await save(store, row)

    assert await of_slot(store) == row


async def test_saving_again_updates_the_one_row(store: engine.Database) -> None:
    pending = builders.execution(JOB)
    running = builders.execution(JOB, status=Status.RUNNING)

    await save(store, pending, running, running)

    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 10) == [running]


def steps() -> list[tuple[Status, Status]]:
    return [(old, new) for old in Status for new in Status]


@pytest.mark.parametrize(("old", "new"), steps(), ids=[f"{a} to {b}" for a, b in steps()])
async def test_a_write_takes_effect_exactly_where_the_state_machine_allows_it(
    store: engine.Database, old: Status, new: Status
) -> None:
    before = builders.execution(JOB, status=old)
    after = builders.execution(JOB, status=new, attempts=7)

    await save(store, before, after)

    loses_its_job = before.job_uid is not None and after.job_uid is None
    allowed = executions.may_become(old, new) and not loses_its_job
    assert await of_slot(store) == (after if allowed else before)


async def test_a_slot_of_another_job_is_a_conflict_and_the_transaction_goes_on(
    store: engine.Database,
) -> None:
    first = builders.execution(JOB, job_uid="first")
    other_slot = builders.execution(JOB, slot_at=builders.SLOT_AT + MINUTE)
    async with store.transaction() as unit:
        await unit.ledger.save(first)
        with pytest.raises(errors.Conflict, match="first"):
            await unit.ledger.save(replace(first, job_uid="second", status=Status.RUNNING))
        await unit.ledger.save(other_slot)

    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 10) == [other_slot, first]


VIOLATIONS: dict[str, dict[str, Any]] = {
    "the slot": {"id": builders.execution(slot_at=builders.SLOT_AT + MINUTE).id},
    "the Job": {
        "id": builders.execution(trigger=Trigger.MANUAL).id,
        "trigger": Trigger.MANUAL,
    },
}


@pytest.mark.parametrize("changes", VIOLATIONS.values(), ids=VIOLATIONS)
async def test_a_second_row_is_a_conflict_and_the_transaction_goes_on(
    store: engine.Database, changes: dict[str, Any]
) -> None:
    first = builders.execution(JOB)
    other = builders.execution(JOB, slot_at=builders.SLOT_AT + MINUTE)
    async with store.transaction() as unit:
        await unit.ledger.save(first)
        with pytest.raises(errors.Conflict, match="another Job"):
            await unit.ledger.save(replace(first, **changes))
        await unit.ledger.save(other)

    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 10) == [other, first]


async def test_a_manual_run_and_a_slot_may_share_their_time(store: engine.Database) -> None:
    scheduled = builders.execution(JOB)
    manual = builders.execution(JOB, trigger=Trigger.MANUAL)

    await save(store, scheduled, manual)

    assert await of_slot(store) == scheduled
    async with store.transaction() as unit:
        assert await unit.ledger.of_job(manual.slot_at, manual.job_uid or "") == manual


async def test_who_reads_to_decide_makes_the_next_reader_wait(store: engine.Database) -> None:
    await save(store, builders.execution(JOB))
    succeeded = builders.execution(JOB, status=Status.SUCCEEDED)

    async def read() -> executions.Execution | None:
        return await of_slot(store)

    async with store.transaction() as first:
        await first.ledger.of_slots([(JOB.id, builders.SLOT_AT)])
        reading = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        assert not reading.done()
        await first.ledger.save(succeeded)

    assert await reading == succeeded


async def test_two_processes_that_record_one_slot_at_once_leave_the_furthest(
    store: engine.Database,
) -> None:
    missed = builders.execution(JOB, status=Status.MISSED)
    running = builders.execution(JOB, status=Status.RUNNING)

    async def judge() -> None:
        async with store.transaction() as late:
            assert not await late.ledger.of_slots([(JOB.id, builders.SLOT_AT)])
            read_nothing.set()
            await late.ledger.save(missed)  # waits for the other's insert

    read_nothing = asyncio.Event()
    async with store.transaction() as observer:
        await observer.ledger.save(running)
        judging = asyncio.create_task(judge())
        await read_nothing.wait()
        await asyncio.sleep(0.1)
        assert not judging.done()
    await judging

    assert await of_slot(store) == running


async def test_recent_gives_the_newest_and_every_open_one(store: engine.Database) -> None:
    rows = [
        builders.execution(JOB, slot_at=builders.SLOT_AT - number * MINUTE, status=status)
        for number, status in enumerate(
            [Status.MISSED, Status.FAILED, Status.SUCCEEDED, Status.RUNNING, Status.SUCCEEDED]
        )
    ]
    await save(store, *rows, builders.execution(builders.job("other")))

    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 2) == [*rows[:2], rows[3]]
        assert await unit.ledger.recent(JOB.id, 0) == [rows[3]]
        assert await unit.ledger.recent(builders.job("unknown").id, 5) == []


IMPOSSIBLE = {
    "an open run that ended": ("open_not_ended", {"ended_at": builders.SLOT_AT}),
    "a missed slot with a Job": ("nothing_ran", {"status": Status.MISSED, "job_uid": "job"}),
    "a missed slot without a reason": ("reason_given", {"status": Status.MISSED, "reason": None}),
}


@pytest.mark.parametrize(("check", "changes"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_postgres_refuses_what_cannot_be(
    store: engine.Database, check: str, changes: dict[str, object]
) -> None:
    with pytest.raises(errors.Unstorable, match=f"executions_{check}_check"):
        await save(store, builders.execution(JOB, **changes))


async def test_a_message_with_nul_and_a_lone_surrogate_is_kept_without_them(
    store: engine.Database,
) -> None:
    await save(store, builders.execution(JOB, message="exit\0 code \udcff"))

    found = await of_slot(store)
    assert found is not None
    assert found.message == "exit\ufffd code \ufffd"


async def test_a_huge_message_is_kept(store: engine.Database) -> None:
    message = "x" * 5_000_000

    await save(store, builders.execution(JOB, message=message))

    found = await of_slot(store)
    assert found is not None
    assert found.message == message


async def test_a_slot_without_a_partition_gets_one(
    store: engine.Database, clock: clocks.Clock
) -> None:
    old = builders.execution(JOB, slot_at=clock.now - timedelta(days=3 * 365))

    await save(store, builders.execution(JOB), old)

    assert await of_slot(store, old.slot_at) == old


async def test_what_was_written_before_in_the_transaction_survives_a_new_partition(
    store: engine.Database, clock: clocks.Clock
) -> None:
    async with store.transaction() as unit:
        row = await unit.registry.register(JOB)
        await unit.schedule.save(JOB.id, row.state, clock.now + MINUTE)
        await unit.ledger.save(builders.execution(JOB, slot_at=clock.now - timedelta(days=400)))

    async with store.transaction() as unit:
        (kept,) = await unit.registry.registered(builders.CLUSTER)
    assert kept.next_check_at == clock.now + MINUTE


FAR_AWAY = {
    "before there was Kubernetes": timedelta(days=-20 * 365),
    "next year": timedelta(days=365),
    "the end of the calendar": datetime.max.replace(tzinfo=builders.SLOT_AT.tzinfo)
    - clocks.START
    - timedelta(days=30),
}


@pytest.mark.parametrize("away", FAR_AWAY.values(), ids=FAR_AWAY)
async def test_a_forged_slot_makes_no_partition_and_the_transaction_goes_on(
    store: engine.Database, clock: clocks.Clock, away: timedelta
) -> None:
    async with store.transaction() as unit:
        with pytest.raises(partitions.SlotOutOfRange):
            await unit.ledger.save(builders.execution(JOB, slot_at=clock.now + away))
        await unit.ledger.save(builders.execution(JOB))

    assert await of_slot(store) == builders.execution(JOB)


async def test_a_job_is_found_in_its_one_partition(store: engine.Database) -> None:
    await save(store, builders.execution(JOB))
    async with store.transaction() as unit:
        plan = await unit.connection.execute(
            sa.text(
                "EXPLAIN SELECT * FROM executions WHERE slot_at = '2026-03-02 12:00Z' AND id ="
                " gen_random_uuid()"
            )
        )
        text = "\n".join(plan.scalars())

    assert text.count("executions_20260302") >= 1
    assert "Append" not in text


async def test_many_are_saved_at_once_and_those_whose_slot_is_taken_are_named(
    store: engine.Database,
) -> None:
    runs = [
        builders.execution(JOB, slot_at=builders.SLOT_AT + n * MINUTE, job_uid=f"job-{n}")
        for n in range(4)
    ]
    taken = replace(runs[0], job_uid="another", status=Status.RUNNING)
    running = replace(runs[1], status=Status.RUNNING)
    async with store.transaction() as unit:
        assert await unit.ledger.save_all(runs[:2]) == set()
        assert await unit.ledger.save_all([taken, running, *runs[2:]]) == {taken.id}

    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 10) == [runs[3], runs[2], running, runs[0]]


@pytest.mark.parametrize("changes", VIOLATIONS.values(), ids=VIOLATIONS)
async def test_a_second_row_among_many_is_named_and_the_others_are_saved(
    store: engine.Database, changes: dict[str, Any]
) -> None:
    first = builders.execution(JOB)
    other = builders.execution(JOB, slot_at=builders.SLOT_AT + 2 * MINUTE, job_uid="other")
    second = replace(first, **changes)
    async with store.transaction() as unit:
        await unit.ledger.save(first)
        assert await unit.ledger.save_all([second, other]) == {second.id}

    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 10) == [other, first]


async def test_among_many_a_slot_without_a_partition_gets_one(
    store: engine.Database, clock: clocks.Clock
) -> None:
    old = builders.execution(JOB, slot_at=clock.now - timedelta(days=500), job_uid="old")
    async with store.transaction() as unit:
        assert await unit.ledger.save_all([builders.execution(JOB), old]) == set()

    assert await of_slot(store, old.slot_at) == old


async def test_the_recent_runs_of_many_jobs_are_each_their_own(store: engine.Database) -> None:
    other, none = builders.job("other"), builders.job("none")
    mine = [
        builders.execution(JOB, slot_at=builders.SLOT_AT + n * MINUTE, job_uid=f"job-{n}")
        for n in range(3)
    ]
    theirs = builders.execution(other, job_uid="theirs")
    await save(store, *mine, theirs)
    async with store.transaction() as unit:
        found = await unit.ledger.recent_of([JOB.id, other.id, none.id], 1)
    assert found[other.id] == [theirs]
    assert found[none.id] == []
    assert found[JOB.id] == list(reversed(mine))  # the newest, and the others are open

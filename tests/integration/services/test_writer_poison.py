"""One reading that Postgres will never keep costs only itself."""

import logging
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.services import inbox, writer
from rollcall.store import engine
from support import builders, clocks
from support.observing import FIVE, World

POISONED = 77
# What a Job or its pod might say that Postgres does not let in.
POISON: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "against a CHECK": ({"job_name": "forbidden"}, {}),
    "too large for a column of the run": ({}, {"exit_code": 2**40}),
    "too large for a column of the pod": ({}, {"index": 2**31}),
}


@pytest.fixture
async def world(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    await world.register(builders.revision())
    return world


@pytest.mark.parametrize(("job", "pod"), POISON.values(), ids=POISON)
async def test_a_poisoned_reading_among_a_whole_piece_costs_only_itself(
    world: World, caplog: pytest.LogCaptureFixture, job: dict[str, Any], pod: dict[str, Any]
) -> None:
    caplog.set_level(logging.WARNING, logger="rollcall")
    async with world.store.transaction() as transaction:
        await transaction.connection.execute(
            sa.text("ALTER TABLE executions ADD CHECK (job_name <> 'forbidden')")
        )
    for number in range(writer.PIECE):
        at = builders.SLOT_AT + number * FIVE
        changes: dict[str, Any] = {"slot_at": at, "created_at": at, "job_uid": f"job-{number}"}
        if number == POISONED:
            changes |= job
            world.inbox.pod(builders.attempt(job_uid=f"job-{number}", started_at=at, **pod))
        world.inbox.job(builders.observation(world.job, **changes))

    await world.writer.flush()

    async with world.store.transaction() as transaction:
        rows = await transaction.ledger.recent(world.job.id, 2 * writer.PIECE)
    expected = {f"job-{number}" for number in range(writer.PIECE)} - {f"job-{POISONED}"}
    assert {row.job_uid for row in rows} == expected
    assert caplog.messages == ["not written together", "observation refused"]
    assert world.inbox.oldest() is None


async def test_a_reading_that_fails_for_a_cause_that_nobody_thought_of_is_tried_again(
    world: World, clock: clocks.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="rollcall")
    async with world.store.transaction() as transaction:
        await transaction.connection.execute(
            sa.text(
                "ALTER TABLE executions ADD CONSTRAINT odd"
                " CHECK (job_uid <> 'odd' OR 1 / (attempts - attempts) = 1)"
            )
        )
    world.inbox.job(builders.observation(world.job, job_uid="odd"))
    await world.starts(slot=1)
    assert [run.job_uid for run in await world.runs()] == ["job-1"]
    assert caplog.messages == ["observation not written yet"]
    async with world.store.transaction() as transaction:
        await transaction.connection.execute(sa.text("ALTER TABLE executions DROP CONSTRAINT odd"))
    clock.advance(inbox.PARKED_STEP)
    await world.writer.flush()
    assert [run.job_uid for run in await world.runs()] == ["odd", "job-1"]


async def test_a_vanished_job_that_cannot_be_concluded_keeps_nothing_from_being_written(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="rollcall")
    await world.starts()
    world.restart()
    async with world.store.transaction() as transaction:
        await transaction.connection.execute(
            sa.text(
                "ALTER TABLE executions"
                " ADD CHECK (status <> 'unknown' OR 1 / (attempts - attempts) = 1)"
            )
        )
    world.cluster.living.clear()
    world.inbox.vanished("job-0")
    await world.starts(slot=1)
    assert [run.job_uid for run in await world.runs()] == ["job-0", "job-1"]
    assert caplog.messages == ["vanished Jobs not concluded"]
    assert world.inbox.oldest() is None

"""One reading that Postgres will never keep costs only itself."""

import logging
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.services import writer
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
    caplog.set_level(logging.ERROR, logger="rollcall")
    async with world.store.transaction() as transaction:
        await transaction.connection.execute(
            sa.text("ALTER TABLE executions ADD CHECK (job_name <> 'forbidden')")
        )
    for number in range(writer.PIECE):
        at = builders.SLOT_AT + number * FIVE
        changes: dict[str, Any] = {"slot_at": at, "created_at": at, "job_uid": f"job-{number}"}
        if number == POISONED:
            changes |= job
            world.inbox.pod(
                world.job.uid, builders.attempt(job_uid=f"job-{number}", started_at=at, **pod)
            )
        world.inbox.job(builders.observation(world.job, **changes))

    await world.writer.flush()

    async with world.store.transaction() as transaction:
        rows = await transaction.ledger.recent(world.job.id, 2 * writer.PIECE)
    expected = {f"job-{number}" for number in range(writer.PIECE)} - {f"job-{POISONED}"}
    assert {row.job_uid for row in rows} == expected
    assert caplog.messages == ["observation refused"]
    assert world.inbox.oldest() is None

"""What runs ran with, kept beside them and read with the last success."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.core import executions, setups
from rollcall.core.executions import JobTemplate, Status, Trigger
from rollcall.services import ports
from rollcall.store import engine, job_templates
from support import builders, clocks

JOB = builders.job()
AT = builders.SLOT_AT
HOUR = timedelta(hours=1)
ONE = JobTemplate(
    hash="one", summary='{"version": 1, "images": {"app": "x:1"}, "parts": {"a": "1"}}'
)
TWO = JobTemplate(
    hash="two", summary='{"version": 1, "images": {"app": "x:2"}, "parts": {"a": "1"}}'
)


@pytest.fixture(autouse=True)
async def _registered(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.registry.applied(JOB.id, builders.applied(builders.revision()))


def run(number: int, status: Status = Status.SUCCEEDED, **changes: object) -> executions.Execution:
    """Build the run of the n-th hour, made from the first template."""
    values: dict[str, object] = {
        "slot_at": AT + number * HOUR,
        "status": status,
        "job_uid": f"job-{number}",
        "template_hash": ONE.hash,
    }
    return builders.execution(JOB, **values | changes)


async def save(
    store: engine.Database, *runs: executions.Execution, made_from: Collection[JobTemplate] = (ONE,)
) -> None:
    used = [ports.UsedTemplate(cronjob_id=JOB.id, template=one) for one in made_from]
    async with store.transaction() as unit:
        assert not await unit.ledger.save_all(runs, used)


async def of(store: engine.Database, one: executions.Execution) -> setups.Pair:
    async with store.transaction() as unit:
        found = await unit.setups.of(one)
    assert found
    return found


async def success_of(store: engine.Database, one: executions.Execution) -> object:
    success = (await of(store, one)).success
    return success and success.run_id


async def templates(store: engine.Database) -> list[tuple[Any, ...]]:
    async with store.transaction() as unit:
        rows = await unit.connection.execute(
            sa.text("SELECT hash, seen_at, xmin::text FROM job_templates ORDER BY hash")
        )
        return [tuple(row) for row in rows]


async def test_a_run_is_read_with_what_it_ran_with_and_so_is_the_last_success(
    store: engine.Database,
) -> None:
    success, failed = run(0), run(1, Status.FAILED, template_hash=TWO.hash)
    await save(store, success, failed, made_from=[ONE, TWO])
    well = builders.attempt("p1", ended_at=AT, node="n1", image_ids={"app": "x@sha256:1"})
    bad = builders.attempt("p2", ended_at=AT + HOUR, reason="Error", node="n2")
    async with store.transaction() as unit:
        await unit.attempts.observe({success: [well], failed: [bad]})

    pair = await of(store, failed)

    assert pair.success == setups.Setup(
        run_id=success.id,
        slot_at=AT,
        trigger=Trigger.SCHEDULE,
        ended_at=success.ended_at,
        template_hash="one",
        version=1,
        images={"app": "x:1"},
        parts={"a": "1"},
        pods=[setups.Pod(ended_well=True, node="n1", image_ids={"app": "x@sha256:1"})],
        rhythm=setups.Rhythm(schedule="*/5 * * * *", time_zone="Etc/UTC", concurrency="Forbid"),
    )
    assert (pair.run.images, pair.run.nodes) == ({"app": "x:2"}, ["n2"])
    assert pair.run.pods == [setups.Pod(ended_well=False, node="n2", image_ids={})]


async def test_the_last_success_is_the_newest_before_the_run_whatever_started_it(
    store: engine.Database,
) -> None:
    old, failed, later = run(0), run(3, Status.FAILED), run(4)
    by_hand = run(2, trigger=Trigger.MANUAL)
    partial = run(2, Status.PARTIAL, slot_at=AT + 2.5 * HOUR)
    await save(store, old, failed, later)
    assert await success_of(store, failed) == old.id
    await save(store, by_hand, partial)
    assert await success_of(store, failed) == by_hand.id
    pair = await of(store, failed)
    assert pair.success
    assert pair.success.rhythm is None


async def test_a_job_that_never_succeeded_has_no_success_and_another_s_does_not_count(
    store: engine.Database,
) -> None:
    failed = run(1, Status.FAILED)
    other = builders.execution(builders.job("other"), status=Status.SUCCEEDED)
    await save(store, failed, other)
    assert await success_of(store, failed) is None
    async with store.transaction() as unit:
        assert await unit.setups.of(run(9)) is None


async def test_of_a_run_from_before_it_was_kept_nothing_is_known(store: engine.Database) -> None:
    success, failed = run(0, template_hash=None), run(1, Status.FAILED, template_hash="lost")
    await save(store, success, failed)
    pair = await of(store, failed)
    assert pair.success
    for one in (pair.run, pair.success):
        assert (one.images, one.parts, one.version, one.pods) == (None, None, None, [])


async def test_a_template_is_written_once_and_said_to_be_seen_once_a_week(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await save(store, run(0), made_from=[ONE, ONE])
    ((_, seen_at, _),) = before = await templates(store)
    assert seen_at == clock.now
    clock.advance(job_templates.SEEN_AGAIN)
    await save(store, run(1))
    assert await templates(store) == before
    clock.advance(timedelta(seconds=1))
    await save(store, run(2))
    assert [(one[0], one[1]) for one in await templates(store)] == [("one", clock.now)]


async def test_what_a_run_was_made_from_stays_as_it_was_seen_first(store: engine.Database) -> None:
    first = run(0, Status.RUNNING)
    await save(store, first)
    await save(store, replace(first, template_hash="other"), replace(first, template_hash=None))
    async with store.transaction() as unit:
        assert await unit.ledger.recent(JOB.id, 1) == [first]


async def test_node_and_images_of_a_pod_stay_when_it_says_nothing_of_them(
    store: engine.Database,
) -> None:
    one = run(0)
    pod = builders.attempt(node="n1", image_ids={"app": "x@sha256:1"})
    evicted = builders.attempt(ended_at=AT, reason="Evicted")
    await save(store, one)
    for reading in (builders.attempt(), pod, evicted, evicted):
        async with store.transaction() as unit:
            await unit.attempts.observe({one: [reading]})
    (kept,) = (await of(store, one)).run.pods
    assert (kept.node, kept.image_ids) == ("n1", {"app": "x@sha256:1"})


async def test_a_template_among_runs_one_of_which_has_no_partition_is_kept(
    store: engine.Database, clock: clocks.Clock
) -> None:
    old = run(0, slot_at=clock.now - timedelta(days=500))
    await save(store, run(1), old)
    assert [one[0] for one in await templates(store)] == ["one"]

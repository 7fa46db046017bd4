"""When a job is looked at, and what a look costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from rollcall.core import errors, policies
from rollcall.core.executions import Status, Trigger
from rollcall.services import facts, sweep
from support import builders
from support.stories import (
    HOUR,
    HOURLY,
    MINUTE,
    SECOND,
    SLOT_AT,
    Nobody,
    Story,
    ended_with,
)

BEGUN = SLOT_AT - MINUTE  # so that the first expected slot is SLOT_AT


async def test_a_slot_becomes_final_during_the_reading_and_waits_for_the_next_look(
    story: Story,
) -> None:
    await story.begin(schedule="* * * * *", effective_from=BEGUN)
    # The second slot is final ten seconds after the first one was read for.
    story.clock.set(SLOT_AT + 95 * SECOND)
    read = story.cluster.events

    async def slowly(namespace: str, name: str) -> object:
        story.clock.set(SLOT_AT + 150 * SECOND)
        return await read(namespace, name)

    story.cluster.events = slowly  # type: ignore[method-assign, assignment]
    await story.evaluator.evaluate(story.job.id)
    assert SLOT_AT + MINUTE not in [run.slot_at for run in await story.runs()]
    assert await story.again_at() <= story.clock()
    story.cluster.events = read  # type: ignore[method-assign]
    await story.look_until_done(SLOT_AT + 150 * SECOND)
    assert SLOT_AT + MINUTE in [run.slot_at for run in await story.runs()]


async def test_the_next_slot_never_lies_in_the_past_after_a_look(story: Story) -> None:
    # The first tick is within a minute of the apply, so nothing is expected of it.
    await story.begin(schedule="* * * * *", effective_from=SLOT_AT - 10 * SECOND)
    await story.look(SLOT_AT - 9 * SECOND)
    for _ in range(12):
        state = (await story.row()).state
        assert state.next_slot_at
        assert state.next_slot_at > story.clock()
        again_at = await story.again_at()
        assert again_at <= state.next_slot_at
        await story.look(again_at)


async def test_a_postponed_job_is_looked_at_later(story: Story) -> None:
    await story.begin()
    story.clock.set(SLOT_AT)
    await story.evaluator.postpone(story.job.id, 5 * MINUTE)
    assert await story.again_at() == SLOT_AT + 5 * MINUTE


async def test_nothing_is_judged_while_the_cluster_does_not_answer(story: Story) -> None:
    await story.begin()
    story.cluster.away = True
    with pytest.raises(errors.ClusterUnavailable):
        await story.look(SLOT_AT + 2 * MINUTE)
    assert await story.runs() == []
    story.cluster.away = False
    await story.look(SLOT_AT + 3 * MINUTE)
    assert (await story.runs())[0].status is Status.MISSED


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the statements that reach Postgres."""
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)


async def test_a_look_in_which_nothing_happens_is_one_short_transaction(story: Story) -> None:
    await story.begin()
    for slot in range(30):
        await story.succeeds(slot)
    at = story.clock() + timedelta(minutes=20)
    await story.look(at)
    story.cluster.reads.clear()
    touched = story.touched
    with counted() as statements:
        await story.look(at + MINUTE)
    # Begin, lock, recent executions (newest and open), revisions, incidents, silences, save.
    assert len(statements) <= 8, statements
    assert story.cluster.reads == []
    assert story.touched == touched


async def test_runs_by_hand_are_no_slots(story: Story) -> None:
    await story.begin()
    await story.sees(at=SLOT_AT + MINUTE, slot_at=None, created_at=SLOT_AT)
    await story.look(SLOT_AT + 2 * MINUTE)
    found = {(run.trigger, run.status) for run in await story.runs()}
    assert found == {(Trigger.MANUAL, Status.PENDING), (Trigger.SCHEDULE, Status.MISSED)}


async def others(story: Story, names: list[str]) -> list[UUID]:
    """Register more jobs like the story's own."""
    jobs = [builders.job(name, created_at=HOURLY.effective_from) for name in names]
    async with story.store.transaction() as transaction:
        for job in jobs:
            await transaction.registry.register(job)
            await transaction.registry.applied(job.id, builders.applied(HOURLY))
    return [job.id for job in jobs]


async def test_looks_at_many_jobs_cost_as_many_statements_as_one(story: Story) -> None:
    await story.begin()
    ids = [story.job.id, *await others(story, [f"other-{number}" for number in range(20)])]
    story.clock.set(SLOT_AT - 5 * MINUTE)
    with counted() as statements:
        assert await story.evaluator.evaluate_all(ids) == []
    assert len(statements) <= 8, statements
    async with story.store.transaction() as transaction:
        rows = await transaction.registry.registered(builders.CLUSTER)
    assert {row.state.next_slot_at for row in rows} == {SLOT_AT}


async def test_jobs_for_which_the_cluster_is_to_be_read_are_left_to_a_look_of_their_own(
    story: Story,
) -> None:
    await story.begin()
    await others(story, ["other"])
    await story.sees(at=SLOT_AT)
    story.clock.set(SLOT_AT + 2 * MINUTE)
    async with story.store.transaction() as transaction:
        before = {row.job.name: row for row in await transaction.registry.registered("test")}
    ids = [row.job.id for row in before.values()]
    assert await story.evaluator.evaluate_all(ids) == [before["other"].job.id]
    assert story.cluster.reads == []
    async with story.store.transaction() as transaction:
        after = {row.job.name: row for row in await transaction.registry.registered("test")}
    assert after["other"] == before["other"]
    assert after[story.job.name].state.last_schedule_at == SLOT_AT


async def test_a_job_that_cannot_be_looked_at_costs_the_others_nothing(story: Story) -> None:
    story.clock.set(SLOT_AT - 5 * MINUTE)
    await story.begin()
    await others(story, ["other"])
    poisoned = builders.job("poisoned", policy={"rules": 7}, created_at=HOURLY.effective_from)
    async with story.store.transaction() as transaction:
        await transaction.registry.register(poisoned)
    await sweep.Sweep(
        store=story.store,
        evaluator=story.evaluator,
        beyond=Nobody(),
        cluster=builders.CLUSTER,
        is_clear=lambda: True,
        clock=story.clock,
    ).sweep()
    async with story.store.transaction() as transaction:
        rows = {row.job.name: row for row in await transaction.registry.registered("test")}
    put_off = story.clock() + sweep.POISONED_FOR
    assert rows.pop("poisoned").next_check_at == put_off
    assert {row.state.next_slot_at for row in rows.values()} == {SLOT_AT}


async def test_how_long_runs_take_is_known_until_the_look_ends(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it grew too old between the reading and the rules: three times 55 minutes is the limit.
    monkeypatch.setattr(facts, "_TYPICAL_FOR", -1.0)
    story = Story(story.store, story.clock)
    await story.begin(concurrency="Forbid")
    for slot in range(6):
        at = SLOT_AT + slot * HOUR
        ended = ended_with(Status.SUCCEEDED, at + 55 * MINUTE) if slot < 5 else {}
        seen = story.job_of(at, None, **ended)
        pod = builders.attempt(job_uid=seen.job_uid, created_at=at, started_at=at)
        story.clock.set(at + 56 * MINUTE)
        await story.record(seen, replace(pod, pod_uid=f"pod-{slot}"))
    await story.look(SLOT_AT + 5 * HOUR + 130 * MINUTE)
    running = [run for run in await story.runs() if run.status is Status.RUNNING]
    assert len(running) == 1
    assert policies.Kind.OVERRUNNING not in await story.open()

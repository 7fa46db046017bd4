"""Jobs that are gone: deleted, replaced, gone while nobody saw, or only said to be gone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import errors
from rollcall.core.executions import Status, Trigger
from rollcall.services import observe
from rollcall.store import engine
from support import builders, clocks
from support.observing import FIVE, World

SECOND = timedelta(seconds=1)


@pytest.fixture
async def world(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    await world.register(builders.revision())
    return world


@pytest.fixture
async def replacing(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    await world.register(builders.revision(concurrency="Replace"))
    return world


async def test_a_job_deleted_by_hand_ends_its_run_as_cancelled(world: World) -> None:
    seen = await world.starts()
    await world.goes(seen)
    assert await world.ends() == [(Status.CANCELLED, "JobDeleted")]
    assert list(world.inbox.known()) == []


async def test_a_job_that_made_room_for_the_next_is_replaced(replacing: World) -> None:
    seen = await replacing.starts()
    await replacing.starts(slot=1)
    replacing.clock.advance(SECOND)
    await replacing.goes(seen)
    assert await replacing.ends() == [(Status.REPLACED, "Replaced"), (Status.PENDING, None)]


async def test_a_job_is_replaced_also_where_its_successor_is_seen_later(replacing: World) -> None:
    seen = await replacing.starts()
    replacing.clock.set(builders.SLOT_AT + FIVE)
    await replacing.goes(seen)
    assert await replacing.ends() == [(Status.PENDING, None)]
    await replacing.starts(slot=1)
    replacing.clock.advance(3 * SECOND)
    await replacing.writer.flush()
    assert await replacing.ends() == [(Status.REPLACED, "Replaced"), (Status.PENDING, None)]


async def test_a_successor_is_waited_for_also_where_the_database_was_away_meanwhile(
    replacing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await replacing.starts()
    replacing.clock.set(builders.SLOT_AT + FIVE)

    async def later(*_: str) -> None:
        replacing.clock.advance(180 * SECOND)

    monkeypatch.setattr(replacing.cluster, "reread", later)
    await replacing.goes(seen)
    assert await replacing.ends() == [(Status.PENDING, None)]
    await replacing.starts(slot=1)
    replacing.clock.advance(200 * SECOND)
    await replacing.writer.flush()
    assert await replacing.ends() == [(Status.REPLACED, "Replaced"), (Status.PENDING, None)]


async def test_under_replace_a_job_without_a_successor_was_deleted(replacing: World) -> None:
    await replacing.goes(await replacing.starts())
    replacing.clock.advance(6 * SECOND)
    await replacing.writer.flush()
    assert await replacing.ends() == [(Status.CANCELLED, "JobDeleted")]


async def test_under_forbid_a_deleted_job_is_deleted_whatever_comes_next(world: World) -> None:
    seen = await world.starts()
    await world.starts(slot=1)
    world.clock.advance(SECOND)
    await world.goes(seen)
    assert await world.ends() == [(Status.CANCELLED, "JobDeleted"), (Status.PENDING, None)]


@pytest.mark.parametrize("owner", [None, "another-uid"], ids=["deleted", "made anew"])
async def test_a_job_that_goes_with_its_cronjob_is_cancelled_with_its_owner(
    world: World, owner: str | None
) -> None:
    seen = await world.starts()
    world.cluster.owner = owner
    await world.goes(seen)
    assert await world.ends() == [(Status.CANCELLED, "OwnerDeleted")]


async def test_a_job_that_only_a_list_does_without_is_unknown(world: World) -> None:
    seen = await world.starts()
    world.cluster.living.clear()
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.UNKNOWN, "JobGone")]


async def test_a_list_that_is_late_takes_nothing_from_a_deletion_that_was_seen(
    world: World,
) -> None:
    seen = await world.starts()
    world.cluster.living.clear()
    world.inbox.deleted(seen.job_uid)
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.CANCELLED, "JobDeleted")]


async def test_a_job_of_a_former_cronjob_is_recorded_to_its_end(world: World) -> None:
    seen = await world.starts()
    async with world.store.transaction() as transaction:
        anew = builders.applied(builders.revision(), cronjob_uid="another-uid")
        await transaction.registry.applied(world.job.id, anew)
    orphan = replace(seen, owner_uid=None, owner_name=None, decided=Status.SUCCEEDED)
    world.inbox.job(replace(orphan, ended_at=builders.SLOT_AT + SECOND))
    await world.writer.flush()
    assert await world.ends() == [(Status.SUCCEEDED, None)]


async def test_a_job_of_another_cronjob_is_nobodys_run(world: World) -> None:
    world.inbox.job(builders.observation(world.job, owner_uid="another-uid"))
    await world.writer.flush()
    assert await world.runs() == []


async def test_a_second_job_for_a_slot_is_a_run_by_hand_and_ends_as_such(world: World) -> None:
    await world.starts()
    second = builders.observation(
        world.job, created_at=builders.SLOT_AT + SECOND, job_uid="second", job_name="again"
    )
    world.inbox.job(second)
    await world.writer.flush()
    runs = [(run.trigger, run.job_name) for run in await world.runs()]
    assert runs == [(Trigger.SCHEDULE, "report-0"), (Trigger.MANUAL, "again")]
    await world.goes(second)
    assert await world.ends() == [(Status.PENDING, None), (Status.CANCELLED, "JobDeleted")]


async def test_two_jobs_of_a_slot_that_are_seen_together_keep_their_own_pods(world: World) -> None:
    for uid, pod in (("job-1", "pod-1"), ("job-2", "pod-2")):
        job = builders.observation(world.job, job_uid=uid, job_name=uid)
        world.inbox.job(job)
        world.inbox.pod(builders.attempt(pod, job_uid=uid))
    await world.writer.flush()
    runs = {run.job_uid: run for run in await world.runs()}
    assert runs["job-1"].trigger is Trigger.SCHEDULE
    assert runs["job-2"].trigger is Trigger.MANUAL
    async with world.store.transaction() as unit:
        pods = await unit.attempts.observe({run: [] for run in runs.values()})
    assert {uid: [pod.pod_uid for pod in pods[run.id]] for uid, run in runs.items()} == {
        "job-1": ["pod-1"],
        "job-2": ["pod-2"],
    }


async def test_a_job_that_went_while_nobody_saw_is_unknown(world: World) -> None:
    seen = await world.starts()
    world.cluster.living.clear()
    world.restart()
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.UNKNOWN, "JobGone")]
    assert world.inbox.unseen() == set()


async def test_a_run_that_ended_while_nobody_saw_has_its_jobs_verdict(world: World) -> None:
    seen = await world.starts()
    world.restart()
    world.inbox.job(replace(seen, decided=Status.SUCCEEDED, ended_at=builders.SLOT_AT + SECOND))
    await world.writer.flush()
    assert await world.ends() == [(Status.SUCCEEDED, None)]


@pytest.mark.parametrize("restarted", [False, True], ids=["same process", "after a restart"])
async def test_a_job_that_is_still_there_is_not_gone(world: World, *, restarted: bool) -> None:
    seen = await world.starts()
    if restarted:
        world.restart()
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.PENDING, None)]


@pytest.mark.parametrize("restarted", [False, True], ids=["same process", "after a restart"])
async def test_while_nobody_can_confirm_it_nothing_is_written(
    world: World, *, restarted: bool
) -> None:
    seen = await world.starts()
    if restarted:
        world.restart()
    world.cluster.living.clear()
    world.cluster.away = True
    world.inbox.vanished(seen.job_uid)
    with pytest.raises(errors.ClusterUnavailable):
        await world.writer.flush()
    assert await world.ends() == [(Status.PENDING, None)]
    world.cluster.away = False
    await world.writer.flush()
    assert await world.ends() == [(Status.UNKNOWN, "JobGone")]


async def test_a_verdict_that_comes_while_the_job_is_written_is_worth_more_than_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await world.starts()
    record = observe.record

    async def slow(*arguments: Any) -> list[observe.Change]:  # noqa: ANN401 - as it comes
        changes = await record(*arguments)
        monkeypatch.undo()
        world.inbox.job(replace(seen, decided=Status.SUCCEEDED, ended_at=builders.SLOT_AT))
        world.inbox.deleted(seen.job_uid)
        return changes

    world.cluster.living.clear()
    world.inbox.job(replace(seen, job_started_at=builders.SLOT_AT + SECOND))
    monkeypatch.setattr(observe, "record", slow)
    await world.writer.flush()
    await world.writer.flush()
    assert await world.ends() == [(Status.SUCCEEDED, None)]


async def test_a_run_that_ended_before_its_job_went_keeps_its_end(world: World) -> None:
    seen = await world.starts()
    done = builders.observation(
        world.job,
        job_uid=seen.job_uid,
        job_name=seen.job_name,
        decided=Status.SUCCEEDED,
        ended_at=builders.SLOT_AT + SECOND,
        reason="CompletionsReached",
    )
    world.inbox.job(done)
    await world.writer.flush()
    world.cluster.living.clear()
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.SUCCEEDED, "CompletionsReached")]


async def test_a_job_without_a_slot_is_a_manual_run(world: World) -> None:
    at = builders.SLOT_AT + SECOND
    world.clock.set(at)
    by_hand = builders.observation(
        world.job, slot_at=None, created_at=at, job_uid="by-hand", job_name="by-hand"
    )
    world.inbox.job(by_hand)
    await world.writer.flush()
    async with world.store.transaction() as transaction:
        (run,) = await transaction.ledger.recent(world.job.id, 10)
    assert (run.trigger, run.slot_at, run.job_name) == (Trigger.MANUAL, at, "by-hand")

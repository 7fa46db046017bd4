"""What is known of a run that went wrong outlives its Job, its pods and their Events."""

from datetime import timedelta

import pytest

from rollcall.core import errors, executions, slots
from rollcall.core.executions import Status
from rollcall.store import engine
from support import builders, clocks
from support.observing import World

AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)


@pytest.fixture
async def world(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    await world.register(builders.revision())
    return world


async def ends(world: World, status: Status) -> None:
    """Let the Job of the first slot end, with one pod."""
    await world.starts()
    reason = "Error" if status is Status.FAILED else None
    await world.sees(started_at=AT + SECOND, ended_at=AT + 4 * SECOND, reason=reason)
    world.inbox.job(
        builders.observation(
            world.job,
            job_uid="job-0",
            job_name="report-0",
            decided=status,
            ended_at=AT + 5 * SECOND,
            reason="BackoffLimitExceeded" if reason else "CompletionsReached",
        )
    )
    await world.writer.flush()


async def story(world: World) -> list[executions.Event]:
    (run,) = await world.runs()
    async with world.store.transaction() as transaction:
        return list(await transaction.events.of(run.id))


async def test_a_run_that_ended_keeps_when_its_pods_started_and_ended(world: World) -> None:
    await ends(world, Status.SUCCEEDED)
    await world.event_collector.ask()
    assert [(line.at - AT, line.reason) for line in await story(world)] == [
        (SECOND, "Started"),
        (4 * SECOND, "Completed"),
    ]


async def test_a_run_that_failed_keeps_the_warnings_about_its_job_and_pods(world: World) -> None:
    for uid, reason in (("job-0", "BackoffLimitExceeded"), ("pod-1", "BackOff")):
        event = slots.EventReading(reason=reason, message="why", last_at=AT + 5 * SECOND)
        world.cluster.said[uid] = [event]
    await ends(world, Status.FAILED)
    await world.event_collector.ask()
    told = [(line.source, line.reason) for line in await story(world)]
    assert told[:2] == [("pod", "Started"), ("pod", "Error")]
    assert sorted(told[2:]) == [("kubernetes", "BackOff"), ("kubernetes", "BackoffLimitExceeded")]


async def test_a_run_that_cannot_start_keeps_what_events_say(world: World) -> None:
    seen = await world.starts()
    refusal = slots.EventReading(reason="FailedCreate", message="exceeded quota: a", last_at=AT)
    world.cluster.said[seen.job_uid] = [refusal]
    world.clock.advance(5 * SECOND)
    await world.obstacles.look()
    await world.writer.flush()
    await world.event_collector.ask()
    told = [(line.source, line.reason, line.message) for line in await story(world)]
    assert told == [("kubernetes", "FailedCreate", "exceeded quota: a")]


async def test_while_the_api_server_is_away_the_case_waits(world: World) -> None:
    world.cluster.said["job-0"] = [
        slots.EventReading(reason="BackoffLimitExceeded", message="why", last_at=AT)
    ]
    await ends(world, Status.FAILED)
    world.cluster.away = True
    with pytest.raises(errors.ClusterUnavailable):
        await world.event_collector.ask()
    world.cluster.away = False
    await world.event_collector.ask()
    assert ("kubernetes", "BackoffLimitExceeded") in [
        (line.source, line.reason) for line in await story(world)
    ]


async def test_that_a_pod_went_without_its_sidecar_is_kept_while_the_run_goes_on(
    world: World,
) -> None:
    without = executions.Untracked(at=AT + 2 * SECOND, words="ErrImagePull: no such host")
    await world.starts()
    await world.sees(started_at=AT + 3 * SECOND, untracked=without)
    await world.sees(started_at=AT + 3 * SECOND, untracked=without, node="n")
    (line,) = await story(world)
    assert (line.at, line.reason) == (without.at, "Untracked")
    assert line.message.endswith(without.words)

"""A run that does not start says why in its row."""

from datetime import timedelta

import pytest

from rollcall.core import slots
from rollcall.core.executions import Status
from rollcall.store import engine
from support import builders, clocks
from support.observing import World

SECOND = timedelta(seconds=1)
NUMBERS = "exceeded quota: no-pods, requested: pods=1, used: pods=0, limited: pods=0"


@pytest.fixture
async def world(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    await world.register(builders.revision())
    return world


async def after(world: World, seconds: int) -> tuple[Status, str | None, str | None]:
    world.clock.advance(seconds * SECOND)
    await world.obstacles.look()
    await world.writer.flush()
    (run,) = await world.runs()
    return run.status, run.reason, run.message


async def test_a_job_whose_pods_a_quota_refuses_names_it_until_they_come(world: World) -> None:
    seen = await world.starts()
    world.cluster.said[seen.job_uid] = [
        slots.EventReading(
            reason="FailedCreate",
            message=f'Error creating: pods "report-0-x7k2p" is forbidden: {NUMBERS}',
            last_at=world.clock(),
        )
    ]
    assert await after(world, 4) == (Status.PENDING, None, None)
    assert await after(world, 1) == (Status.PENDING, "QuotaExceeded", NUMBERS)

    world.restart()  # and nobody asked yet
    world.inbox.job(seen)
    assert await after(world, 0) == (Status.PENDING, "QuotaExceeded", NUMBERS)

    await world.sees(started_at=world.clock())
    assert await after(world, 0) == (Status.RUNNING, None, None)


async def test_a_pod_that_cannot_be_scheduled_says_so_with_the_schedulers_words(
    world: World,
) -> None:
    await world.starts()
    said = "0/1 nodes are available: 1 Insufficient cpu."
    await world.sees(waiting_reason="Unschedulable", waiting_message=said)
    assert await after(world, 0) == (Status.PENDING, "Unschedulable", said)


async def test_a_pod_that_waits_for_a_volume_says_which(world: World) -> None:
    await world.starts()
    await world.sees()
    missing = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'
    world.cluster.said["pod-1"] = [
        slots.EventReading(reason="FailedMount", message=missing, last_at=world.clock())
    ]
    assert await after(world, 29) == (Status.PENDING, None, None)
    assert await after(world, 1) == (Status.PENDING, "VolumeNotReady", f"FailedMount: {missing}")

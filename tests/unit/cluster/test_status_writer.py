"""When the status is written, and when not."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from rollcall.cluster import inventory, outcomes, paths, status_writer, troubles
from rollcall.core import errors, health, ids
from rollcall.services import ports
from support import builders
from support.fakekube import FakeKube, Object
from support.loops import play
from support.memorystore import MemoryStore
from support.trackedcronjobs import UID, tracked

KEY = inventory.Key("team", "nightly")
PATH = paths.tracked(*KEY)
WRITE = ("PATCH", f"{PATH}/status")
ID = ids.cronjob_id(cluster="test", uid=UID)
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OUTCOME = outcomes.Outcome(
    generation=1, ready=outcomes.Condition(status="True", reason="Reconciled")
)


class World:
    """A writer whose clock goes with the loop."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.store = MemoryStore()
        self.known = inventory.Inventory(cluster="test")
        self.outcomes: dict[UUID, outcomes.Outcome] = {ID: OUTCOME}
        self.troubles: dict[inventory.Key, troubles.Trouble] = {}
        self.known.put(self.kube.put(PATH, tracked()))
        self.writer = status_writer.StatusWriter(
            kube=self.kube,
            store=self.store,
            inventory=self.known,
            outcomes=self.outcomes.get,
            trouble=self.troubles.get,
            clock=lambda: START + timedelta(seconds=asyncio.get_running_loop().time()),
        )

    def becomes(self, word: health.Health, last_schedule_at: datetime | None = None) -> None:
        """Let the ledger say something else."""
        row = ports.JobRow(
            job=builders.job(),
            cronjob_uid=None,
            generation=None,
            spec_hash=None,
            state=ports.JobState(health=word, last_schedule_at=last_schedule_at),
            deleted_at=None,
            next_check_at=START,
        )
        self.store.summaries[ID] = ports.Summary(row=row, last=None)

    @property
    def status(self) -> Object:
        found: Object = self.kube.objects[PATH].get("status", {})
        return found


async def test_a_status_is_written_once_and_only_where_it_differs() -> None:
    world = World()
    await world.writer.write(ID)
    assert world.kube.writes() == [WRITE]
    assert world.status["observedGeneration"] == 1
    await world.writer.write(ID)
    assert world.kube.writes() == []


async def test_nothing_is_written_before_the_first_reconciliation() -> None:
    world = World()
    world.outcomes.clear()
    await world.writer.write(ID)
    assert world.kube.writes() == []


async def test_nothing_is_written_for_a_job_that_is_gone() -> None:
    world = World()
    await world.writer.write(UUID(int=5))
    world.known.drop(KEY)
    await world.writer.write(ID)
    assert world.kube.writes() == []


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("gone"),
        errors.Conflict("another object of this name"),
        errors.Refused("no", status=403),
    ],
    ids=["gone", "made-again", "refused"],
)
async def test_a_write_that_can_never_succeed_is_given_up(error: Exception) -> None:
    world = World()
    world.kube.fail("PATCH", f"{PATH}/status", error)
    await world.writer.write(ID)
    assert world.status == {}


@pytest.mark.parametrize("down", ["server", "store"])
async def test_what_can_be_tried_again_is_left_to_the_queue(down: str) -> None:
    world = World()
    if down == "store":
        world.store.down = True
    else:
        world.kube.fail("PATCH", f"{PATH}/status", errors.ClusterUnavailable("down"))
    with pytest.raises(errors.Unavailable):
        await world.writer.write(ID)


def test_many_changes_are_few_writes() -> None:
    async def scenario() -> None:
        world = World()
        task = asyncio.create_task(world.writer.run())
        words = [health.Health.FAILING, health.Health.HEALTHY]
        for step in range(100):  # ten seconds, ten changes a second
            world.becomes(words[step % 2])
            world.writer.touch(ID)
            await asyncio.sleep(0.1)
        await asyncio.sleep(20)
        task.cancel()
        writes = world.kube.writes()
        assert 1 <= len(writes) <= 3
        assert world.status["health"] == "Healthy"

    play(scenario)


def test_a_change_is_written_four_seconds_later_and_the_next_five_after_it() -> None:
    async def scenario() -> None:
        world = World()
        task = asyncio.create_task(world.writer.run())
        world.writer.touch(ID)
        await asyncio.sleep(3.9)
        assert world.kube.writes() == []
        await asyncio.sleep(0.2)
        assert world.kube.writes() == [WRITE]
        world.becomes(health.Health.FAILING)
        world.writer.touch(ID)
        await asyncio.sleep(4.5)
        assert world.kube.writes() == []
        await asyncio.sleep(1)
        assert world.kube.writes() == [WRITE]
        task.cancel()

    play(scenario)


def test_details_come_with_the_next_news_or_ten_seconds_later() -> None:
    async def scenario() -> None:
        world = World()
        task = asyncio.create_task(world.writer.run())
        world.becomes(health.Health.HEALTHY)
        world.writer.touch(ID)
        await asyncio.sleep(10)
        world.kube.writes()

        world.becomes(health.Health.HEALTHY, last_schedule_at=START)
        world.writer.touch(ID)
        await asyncio.sleep(9)
        assert world.kube.writes() == []
        world.becomes(health.Health.HEALTHY, last_schedule_at=START + timedelta(minutes=1))
        world.writer.touch(ID)
        await asyncio.sleep(6)
        assert world.kube.writes() == [WRITE]
        assert world.status["lastScheduleTime"] == "2026-03-02T12:01:00Z"

        world.becomes(health.Health.FAILING, last_schedule_at=START)
        world.writer.touch(ID)
        await asyncio.sleep(6)
        assert world.kube.writes() == [WRITE]
        assert world.status["lastScheduleTime"] == "2026-03-02T12:00:00Z"
        task.cancel()

    play(scenario)

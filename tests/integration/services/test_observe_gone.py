"""Jobs that are gone: deleted, replaced, gone while nobody saw, or only said to be gone."""

from datetime import timedelta

import pytest

from rollcall.core import errors, executions, slots
from rollcall.core.executions import Status, Trigger
from rollcall.services import observe
from rollcall.store import engine
from support import builders, clocks

SECOND = timedelta(seconds=1)
FIVE = timedelta(minutes=5)
RHYTHM = builders.revision(concurrency="Replace")


class Cluster:
    """The API server, scripted."""

    def __init__(self) -> None:
        self.jobs: dict[str, executions.JobObservation] = {}
        self.away = False

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        assert namespace == "shop"
        if self.away:
            raise errors.ClusterUnavailable("no answer")
        return self.jobs.get(job_name)

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        raise AssertionError(f"nobody asks for {namespace}/{name} here")

    async def events(self, namespace: str, name: str) -> list[slots.EventReading]:
        raise AssertionError(f"nobody asks for events of {namespace}/{name} here")

    async def probe(self) -> None:
        """See."""


class World:
    """A registered job and a writer; `restart` forgets what only the process knew."""

    def __init__(self, store: engine.Database, clock: clocks.Clock) -> None:
        self.store, self.clock, self.cluster = store, clock, Cluster()
        self.job = builders.job()
        self.restart()

    def restart(self) -> None:
        self.inbox = observe.Inbox(self.clock)
        self.writer = observe.Writer(
            store=self.store,
            evidence=self.cluster,
            inbox=self.inbox,
            cluster=builders.CLUSTER,
            changed=lambda _: None,
        )

    async def starts(self, slot: int = 0) -> executions.JobObservation:
        at = builders.SLOT_AT + slot * FIVE
        self.clock.set(at)
        seen = builders.observation(
            self.job, slot_at=at, created_at=at, job_uid=f"job-{slot}", job_name=f"report-{slot}"
        )
        self.cluster.jobs[seen.job_name] = seen
        self.inbox.job(seen)
        await self.writer.flush()
        return seen

    async def ends(self) -> list[tuple[Status, str | None]]:
        async with self.store.transaction() as transaction:
            runs = await transaction.ledger.recent(self.job.id, 10)
        return [(run.status, run.reason) for run in reversed(runs)]


@pytest.fixture
async def world(store: engine.Database, clock: clocks.Clock) -> World:
    world = World(store, clock)
    async with store.transaction() as transaction:
        await transaction.registry.register(world.job)
        await transaction.registry.applied(world.job.id, builders.applied(RHYTHM))
    return world


async def test_a_deleted_job_ends_its_run_as_cancelled(world: World) -> None:
    seen = await world.starts()
    world.cluster.jobs.clear()
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.CANCELLED, "JobDeleted")]
    assert list(world.inbox.known()) == []


async def test_a_job_that_made_room_for_the_next_is_replaced(world: World) -> None:
    seen = await world.starts()
    await world.starts(slot=1)
    del world.cluster.jobs[seen.job_name]
    world.clock.advance(SECOND)
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.REPLACED, "Replaced"), (Status.PENDING, None)]


async def test_under_forbid_a_deleted_job_is_deleted_whatever_comes_next(world: World) -> None:
    forbid = builders.revision(effective_from=builders.SLOT_AT - FIVE, generation=2)
    async with world.store.transaction() as transaction:
        await transaction.registry.applied(world.job.id, builders.applied(forbid))
    seen = await world.starts()
    await world.starts(slot=1)
    del world.cluster.jobs[seen.job_name]
    world.clock.advance(SECOND)
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.CANCELLED, "JobDeleted"), (Status.PENDING, None)]


async def test_a_job_that_went_while_nobody_saw_is_unknown(world: World) -> None:
    seen = await world.starts()
    world.cluster.jobs.clear()
    world.restart()
    world.inbox.vanished(seen.job_uid)
    await world.writer.flush()
    assert await world.ends() == [(Status.UNKNOWN, "JobGone")]
    assert world.inbox.unseen() == set()


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
    world.cluster.jobs.clear()
    world.cluster.away = True
    world.inbox.vanished(seen.job_uid)
    with pytest.raises(errors.ClusterUnavailable):
        await world.writer.flush()
    assert await world.ends() == [(Status.PENDING, None)]
    world.cluster.away = False
    await world.writer.flush()
    ended = (Status.UNKNOWN, "JobGone") if restarted else (Status.CANCELLED, "JobDeleted")
    assert await world.ends() == [ended]


async def test_a_run_that_ended_before_its_job_went_keeps_its_end(world: World) -> None:
    seen = await world.starts()
    done = builders.observation(
        world.job,
        job_uid=seen.job_uid,
        job_name=seen.job_name,
        decided=Status.SUCCEEDED,
        finished=True,
        ended_at=builders.SLOT_AT + SECOND,
        reason="CompletionsReached",
    )
    world.inbox.job(done)
    await world.writer.flush()
    world.cluster.jobs.clear()
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

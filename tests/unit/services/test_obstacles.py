"""Events are read for what is silent: in time, rarely, and only a few at once."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from rollcall.core import errors, slots
from rollcall.services import inbox, obstacles
from support import builders, clocks

SECOND = timedelta(seconds=1)
QUOTA = "Error creating: exceeded quota: no-pods, requested: pods=1, used: pods=0, limited: pods=0"


class World:
    """The API server's Events by UID of what they are about; `asked` lists what was read."""

    def __init__(self) -> None:
        self.clock = clocks.Clock()
        self.clock.set(builders.SLOT_AT)
        self.inbox = inbox.Inbox(self.clock)
        self.obstacles = obstacles.Obstacles(evidence=self, inbox=self.inbox, clock=self.clock)  # type: ignore[arg-type]
        self.asked: list[tuple[str, str]] = []
        self.says: dict[str, str] = {}
        self.away = False

    async def warnings(self, namespace: str, uid: str) -> Sequence[slots.EventReading]:
        self.asked.append((namespace, uid))
        if self.away:
            raise errors.ClusterUnavailable("no answer")
        return [
            slots.EventReading(reason="FailedCreate", message=message, last_at=self.clock())
            for message in filter(None, [self.says.get(uid)])
        ]

    async def after(self, seconds: int) -> int:
        """Look each second for a while; return how often somebody was asked."""
        before = len(self.asked)
        for _ in range(seconds):
            self.clock.advance(SECOND)
            await self.obstacles.look()
        return len(self.asked) - before


@pytest.fixture
def world() -> World:
    return World()


async def test_a_job_without_pods_is_asked_for_after_five_seconds(world: World) -> None:
    world.inbox.job(builders.observation(job_uid="job-1"))
    world.says["job-1"] = QUOTA
    assert await world.after(4) == 0
    assert await world.after(1) == 1
    assert world.asked == [("shop", "job-1")]
    cause = world.inbox.take(10)["job-1"].obstacle
    assert cause
    assert (cause.reason, cause.message) == (
        "QuotaExceeded",
        QUOTA.removeprefix("Error creating: "),
    )


async def test_it_is_asked_for_again_more_and_more_rarely(world: World) -> None:
    world.inbox.job(builders.observation(job_uid="job-1"))
    await world.after(5)
    assert [await world.after(seconds) for seconds in (5, 10, 20, 40, 60, 60)] == [1] * 6


async def test_without_an_event_that_says_why_nothing_is_known(world: World) -> None:
    world.inbox.job(builders.observation(job_uid="job-1"))
    assert await world.after(5) == 1
    assert world.inbox.take(10)["job-1"].obstacle is None


async def test_what_starts_is_not_asked_for_any_more(world: World) -> None:
    world.inbox.job(builders.observation(job_uid="job-1"))
    await world.after(5)
    world.inbox.pod(builders.attempt(started_at=builders.SLOT_AT))
    assert await world.after(300) == 0


async def test_of_many_only_a_few_are_asked_for_at_once_and_all_in_turn(world: World) -> None:
    uids = {f"job-{number}" for number in range(2 * obstacles.AT_ONCE)}
    for uid in uids:
        world.inbox.job(builders.observation(job_uid=uid))
    assert await world.after(5) == obstacles.AT_ONCE
    assert await world.after(1) == obstacles.AT_ONCE
    assert {uid for _, uid in world.asked} == uids


async def test_an_api_server_that_is_away_is_asked_again_later(world: World) -> None:
    world.inbox.job(builders.observation(job_uid="job-1"))
    world.says["job-1"] = QUOTA
    world.away = True
    with pytest.raises(errors.ClusterUnavailable):
        await world.after(5)
    world.away = False
    assert await world.after(5) == 1
    assert world.inbox.take(10)["job-1"].obstacle

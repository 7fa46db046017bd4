"""When we see well enough to judge."""

from datetime import datetime, timedelta

import pytest

from rollcall.core import errors
from rollcall.services import sight
from support import clocks


class World:
    """An API server, an inbox and a relist, scripted."""

    def __init__(self) -> None:
        self.away = False
        self.waiting_since: datetime | None = None
        self.lists = 0
        self.clock = clocks.Clock()
        self.sight = sight.Sight(
            evidence=self,  # type: ignore[arg-type]  # only probe is asked of it
            inbox=self,
            resync=self.resync,
            clock=self.clock,
        )

    async def probe(self) -> None:
        if self.away:
            raise errors.ClusterUnavailable("no answer")

    def oldest(self) -> datetime | None:
        return self.waiting_since

    async def resync(self) -> None:
        self.lists += 1

    async def look_after(self, by: timedelta) -> None:
        self.clock.advance(by)
        await self.sight.look()


async def test_before_the_first_look_we_are_blind() -> None:
    assert not World().sight.is_clear()


async def test_the_first_look_lists_everything_and_the_next_does_not() -> None:
    world = World()
    await world.sight.look()
    await world.look_after(timedelta(seconds=5))
    assert (world.sight.is_clear(), world.lists) == (True, 1)


async def test_a_gap_makes_us_blind_until_everything_is_listed_again() -> None:
    world = World()
    await world.sight.look()
    world.clock.advance(sight.GAP)
    assert world.sight.is_clear()
    world.clock.advance(timedelta(seconds=1))
    assert not world.sight.is_clear()
    await world.sight.look()
    assert (world.sight.is_clear(), world.lists) == (True, 2)


async def test_a_failed_probe_does_not_count_as_seeing() -> None:
    world = World()
    await world.sight.look()
    before = world.sight.observed_through
    world.away = True
    with pytest.raises(errors.ClusterUnavailable):
        await world.look_after(timedelta(seconds=5))
    assert world.sight.observed_through == before


async def test_everything_is_listed_every_four_minutes() -> None:
    world = World()
    for _ in range(49):  # 0 s to 240 s
        await world.sight.look()
        world.clock.advance(timedelta(seconds=5))
    assert world.lists == 2


@pytest.mark.parametrize(("seconds", "clear"), [(5, True), (6, False)])
async def test_readings_that_wait_too_long_make_us_blind(seconds: int, clear: bool) -> None:  # noqa: FBT001 - a case
    world = World()
    await world.sight.look()
    world.waiting_since = world.clock() - timedelta(seconds=seconds)
    assert world.sight.is_clear() is clear

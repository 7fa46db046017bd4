"""When a cluster is looked at as a whole, and what waits for that."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rollcall.core import errors
from rollcall.services import wide, wide_looks
from support import clocks

SECOND = timedelta(seconds=1)


class World:
    """A store and eyes, scripted; `glances` are the looks."""

    def __init__(self) -> None:
        self.clear = True
        self.fault: Exception | None = None
        self.tells = False
        self.glances: list[wide_looks.Glance] = []
        self.released = 0
        self.woken = 0
        self.clock = clocks.Clock()
        self.wide = wide.Wide(
            store=cast("Any", self),
            looks=cast("Any", self),
            eyes=self,
            cluster="test",
            clock=self.clock,
            wake=self.wake,
        )

    def is_clear(self) -> bool:
        return self.clear

    def why_blind(self) -> str | None:
        return None if self.clear else "no answer"

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> object:
        return await work(SimpleNamespace(outbox=self))

    async def take(self, _: object, glance: wide_looks.Glance) -> bool:
        self.glances.append(glance)
        if self.fault:
            raise self.fault
        return self.tells

    async def release(self, cluster: str) -> None:
        assert cluster == "test"
        self.released += 1

    def wake(self) -> None:
        self.woken += 1


async def test_it_looks_every_five_seconds() -> None:
    world = World()
    for _ in range(11):
        await world.wide.look_if_due()
        world.clock.advance(SECOND)
    assert len(world.glances) == 3


async def test_it_looks_at_once_when_we_see_no_more_or_see_again() -> None:
    world = World()
    for clear in (True, False, False, True):
        world.clear = clear
        await world.wide.look_if_due()
        world.clock.advance(SECOND)
    assert [(one.is_clear, one.unseen_for, one.why) for one in world.glances] == [
        (True, timedelta(0), None),
        (False, SECOND, "no answer"),
        (True, timedelta(0), None),
    ]


async def test_who_has_not_seen_yet_does_not_know_for_how_long() -> None:
    world = World()
    world.clear = False
    await world.wide.look_if_due()
    assert world.glances[0].unseen_for is None


async def test_a_crowd_waits_until_it_was_looked_at_and_one_alone_does_not() -> None:
    world = World()
    world.wide.expect(1)
    assert world.wide.wait() == timedelta(0)
    await world.wide.gathered(is_more=False)
    assert world.glances == []
    world.wide.expect(wide.CROWD)
    assert world.wide.wait() == wide.WAIT
    await world.wide.gathered(is_more=False)
    assert (len(world.glances), world.released, world.woken) == (1, 1, 1)
    assert world.wide.wait() == timedelta(0)


async def test_a_crowd_of_several_sweeps_is_waited_for_but_not_for_ever() -> None:
    world = World()
    for _ in range(7):
        world.wide.expect(100)
        await world.wide.gathered(is_more=True)
        world.clock.advance(SECOND)
    assert world.glances == []
    await world.wide.gathered(is_more=True)
    assert len(world.glances) == 1


async def test_what_was_found_wakes_who_sends() -> None:
    world = World()
    world.tells = True
    await world.wide.look_if_due()
    assert world.woken == 1


async def test_a_fault_of_the_look_is_in_the_log_and_stops_no_sweep(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.fault = ValueError("odd evidence")
    world.wide.expect(100)
    await world.wide.gathered(is_more=False)
    assert "odd evidence" in caplog.text
    assert world.wide.wait() == timedelta(0)


async def test_an_outage_is_the_sweep_s_to_tell() -> None:
    world = World()
    world.fault = errors.StoreUnavailable("down")
    with pytest.raises(errors.StoreUnavailable):
        await world.wide.look_if_due()


def test_a_crowd_takes_no_longer_than_its_messages_wait() -> None:
    assert wide.LONGEST_CROWD + 2 * SECOND < wide.WAIT

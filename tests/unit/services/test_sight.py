"""When we see well enough to judge."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from rollcall.core import blindness, errors, health, slots
from rollcall.services import sight
from support import clocks

SECOND = timedelta(seconds=1)
JOB = UUID(int=7)


class World:
    """An API server, a store, an inbox and a relist, scripted; all clocks are one."""

    def __init__(self, observed_through: datetime | None = None) -> None:
        self.away = False
        self.store_away = False
        self.waiting_since: datetime | None = None
        self.lists = 0
        self.list_takes = timedelta()
        self.ahead: timedelta | None = None  # of the API server's clock
        self.marked = observed_through
        self.gaps: list[slots.Gap] = []
        self.health: list[str] = []
        self.touched: list[UUID] = []
        self.clock = clocks.Clock()
        self.sight = sight.Sight(
            store=cast("Any", self),
            evidence=cast("Any", self),
            inbox=self,
            resync=self.resync,
            cluster="test",
            clock=self.clock,
            changed=self.touched.append,
        )

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> object:
        if self.store_away:
            raise errors.StoreUnavailable("no answer")
        gaps = SimpleNamespace(save=self.save, of=self.of)
        return await work(SimpleNamespace(now=self.clock(), sight=self, gaps=gaps))

    async def mark(self, cluster: str, through: datetime | None) -> datetime | None:
        assert cluster == "test"
        self.marked = through or self.marked
        return self.marked

    async def dim(self, cluster: str) -> list[UUID]:
        self.health.append(f"dim {cluster}")
        return [JOB]

    async def brighten(self, cluster: str) -> None:
        self.health.append(f"brighten {cluster}")

    async def save(self, gap: slots.Gap) -> None:
        self.gaps.append(gap)

    async def of(self, _: UUID, after: datetime, until: datetime) -> list[slots.Gap]:
        return [gap for gap in self.gaps if gap.until_at and after < gap.until_at <= until]

    async def probe(self) -> datetime | None:
        if self.away:
            raise errors.ClusterUnavailable("no answer")
        return None if self.ahead is None else self.clock() + self.ahead

    def oldest(self) -> datetime | None:
        return self.waiting_since

    async def resync(self) -> None:
        self.lists += 1
        self.clock.advance(self.list_takes)

    async def look_after(self, by: timedelta) -> None:
        self.clock.advance(by)
        await self.sight.look()

    def blind_times(self) -> list[tuple[datetime, datetime | None]]:
        return [(gap.from_at, gap.until_at) for gap in self.gaps]


async def test_the_first_look_lists_everything_and_the_next_does_not() -> None:
    world = World()
    assert not world.sight.is_clear()
    await world.sight.look()
    await world.look_after(5 * SECOND)
    assert (world.sight.is_clear(), world.lists) == (True, 1)


async def test_a_gap_makes_us_blind_until_everything_is_listed_again() -> None:
    world = World()
    await world.sight.look()
    began = world.clock()
    world.clock.advance(sight.GAP)
    assert world.sight.is_clear()
    world.clock.advance(SECOND)
    assert not world.sight.is_clear()
    await world.sight.look()
    assert (world.sight.is_clear(), world.lists) == (True, 2)
    assert world.blind_times() == [(began, world.clock())]
    assert world.sight.seen().blind == [blindness.Blind(from_at=began, until_at=world.clock())]


async def test_a_list_that_takes_long_belongs_to_the_blindness_and_makes_no_new_one() -> None:
    world = World()
    await world.sight.look()
    began = world.clock()
    world.list_takes = 40 * SECOND
    await world.look_after(60 * SECOND)
    assert world.sight.is_clear()
    await world.look_after(5 * SECOND)
    assert world.lists == 2
    assert world.blind_times() == [(began, began + 100 * SECOND)]


async def test_what_the_list_after_a_gap_brought_is_written_before_we_see() -> None:
    world = World()
    await world.sight.look()
    world.waiting_since = world.clock()
    assert not world.sight.is_clear()
    world.waiting_since = world.clock() + SECOND
    world.clock.advance(SECOND)
    assert world.sight.is_clear()


async def test_a_failed_probe_does_not_count_as_seeing() -> None:
    world = World()
    await world.sight.look()
    before = world.sight.observed_through
    world.away = True
    with pytest.raises(errors.ClusterUnavailable):
        await world.look_after(5 * SECOND)
    assert world.sight.observed_through == before


async def test_a_store_that_does_not_answer_blinds_as_well() -> None:
    world = World()
    await world.sight.look()
    world.store_away = True
    with pytest.raises(errors.StoreUnavailable):
        await world.look_after(sight.GAP + SECOND)
    assert not world.sight.is_clear()


async def test_everything_is_listed_every_four_minutes() -> None:
    world = World()
    await world.sight.relist()  # the first list is that of the first look
    await world.sight.look()
    for _ in range(48):  # 5 s to 240 s
        await world.look_after(5 * SECOND)
        await world.sight.relist()
    assert world.lists == 2


@pytest.mark.parametrize(("seconds", "clear"), [(5, True), (6, False)])
async def test_readings_that_wait_too_long_make_us_blind(seconds: int, clear: bool) -> None:
    world = World()
    await world.sight.look()
    world.clock.advance(SECOND)
    world.waiting_since = world.clock()
    world.clock.advance(seconds * SECOND)
    assert world.sight.is_clear() is clear


async def test_a_restart_counts_as_blindness_since_the_last_process_saw() -> None:
    away_since = clocks.START - timedelta(days=2)
    world = World(observed_through=away_since)
    await world.sight.look()
    assert world.blind_times() == [(away_since, clocks.START)]


@pytest.mark.parametrize("last", [None, clocks.START - sight.GAP], ids=["first ever", "handover"])
async def test_a_first_start_and_a_quick_handover_are_no_blindness(last: datetime | None) -> None:
    world = World(observed_through=last)
    await world.sight.look()
    assert (world.blind_times(), world.lists) == ([], 1)


async def test_each_look_keeps_the_one_before_for_others_to_read() -> None:
    world = World()
    await world.sight.look()
    await world.look_after(5 * SECOND)
    assert world.marked == clocks.START


@pytest.mark.parametrize(("ahead", "blind"), [(300, False), (302, True), (-302, True)])
async def test_clocks_too_far_apart_blind_us(ahead: int, blind: bool) -> None:
    world = World()
    world.ahead = ahead * SECOND - SECOND / 2
    if blind:
        with pytest.raises(errors.ClusterUnavailable, match=r"clocks .* 5m2s apart"):
            await world.sight.look()
    else:
        await world.sight.look()
    assert world.sight.seen().clock_difference == ahead * SECOND
    assert world.sight.is_clear() is not blind


async def test_a_difference_of_clocks_is_told_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    for ahead in (0, 30, 31, 0):
        world.ahead = ahead * SECOND
        await world.look_after(5 * SECOND)
    assert caplog.messages == ["clocks of API server and database"] * 2


async def test_after_two_minutes_of_blindness_nobody_knows_how_jobs_are() -> None:
    world = World()
    await world.sight.look()
    world.ahead = 600 * SECOND
    world.clock.advance(health.BLIND_AFTER)
    await world.sight.try_to_look()
    assert world.health == ["brighten test"]  # of an earlier process, at the first look
    world.clock.advance(SECOND)
    await world.sight.try_to_look()
    await world.sight.try_to_look()
    assert world.health == ["brighten test", "dim test"]
    assert world.touched == [JOB]
    world.ahead = None
    await world.sight.try_to_look()
    assert world.health == ["brighten test", "dim test", "brighten test"]


async def test_while_the_api_server_is_away_no_status_is_asked_for() -> None:
    world = World()
    await world.sight.look()
    world.away = True
    world.clock.advance(health.BLIND_AFTER + SECOND)
    await world.sight.try_to_look()
    assert world.health == ["brighten test", "dim test"]
    assert world.touched == []


async def test_if_the_store_is_away_too_the_word_is_spread_later() -> None:
    world = World()
    await world.sight.look()
    world.away = world.store_away = True
    world.clock.advance(health.BLIND_AFTER + SECOND)
    await world.sight.try_to_look()
    world.store_away = False
    await world.sight.try_to_look()
    assert world.health == ["brighten test", "dim test"]

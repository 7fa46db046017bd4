"""Electing one leader, on a clock that is moved by hand."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import election, paths
from rollcall.core import errors
from support.clocks import START, Clock
from support.fakekube import FakeKube, Object
from support.loops import play

LEASES = paths.leases("rollcall-system")
LEASE = f"{LEASES}/rollcall-operator"


@dataclass
class Time:
    """Monotonic time; sleeping moves it."""

    now: float = 1000.0
    naps: int = 0
    wake_after: int | None = None  # after so many naps the sleeper is cancelled

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps += 1
        if self.wake_after is not None and self.naps >= self.wake_after:
            raise asyncio.CancelledError


@dataclass
class Candidate:
    """One replica."""

    kube: FakeKube
    time: Time
    clock: Clock = field(default_factory=Clock)
    lost: list[float] = field(default_factory=list)
    elector: election.Elector = field(init=False)

    def __post_init__(self) -> None:
        self.elector = election.Elector(
            kube=self.kube,
            namespace="rollcall-system",
            name="rollcall-operator",
            identity="operator",
            on_lost=lambda: self.lost.append(self.time.now),
            clock=self.clock,
            monotonic=self.time,
            sleep=self.time.sleep,
        )

    async def try_for(self, naps: int) -> bool:
        """Try to acquire, but give up after so many retries."""
        self.time.naps, self.time.wake_after = 0, naps
        try:
            await self.elector.acquire()
        except asyncio.CancelledError:
            return False
        finally:
            self.time.wake_after = None
        return True


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


def spec(kube: FakeKube) -> Object:
    found: Object = kube.objects[LEASE]["spec"]
    return found


async def test_the_first_one_leads(kube: FakeKube) -> None:
    only = Candidate(kube, Time())
    assert not only.elector.is_leader
    await only.elector.acquire()
    assert only.elector.is_leader
    assert spec(kube)["holderIdentity"] == only.elector.identity
    assert spec(kube)["leaseDurationSeconds"] == 15
    assert spec(kube)["renewTime"] == "2026-03-02T12:00:00.000000Z"


async def test_two_of_the_same_name_are_told_apart(kube: FakeKube) -> None:
    first, second = Candidate(kube, Time()), Candidate(kube, Time())
    assert first.elector.identity != second.elector.identity
    assert first.elector.identity.startswith("operator_")


async def test_a_second_waits_while_the_first_renews(kube: FakeKube) -> None:
    time = Time()
    first, second = Candidate(kube, time), Candidate(kube, time)
    await first.elector.acquire()
    for _ in range(20):
        assert not await second.try_for(2)
        first.clock.advance(timedelta(seconds=4))
        await first.elector.try_once()
    assert spec(kube)["holderIdentity"] == first.elector.identity
    assert spec(kube)["leaseTransitions"] == 1


@pytest.mark.parametrize(
    "skew", [timedelta(hours=-3), timedelta(), timedelta(hours=3)], ids=["behind", "same", "ahead"]
)
async def test_a_dead_leader_is_followed_within_twenty_seconds_whatever_the_clocks(
    kube: FakeKube, skew: timedelta
) -> None:
    time = Time()
    first = Candidate(kube, time)
    await first.elector.acquire()
    second = Candidate(kube, time, Clock(START + skew))
    began = time.now
    assert await second.try_for(100)
    assert 15 <= time.now - began <= 20
    assert spec(kube)["holderIdentity"] == second.elector.identity
    assert spec(kube)["leaseTransitions"] == 2


async def test_a_released_lease_is_taken_at_once(kube: FakeKube) -> None:
    time = Time()
    first, second = Candidate(kube, time), Candidate(kube, time)
    await first.elector.acquire()
    await first.elector.release()
    assert not first.elector.is_leader
    assert await second.try_for(1)
    assert time.now == 1000.0


async def test_release_of_what_one_never_had_does_nothing(kube: FakeKube) -> None:
    time = Time()
    first, second = Candidate(kube, time), Candidate(kube, time)
    await first.elector.acquire()
    assert not await second.try_for(1)
    kube.writes()
    await second.elector.release()
    assert kube.writes() == []


async def test_a_leader_that_cannot_renew_for_ten_seconds_has_lost(kube: FakeKube) -> None:
    leader = Candidate(kube, Time())
    await leader.elector.acquire()
    for _ in range(20):
        kube.fail("GET", LEASE, errors.ClusterUnavailable("down"))
    await leader.elector.hold()
    assert leader.lost == [1010.0]
    assert not leader.elector.is_leader


async def test_a_short_outage_is_survived(kube: FakeKube) -> None:
    leader = Candidate(kube, Time())
    await leader.elector.acquire()
    for _ in range(3):
        kube.fail("GET", LEASE, errors.ClusterUnavailable("down"))
    leader.time.wake_after = 20
    with pytest.raises(asyncio.CancelledError):
        await leader.elector.hold()
    assert leader.lost == []
    assert leader.elector.is_leader


async def test_a_leader_that_stood_still_does_not_renew_but_goes(kube: FakeKube) -> None:
    leader = Candidate(kube, Time())
    await leader.elector.acquire()
    kube.writes()
    leader.time.now += 60
    await leader.elector.hold()
    assert len(leader.lost) == 1
    assert kube.writes() == []


async def test_a_leader_that_finds_another_goes_at_once(kube: FakeKube) -> None:
    leader = Candidate(kube, Time())
    await leader.elector.acquire()
    other = {**kube.objects[LEASE], "spec": {**spec(kube), "holderIdentity": "other"}}
    kube.put(LEASE, other)
    await leader.elector.hold()
    assert leader.lost == [1002.0]
    assert spec(kube)["holderIdentity"] == "other"


async def test_of_two_that_try_at_once_one_wins(kube: FakeKube) -> None:
    time = Time()
    first, second = Candidate(kube, time), Candidate(kube, time)
    kube.put(LEASE, {"metadata": {"name": "rollcall-operator"}, "spec": {"holderIdentity": ""}})
    kube.fail("PUT", LEASE, errors.Conflict("the object has been modified"))
    assert not await first.try_for(1)
    assert await second.try_for(1)
    assert not first.elector.is_leader


class Hanging(FakeKube):
    """Never answers."""

    @override
    async def get(self, path: str, **query: str | int) -> Object:
        await asyncio.Event().wait()
        raise AssertionError((path, query))


def test_a_hanging_server_counts_as_one_that_does_not_answer() -> None:
    async def scenario() -> None:
        time = asyncio.get_running_loop().time
        elector = election.Elector(
            kube=Hanging(),
            namespace="rollcall-system",
            name="rollcall-operator",
            identity="operator",
            on_lost=lambda: None,
            clock=Clock(),
            monotonic=time,
        )
        began = time()
        assert await elector.try_once() is False
        assert 5 <= time() - began < 6

    play(scenario)

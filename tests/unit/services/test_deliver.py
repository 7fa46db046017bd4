"""Delivery against an outbox in memory: told by moving the clock, nothing sleeps."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.core import errors
from rollcall.services import deliver, lanes, ports
from support import clocks, outboxes
from support.loops import play

ONE, TWO = UUID(int=1), UUID(int=2)
OK = ports.Delivery(delivered=True)
ERROR = ports.Delivery(delivered=False, error="receiver answered 500")
REFUSED = ports.Delivery(delivered=False, permanent=True, error="receiver answered 404: no_service")


def limited(seconds: int) -> ports.Delivery:
    return ports.Delivery(
        delivered=False, retry_after=timedelta(seconds=seconds), error="receiver answered 429"
    )


@dataclass
class FakeSenders:
    """Channels by name; one that is not listed does not exist."""

    channels: dict[str, list[ports.Delivery | Exception]] = field(
        default_factory=lambda: {"team": []}
    )
    broken: dict[str, errors.RollcallError] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    sent: list[tuple[str, str]] = field(default_factory=list)
    reports: list[tuple[str, bool, datetime]] = field(default_factory=list)

    async def sender(self, channel: str) -> ports.Sender | None:
        if channel in self.broken:
            raise self.broken[channel]
        return FakeSender(channel, self) if channel in self.channels else None

    def report(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        self.reports.append((channel, delivery.delivered, at))

    def keys(self, channel: str = "team") -> list[str]:
        return [key for name, key in self.sent if name == channel]


@dataclass
class FakeSender:
    channel: str
    senders: FakeSenders

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        self.senders.sent.append((self.channel, notification.key))
        if self.channel in self.senders.hanging:
            await asyncio.Event().wait()
        script = self.senders.channels[self.channel]
        answer = script.pop(0) if script else OK
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class World:
    clock: clocks.Clock
    store: outboxes.MemoryStore
    senders: FakeSenders
    outcomes: list[tuple[str, str]]
    process: deliver.Deliver

    def another_process(self) -> deliver.Deliver:
        return build(self.clock, self.store, self.senders, self.outcomes)

    async def round(self) -> None:
        await self.process.round()
        await self.process.idle()

    async def after(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.round()


def build(
    clock: clocks.Clock,
    store: outboxes.MemoryStore,
    senders: FakeSenders,
    outcomes: list[tuple[str, str]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> deliver.Deliver:
    return deliver.Deliver(
        store=store,
        senders=senders,
        clock=clock,
        cluster="test",
        holder="operator-1",
        on_outcome=lambda channel, outcome: outcomes.append((channel, outcome)),
        monotonic=lambda: clock().timestamp(),
        jitter=lambda: 1.0,
        sleep=sleep,
    )


@pytest.fixture
def world() -> World:
    clock = clocks.Clock()
    store = outboxes.MemoryStore(clock)
    senders = FakeSenders()
    outcomes: list[tuple[str, str]] = []
    return World(clock, store, senders, outcomes, build(clock, store, senders, outcomes))


async def test_a_message_is_sent_once_and_recorded(world: World) -> None:
    key = world.store.write(ONE)
    await world.round()
    await world.after(3600)
    assert world.senders.keys() == [key]
    assert world.store.row(key).status == "delivered"
    assert world.senders.reports == [("team", True, clocks.START)]
    assert world.outcomes == [("team", "delivered")]


async def test_an_error_is_tried_again_after_the_back_off_and_then_delivered(world: World) -> None:
    world.senders.channels["team"] = [ERROR]
    key = world.store.write(ONE)
    await world.round()
    assert world.store.row(key).next_at == clocks.START + timedelta(seconds=1)
    assert world.store.row(key).notification.attempts == 1
    await world.after(0.5)
    assert world.senders.keys() == [key]
    await world.after(0.5)
    assert world.senders.keys() == [key, key]
    assert world.store.row(key).status == "delivered"
    assert [outcome for _, outcome in world.outcomes] == ["retried", "delivered"]


async def test_a_receiver_that_is_down_for_an_hour_gets_the_message_within_five_minutes(
    world: World,
) -> None:
    up_at = clocks.START + timedelta(hours=1)
    key = world.store.write(ONE)
    while world.store.row(key).status == "pending":
        world.senders.channels["team"] = [] if world.clock() >= up_at else [ERROR]
        await world.after(1)
    assert world.clock() - up_at <= timedelta(minutes=5)
    assert len(world.senders.sent) < 25


async def test_a_message_that_fails_for_a_day_is_given_up_with_the_last_error(world: World) -> None:
    world.senders.channels["team"] = [ERROR]
    key = world.store.write(ONE, age=timedelta(hours=24))
    await world.round()
    assert world.store.row(key).status == "dead"
    assert world.store.row(key).error == "given up after 24h: receiver answered 500"


async def test_a_message_that_is_older_than_a_day_is_tried_once_all_the_same(world: World) -> None:
    key = world.store.write(ONE, age=timedelta(days=3))
    await world.round()
    assert world.store.row(key).status == "delivered"


async def test_a_pause_that_was_asked_for_is_kept_and_uses_up_no_try(world: World) -> None:
    world.senders.channels["team"] = [limited(120)]
    key = world.store.write(ONE)
    await world.round()
    await world.after(119)
    assert world.senders.keys() == [key]
    assert world.store.row(key).notification.attempts == 0
    await world.after(1)
    assert world.senders.keys() == [key, key]
    assert world.store.row(key).status == "delivered"
    assert [outcome for _, outcome in world.outcomes] == ["postponed", "delivered"]


async def test_a_pause_holds_for_every_message_of_the_channel_and_for_no_other_channel(
    world: World,
) -> None:
    world.senders.channels = {"team": [limited(60)], "other": []}
    first = world.store.write(ONE)
    second = world.store.write(TWO)
    elsewhere = world.store.write(TWO, channel="other")
    await world.round()
    third = world.store.write(UUID(int=3))
    await world.after(30)
    assert world.senders.sent == [("team", first), ("other", elsewhere)]
    assert world.store.row(second).notification.attempts == 0
    await world.after(30)
    assert sorted(world.senders.keys()[1:]) == sorted([first, second, third])


async def test_a_pause_survives_a_restart(world: World) -> None:
    world.senders.channels["team"] = [limited(60)]
    first, second = world.store.write(ONE), world.store.write(TWO)
    await world.round()
    successor = world.another_process()
    world.clock.advance(timedelta(seconds=59))
    await successor.round()
    await successor.idle()
    assert world.senders.keys() == [first]
    assert world.store.row(second).status == "pending"


async def test_a_channel_that_fails_rests_and_its_waiting_messages_keep_their_tries(
    world: World,
) -> None:
    world.senders.channels["team"] = [ERROR, ERROR]
    first, second, third = (world.store.write(UUID(int=number)) for number in range(3))
    await world.round()
    assert world.senders.keys() == [first]
    assert world.store.row(second).notification.attempts == 0
    await world.after(1)
    assert len(world.senders.sent) == 2
    await world.after(1)
    assert len(world.senders.sent) == 2  # the second failure in a row: two seconds
    await world.after(1)
    assert {world.store.row(key).status for key in (first, second, third)} == {"delivered"}


async def test_a_success_ends_the_row_of_failures(world: World) -> None:
    world.senders.channels["team"] = [ERROR, OK, ERROR]
    first = world.store.write(ONE)
    await world.round()
    await world.after(1)
    assert world.store.row(first).status == "delivered"
    second = world.store.write(TWO)
    await world.round()
    await world.after(1)  # not two seconds
    assert world.senders.keys() == [first, first, second, second]


async def test_a_hanging_receiver_does_not_hold_up_other_channels(world: World) -> None:
    world.senders.channels["stuck"] = []
    world.senders.hanging.add("stuck")
    world.store.write(ONE, channel="stuck")
    first = world.store.write(ONE)
    await world.process.round()
    await settled(lambda: world.store.row(first).status == "delivered")
    later = world.store.write(TWO)
    world.store.write(TWO, channel="stuck")
    await world.process.round()
    await settled(lambda: world.store.row(later).status == "delivered")
    assert world.senders.keys("stuck") == [f"{ONE}.1"]


async def test_the_resolve_message_waits_until_the_opening_one_is_delivered(world: World) -> None:
    world.senders.channels["team"] = [ERROR, ERROR]
    opened = world.store.write(ONE)
    resolved = world.store.write(ONE, version=2, kind="incident.resolved")
    for _ in range(10):
        await world.after(1)
    assert world.senders.keys() == [opened, opened, opened, resolved]


async def test_a_message_is_sent_again_when_the_process_died_between_sending_and_recording(
    world: World,
) -> None:
    key = world.store.write(ONE)
    await world.process.round()
    world.store.down = True  # what is sent now cannot be recorded
    await world.process.idle()
    assert world.senders.keys() == [key]
    world.store.down = False
    successor = world.another_process()  # knows nothing of it
    world.clock.advance(timedelta(seconds=59))
    await successor.round()
    assert world.senders.keys() == [key]
    world.clock.advance(timedelta(seconds=1))
    await successor.round()
    await successor.idle()
    assert world.senders.keys() == [key, key]
    assert world.store.row(key).status == "delivered"


async def test_what_was_sent_while_postgres_went_away_is_recorded_later_and_not_sent_again(
    world: World,
) -> None:
    key = world.store.write(ONE)
    await world.process.round()
    world.store.down = True
    await world.process.idle()
    world.clock.advance(timedelta(minutes=10))
    with pytest.raises(errors.StoreUnavailable):
        await world.process.round()
    world.store.down = False
    await world.round()
    assert world.store.row(key).status == "delivered"
    assert world.senders.keys() == [key]


async def test_nothing_more_is_sent_while_an_outcome_waits_to_be_recorded(world: World) -> None:
    first, second = world.store.write(ONE), world.store.write(TWO)
    await world.process.round()
    world.store.down = True
    await world.process.idle()
    assert world.senders.keys() == [first]
    world.store.down = False
    await world.after(60)
    assert world.senders.keys() == [first, second]


async def test_a_commit_that_failed_is_repeated(world: World) -> None:
    key = world.store.write(ONE)
    await world.process.round()
    world.store.fail_commits = 1
    await world.process.idle()
    assert world.store.row(key).status == "pending"
    await world.round()
    assert world.store.row(key).status == "delivered"
    assert world.senders.keys() == [key]


async def test_the_loop_outlives_an_outage_of_postgres(world: World) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        world.store.down = len(waits) < 8
        await asyncio.sleep(0)

    patient = build(world.clock, world.store, world.senders, world.outcomes, sleep)
    world.store.down = True
    key = world.store.write(ONE)
    task = asyncio.create_task(patient.run())
    await settled(lambda: world.store.row(key).status == "delivered")
    await cancelled(task)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert world.senders.keys() == [key]


async def test_an_outcome_that_cannot_be_recorded_by_mistake_stops_no_channel(
    world: World,
) -> None:
    key = world.store.write(ONE)
    await world.process.round()
    world.store.mistake = ValueError("a value that the driver refuses")
    await world.process.idle()
    assert world.store.row(key).status == "pending"
    other = world.store.write(TWO)
    await world.round()
    assert world.store.row(other).status == "delivered"
    await world.after(60)  # the lease
    assert world.senders.keys() == [key, other, key]


async def test_the_loop_outlives_a_mistake(world: World) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    patient = build(world.clock, world.store, world.senders, world.outcomes, sleep)
    world.store.mistake = ValueError("a mistake")
    key = world.store.write(ONE)
    task = asyncio.create_task(patient.run())
    await settled(lambda: world.store.row(key).status == "delivered")
    await cancelled(task)
    assert waits == [1]


async def test_a_permanent_refusal_is_dead_at_once_and_the_next_message_is_tried(
    world: World,
) -> None:
    world.senders.channels["team"] = [REFUSED]
    first, second = world.store.write(ONE), world.store.write(TWO)
    await world.round()
    assert world.store.row(first).status == "dead"
    assert world.store.row(first).error == "receiver answered 404: no_service"
    assert world.store.row(second).status == "delivered"
    assert world.outcomes == [("team", "dead"), ("team", "delivered")]
    assert world.store.row(first).is_loss


async def test_a_message_to_a_deleted_channel_is_dead(world: World) -> None:
    key = world.store.write(ONE, channel="deleted")
    await world.round()
    assert (world.store.row(key, "deleted").status, world.store.row(key, "deleted").error) == (
        "dead",
        "ChannelGone",
    )
    assert not world.store.row(key, "deleted").is_loss


async def test_a_message_to_a_suspended_channel_is_dead_and_nothing_is_sent(world: World) -> None:
    world.senders.broken["team"] = errors.InvalidSpec(deliver.SUSPENDED, "team is suspended")
    key = world.store.write(ONE)
    await world.round()
    assert (world.store.row(key).status, world.store.row(key).error) == ("dead", "Suspended")
    assert not world.store.row(key).is_loss
    assert world.senders.sent == []


@pytest.mark.parametrize(
    ("problem", "wait"),
    [
        pytest.param(errors.InvalidSpec("SecretNotFound", "no Secret x"), 30, id="secret-missing"),
        pytest.param(errors.ClusterUnavailable("no answer"), 5, id="api-server-away"),
    ],
)
async def test_a_channel_that_cannot_be_built_now_is_tried_again_without_counting(
    world: World, problem: errors.RollcallError, wait: int
) -> None:
    world.senders.broken["team"] = problem
    key = world.store.write(ONE)
    await world.round()
    await world.after(wait)
    assert world.store.row(key).notification.attempts == 0
    world.senders.broken.clear()
    await world.after(wait)
    assert world.store.row(key).status == "delivered"
    assert world.senders.keys() == [key]


async def test_a_channel_that_stays_broken_for_a_day_gives_up(world: World) -> None:
    world.senders.broken["team"] = errors.InvalidSpec("SecretNotFound", "no Secret x")
    key = world.store.write(ONE, age=timedelta(hours=24))
    await world.round()
    assert world.store.row(key).error == "given up after 24h: SecretNotFound: no Secret x"
    assert world.store.row(key).status == "dead"


async def test_a_mistake_in_a_channel_costs_a_try_and_stops_nothing(world: World) -> None:
    world.senders.channels["team"] = [KeyError("incident")]
    first, second = world.store.write(ONE), world.store.write(TWO)
    await world.round()
    assert world.store.row(first).error == "internal error: KeyError"
    await world.after(1)
    assert world.store.row(first).status == world.store.row(second).status == "delivered"


async def test_a_row_whose_lease_is_half_over_is_left_to_the_next_claim(world: World) -> None:
    key = world.store.write(ONE)
    await world.process.round()
    world.clock.advance(timedelta(seconds=31))  # before its lane came to it
    await world.process.idle()
    assert world.senders.sent == []
    await world.after(29)
    assert world.senders.keys() == [key]


async def test_more_than_one_batch_is_drained_without_waiting(world: World) -> None:
    keys = [world.store.write(UUID(int=number)) for number in range(120)]
    assert await world.process.round() is True
    await world.process.idle()
    assert await world.process.round() is True
    await world.process.idle()
    assert await world.process.round() is False
    await world.process.idle()
    assert sorted(world.senders.keys()) == sorted(keys)


async def test_messages_of_another_cluster_are_left_alone(world: World) -> None:
    world.store.write(ONE, cluster="another")
    await world.round()
    assert world.senders.sent == []


async def test_a_nul_in_an_error_does_not_reach_the_database(world: World) -> None:
    world.senders.channels["team"] = [
        ports.Delivery(delivered=False, permanent=True, error="a\0b" + "x" * 5000)
    ]
    key = world.store.write(ONE)
    await world.round()
    error = world.store.row(key).error
    assert error is not None
    assert error.startswith("abxxx")
    assert len(error) == lanes.LONGEST_ERROR


async def test_wake_makes_the_loop_look_at_once(world: World) -> None:
    task = asyncio.create_task(world.process.run())
    await settled(lambda: world.store.claims == 1)
    key = world.store.write(ONE)
    world.process.wake()
    await settled(lambda: world.store.row(key).status == "delivered")
    await cancelled(task)


async def test_stopping_lets_a_message_under_way_be_recorded(world: World) -> None:
    gate = asyncio.Event()

    class Slow(FakeSenders):
        @override
        async def sender(self, channel: str) -> ports.Sender | None:
            await gate.wait()
            return await super().sender(channel)

    senders = Slow()
    slow = build(world.clock, world.store, senders, world.outcomes)
    first, second = world.store.write(ONE), world.store.write(TWO)
    task = asyncio.create_task(slow.run())
    await settled(lambda: world.store.claims == 1)
    task.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.store.row(first).status == "delivered"
    assert world.store.row(second).status == "pending"
    assert senders.keys() == [first]


async def test_stopping_does_not_wait_for_a_hanging_receiver(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "GRACE", timedelta())
    world.senders.hanging.add("team")
    key = world.store.write(ONE)
    task = asyncio.create_task(world.process.run())
    await settled(lambda: world.senders.keys() == [key])
    await cancelled(task)
    assert world.store.row(key).status == "pending"
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        pytest.param(1, 1, id="first"),
        pytest.param(2, 2, id="second"),
        pytest.param(9, 256, id="ninth"),
        pytest.param(10, 300, id="capped"),
        pytest.param(100_000, 300, id="no-overflow"),
    ],
)
def test_the_back_off_doubles_up_to_five_minutes(failures: int, seconds: int) -> None:
    assert lanes.backoff(failures, 1.0) == timedelta(seconds=seconds)
    assert lanes.backoff(failures, 0.25) == timedelta(seconds=seconds / 4)


async def settled(holds: Callable[[], bool]) -> None:
    """Let the other tasks run until it holds."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


async def cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_outbox_that_stays_empty_is_looked_at_less_often_until_somebody_writes() -> None:
    async def scenario() -> None:
        clock = clocks.Clock()
        store = outboxes.MemoryStore(clock)
        process = build(clock, store, FakeSenders(), [])
        task = asyncio.create_task(process.run())
        counts = []
        for step in range(4):
            if step == 3:
                process.wake()
            store.claims = 0
            for _ in range(50):
                clock.advance(timedelta(seconds=1))
                await asyncio.sleep(1)
            counts.append(store.claims)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert counts[0] == counts[3] == pytest.approx(50, abs=2)
        assert counts[2] == pytest.approx(10, abs=2)

    play(scenario)

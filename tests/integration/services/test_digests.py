"""Storms: many messages at once are told as one, and none is lost."""

import itertools
import random
from datetime import timedelta

import pytest

from rollcall.core import pacing
from rollcall.core.policies import Severity
from rollcall.services import deliver, dispatch, lanes, ports
from rollcall.store import engine
from support import bursts, clocks

REFUSED = ports.Delivery(delivered=False, permanent=True, error="receiver answered 404")


@pytest.fixture
def storm(store: engine.Database, clock: clocks.Clock) -> bursts.Storm:
    return bursts.Storm(store, clock)


def names(count: int, prefix: str = "job") -> list[str]:
    return [f"{prefix}-{number:04}" for number in range(count)]


async def test_a_handful_is_told_one_by_one(storm: bursts.Storm) -> None:
    await storm.fails(*names(5))
    await storm.round()
    assert storm.told() == [[name] for name in names(5)]


async def test_more_than_a_handful_is_told_as_one(storm: bursts.Storm) -> None:
    await storm.fails(*names(6))
    await storm.round()
    assert storm.types == ["digest"]
    assert storm.told() == [names(6)]
    rows = await storm.rows()
    assert {row["status"] for row in rows} == {"delivered"}
    assert {row["digest_id"] for row in rows} == {rows[0]["id"]}


async def test_a_thousand_that_fail_in_a_minute_are_ten_messages_at_most(
    storm: bursts.Storm,
) -> None:
    every = names(1000)
    for second in range(60):
        await storm.fails(*every[second * 1000 // 60 : (second + 1) * 1000 // 60])
        await storm.passes(1)
    await storm.passes(240, step=5)
    assert len(storm.receiver.got) <= 10
    assert sorted(itertools.chain(*storm.told())) == every


async def test_a_trickle_is_a_storm_as_well(storm: bursts.Storm) -> None:
    every = names(60)
    for first in range(0, 60, 3):
        await storm.fails(*every[first : first + 3])
        await storm.passes(1)
    await storm.passes(120)
    assert len(storm.receiver.got) <= 10
    assert sorted(itertools.chain(*storm.told())) == every


async def test_each_of_several_channels_is_told_of_all_once(
    store: engine.Database, clock: clocks.Clock
) -> None:
    storm = bursts.Storm(store, clock, others=["pager", "desk"])
    await storm.fails(*names(8))
    await storm.round()
    await storm.recovers(*names(8))
    await storm.passes(120)
    for channel, receiver in storm.receivers.items():
        first, second = storm.told(channel)
        assert sorted(first) == names(8)
        assert sorted(second) == names(8)
        assert [one.type for _, one in receiver.got] == ["digest", "digest"]
        assert {one.channel for _, one in receiver.got} == {channel}
    assert {row["status"] for row in await storm.rows()} == {"delivered"}


async def test_what_comes_after_a_digest_waits_for_the_next_one(storm: bursts.Storm) -> None:
    await storm.fails(*names(6))
    await storm.round()
    await storm.fails("late")
    await storm.passes(59)
    (*_, row) = await storm.rows()
    assert (row["status"], row["waited_for"]) == ("pending", "Storm")
    await storm.passes(2)
    assert storm.told()[1:] == [["late"]]
    assert storm.types == ["digest", "incident.opened"]


async def test_a_digest_tells_of_each_incident_as_it_stands_last(storm: bursts.Storm) -> None:
    await storm.fails(*names(6))
    await storm.recovers("job-0001")
    await storm.fails("job-0002", severity=Severity.CRITICAL)
    await storm.round()
    ((_, message),) = storm.receiver.got
    states = {item["cronjob"]["name"]: item["type"] for item in bursts.items(message)}
    assert states["job-0001"] == "incident.resolved"
    assert states["job-0002"] == "incident.opened"
    raised = bursts.items(message)[2]["incident"]
    assert raised["severity"] == "critical"
    assert {row["status"] for row in await storm.rows()} == {"delivered"}


async def test_a_killed_process_leaves_the_same_digest_with_the_same_key(
    storm: bursts.Storm,
) -> None:
    await storm.fails(*names(6))
    claimed = await _claim_and_die(storm)
    await storm.fails("job-0001", severity=Severity.CRITICAL)
    await storm.fails(*names(7, "other"))
    storm.restart()
    await storm.passes(deliver.LEASE.total_seconds() + 61)
    (_, first), *_ = [one for one in storm.receiver.got if "job-0000" in names_in(one[1])]
    assert (first.key, first.payload) == (claimed.key, claimed.payload)
    told = list(itertools.chain(*storm.told()))
    assert sorted(set(told)) == sorted([*names(6), *names(7, "other")])
    assert told.count("job-0001") == 2  # once in the digest, once more when it got worse


async def test_a_digest_that_is_due_behind_a_full_claim_goes_with_it(storm: bursts.Storm) -> None:
    await storm.fails(*names(6))
    claimed = await _claim_and_die(storm)
    storm.clock.advance(deliver.LEASE - timedelta(seconds=2))
    await storm.fails(*names(deliver.BATCH + 10, "other"))
    storm.restart()
    storm.clock.advance(timedelta(seconds=3))
    await storm.process.round()
    await storm.process.idle()
    assert [one.key for _, one in storm.receiver.got] == [claimed.key]


def names_in(message: ports.Notification) -> list[str]:
    return [item["cronjob"]["name"] for item in bursts.items(message)]


async def _claim_and_die(storm: bursts.Storm) -> ports.Notification:
    """Do what a process does that dies between the commit of its claim and the send."""
    async with storm.store.transaction() as unit:
        claimed = await unit.outbox.claim("dead", 50, deliver.LEASE, cluster="test")
        claim = dispatch.Claim(holder="dead", lease=deliver.LEASE, is_full=False)
        going = await storm.dispatch.choose(unit, claimed, claim, lambda _: lanes.State.WELL)
    (message,) = going
    return message


async def test_a_digest_that_is_refused_is_given_up_with_all_that_it_told(
    storm: bursts.Storm,
) -> None:
    storm.receiver.answers = [REFUSED]
    await storm.fails(*names(6))
    await storm.round()
    assert {(row["status"], row["last_error"]) for row in await storm.rows()} == {
        ("dead", "receiver answered 404")
    }


async def test_after_an_outage_of_the_receiver_all_is_told_in_few_messages(
    storm: bursts.Storm,
) -> None:
    storm.receiver.answers = [bursts.DOWN] * 12
    for number, name in enumerate(names(120)):
        await storm.fails(name)
        await storm.passes(10 if number % 2 else 1, step=5)
    tries = len(storm.receiver.got)
    storm.receiver.got.clear()
    storm.receiver.answers.clear()
    await storm.passes(600, step=5)
    assert tries <= 12 + 12
    assert {row["status"] for row in await storm.rows()} == {"delivered"}
    assert len(storm.receiver.got) <= 6


async def test_a_late_word_about_one_message_does_not_settle_the_digest_it_went_into(
    storm: bursts.Storm,
) -> None:
    await storm.fails("job-0000")
    async with storm.store.transaction() as unit:
        (slow,) = await unit.outbox.claim("slow", 50, deliver.LEASE, cluster="test")
    storm.clock.advance(deliver.LEASE)
    await storm.fails(*names(7)[1:])
    await _claim_and_die(storm)
    async with storm.store.transaction() as unit:
        await unit.outbox.settle([ports.Outcome(notification=slow, delivered=True)])
    assert {row["status"] for row in await storm.rows()} == {"pending"}


async def test_a_channel_of_incidents_by_key_is_told_one_by_one(
    store: engine.Database, clock: clocks.Clock
) -> None:
    storm = bursts.Storm(store, clock, pace=pacing.read("pagerDuty", {}))
    await storm.fails(*names(100))
    await storm.passes(10)
    assert storm.types == ["incident.opened"] * 90
    waiting = [row for row in await storm.rows() if row["status"] == "pending"]
    assert {row["waited_for"] for row in waiting} == {"RateLimit"}
    await storm.passes(60)
    assert storm.told() == [[name] for name in names(100)]


async def test_a_restart_does_not_double_the_rate(
    store: engine.Database, clock: clocks.Clock
) -> None:
    spec = {"rateLimit": {"messages": 3, "per": "1m"}}
    storm = bursts.Storm(store, clock, pace=pacing.read("pagerDuty", spec))
    await storm.fails(*names(9))
    await storm.passes(5)
    storm.restart()
    await storm.passes(50)
    assert len(storm.receiver.got) == 3
    await storm.passes(180)
    sent = [at for at, _ in storm.receiver.got]
    assert len(sent) == 9
    assert all(later - sent[n] >= timedelta(minutes=1) for n, later in enumerate(sent[3:]))


async def test_what_is_over_the_rate_limit_is_told_as_one(
    store: engine.Database, clock: clocks.Clock
) -> None:
    storm = bursts.Storm(
        store, clock, pace=pacing.read("slack", {"rateLimit": {"messages": 1, "per": "5m"}})
    )
    await storm.fails("first")
    await storm.round()
    for name in ("second", "third"):
        await storm.fails(name)
        await storm.passes(20)
    await storm.passes(300, step=5)
    assert storm.told() == [["first"], ["second", "third"]]


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_the_last_word_of_each_incident_is_its_true_state(
    storm: bursts.Storm, seed: int
) -> None:
    dice = random.Random(seed)
    every = names(12)
    for _ in range(40):
        name = dice.choice(every)
        if name in storm.open and dice.random() < 0.5:
            await storm.recovers(name)
        else:
            await storm.fails(
                name, severity=dice.choice(list(Severity)), reason=f"R{dice.random()}"
            )
        storm.receiver.answers = [bursts.DOWN] if dice.random() < 0.3 else []
        if dice.random() < 0.2:
            storm.restart()
        await storm.passes(dice.choice([0, 1, 15]), step=5)
    storm.receiver.answers = []
    await storm.passes(700, step=5)
    last = {}
    for _, message in storm.receiver.got:
        for item in bursts.items(message):
            last[item["incident"]["id"]] = item["incident"]["status"]
    still_open = {str(one.id) for one in storm.open.values()}
    assert {one for one, status in last.items() if status == "open"} == still_open
    assert {row["status"] for row in await storm.rows()} == {"delivered"}

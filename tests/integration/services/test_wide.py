"""One cause of many jobs' problems: told once, and the jobs' own kept beside it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rollcall.core import acts, incidents, policies
from rollcall.core.executions import Attempt, Status
from rollcall.core.policies import Kind
from rollcall.services import acts as act_services
from rollcall.services import alerts, silences, sweep
from rollcall.store import engine
from support import builders, clocks
from support.fleets import Fleet
from support.stories import DAY, HOUR, MINUTE, SECOND, SLOT_AT, Story

LATE_AT = SLOT_AT + 5 * MINUTE
OPENED = ("incident.opened", "missed_widely", "critical")
RESOLVED = ("incident.resolved", "missed_widely", "critical")


@pytest.fixture
async def fleet(store: engine.Database, clock: clocks.Clock) -> Fleet:
    return Fleet(Story(store, clock))


async def late(fleet: Fleet, count: int) -> None:
    """Let so many jobs be late at once."""
    await fleet.begin(count, deadline=DAY)
    await fleet.sweep(SLOT_AT - MINUTE)
    await fleet.sweep(SLOT_AT)
    await fleet.sweep(LATE_AT)


async def run(
    fleet: Fleet,
    numbers: range,
    status: Status | None = Status.SUCCEEDED,
    pods: Sequence[Attempt] = (),
) -> None:
    """Let these jobs run their slot."""
    seen = [
        replace(
            fleet.story.job_of(SLOT_AT, status),
            tracked_uid=fleet.jobs[number].uid,
            namespace=fleet.jobs[number].namespace,
            job_uid=f"run-{number}",
            job_name=f"job-{number:04}-1",
        )
        for number in numbers
    ]
    await fleet.see(seen, pods)


async def test_many_jobs_that_are_late_at_once_are_one_message(fleet: Fleet) -> None:
    await late(fleet, 40)
    [payload] = [one for one in await fleet.payloads() if one["cronjob"] is None]
    assert await fleet.story.messages() == [OPENED]
    assert payload["incident"]["evidence"]["total"] == 40
    assert payload["jobs"][0] == {"namespace": "shop", "name": "job-0000"}
    assert len(payload["jobs"]) == 20
    await fleet.sweep(LATE_AT + 5 * SECOND)
    own = await fleet.of_job(7)
    assert own[Kind.LATE].inhibited_by is Kind.MISSED_WIDELY
    assert own[Kind.LATE].announced_at is None


async def test_a_few_are_told_one_by_one_as_soon_as_all_were_looked_at(fleet: Fleet) -> None:
    await late(fleet, 9)
    assert await fleet.story.messages() == [("incident.opened", "late", "warning")] * 9
    assert await fleet.of_cluster() == {}


async def test_few_among_many_that_ran_are_no_cause(fleet: Fleet) -> None:
    await fleet.begin(60, deadline=DAY)
    await fleet.sweep(SLOT_AT)
    fleet.story.clock.set(SLOT_AT + MINUTE)
    await run(fleet, range(49))
    await fleet.sweep(LATE_AT)
    assert await fleet.story.messages() == [("incident.opened", "late", "warning")] * 11


async def test_one_alone_never_waits(fleet: Fleet) -> None:
    await fleet.begin(1, deadline=DAY)
    await fleet.sweep(SLOT_AT)
    fleet.story.clock.set(LATE_AT)
    await fleet.story.evaluator.evaluate(fleet.jobs[0].id)
    assert await fleet.story.messages() == [("incident.opened", "late", "warning")]


async def test_what_waits_is_due_by_itself_should_nobody_come_to_let_it_go(fleet: Fleet) -> None:
    await fleet.begin(3, deadline=DAY)
    await fleet.sweep(SLOT_AT)
    fleet.story.clock.set(LATE_AT)
    fleet.wide.expect(3)
    for job in fleet.jobs:
        await fleet.story.evaluator.evaluate(job.id)
    assert await fleet.story.messages() == []  # and here it died
    fleet.story.clock.advance(10 * SECOND)
    assert await fleet.story.messages() == [("incident.opened", "late", "warning")] * 3


async def test_when_the_cause_is_over_it_is_told_and_so_is_what_lasts(fleet: Fleet) -> None:
    await late(fleet, 30)
    assert await fleet.story.messages() == [OPENED]
    fleet.story.clock.set(LATE_AT + MINUTE)
    await run(fleet, range(20))
    await fleet.sweep(LATE_AT + MINUTE)
    assert await fleet.story.messages() == []  # ten remain
    fleet.story.clock.set(LATE_AT + 2 * MINUTE)
    await run(fleet, range(20, 27))
    await fleet.sweep(LATE_AT + 2 * MINUTE)
    await fleet.sweep(LATE_AT + 2 * MINUTE + SECOND)
    assert await fleet.story.messages() == [
        RESOLVED,
        *[("incident.opened", "late", "warning")] * 3,
    ]


async def test_a_job_of_another_channel_that_joins_later_is_told_there(fleet: Fleet) -> None:
    await late(fleet, 12)
    assert await fleet.story.messages() == [OPENED]
    fleet.story.channels.names = ("team", "others")
    await fleet.sweep(LATE_AT + 5 * SECOND)
    assert await fleet.story.messages() == [OPENED]


async def test_one_registry_whose_images_are_not_pulled_is_the_cause(fleet: Fleet) -> None:
    await fleet.begin(12, deadline=DAY)
    await fleet.sweep(SLOT_AT)
    fleet.story.clock.set(SLOT_AT + 10 * SECOND)
    pods = [
        builders.attempt(
            f"pod-{number}",
            job_uid=f"run-{number}",
            waiting_reason="ImagePullBackOff",
            waiting_message='Back-off pulling image "registry.example.com/shop/a:1"',
        )
        for number in range(12)
    ]
    await run(fleet, range(12), None, pods)
    await fleet.sweep(LATE_AT)
    assert await fleet.story.messages() == [("incident.opened", "cannot_pull", "critical")]
    [one] = (await fleet.of_cluster()).values()
    assert one.evidence["registries"] == ["registry.example.com"]
    await fleet.sweep(LATE_AT + 5 * SECOND)
    own = await fleet.of_job(3)
    assert own[Kind.CANNOT_START].inhibited_by is Kind.CANNOT_PULL


async def test_somebody_can_acknowledge_silence_and_resolve_it(fleet: Fleet) -> None:
    await late(fleet, 20)
    await fleet.story.messages()
    [one] = (await fleet.of_cluster()).values()
    assert await act(fleet, one, acts.Act.ACKNOWLEDGE) == [
        ("incident.acknowledged", "missed_widely", "critical")
    ]
    assert await act(fleet, one, acts.Act.RESOLVE) == [RESOLVED]
    await fleet.sweep(fleet.story.clock() + SECOND)
    told = await fleet.story.messages()
    assert told == [("incident.opened", "late", "warning")] * 20
    await fleet.sweep(fleet.story.clock() + MINUTE)
    assert await fleet.story.messages() == []  # it stays dismissed


async def act(fleet: Fleet, of: incidents.Incident, wanted: acts.Act) -> list[tuple[str, str, str]]:
    desk = act_services.Desk(cluster=builders.CLUSTER, defaults=policies.defaults())
    wish = acts.Wish(act=wanted, actor="ada", reason="the registry moves")
    await fleet.story.store.run(lambda unit: desk.carry_out(unit, of.id, wish))
    return await fleet.story.messages()


async def silence(fleet: Fleet, **chosen: object) -> None:
    wish = silences.Wish(
        chosen=chosen, ends_at=SLOT_AT + 2 * HOUR, author="ada", reason="the database moves"
    )
    await fleet.story.store.run(lambda unit: silences.add(unit, builders.CLUSTER, wish))


async def test_a_silence_of_its_kind_keeps_it_quiet_and_one_of_jobs_does_not(fleet: Fleet) -> None:
    fleet.story.clock.set(SLOT_AT - HOUR)
    await silence(fleet, namespace="shop", kinds=["late"])
    await late(fleet, 20)
    assert await fleet.story.messages() == [OPENED]
    await silence(fleet, kinds=["missed_widely"])
    await fleet.sweep(LATE_AT + 10 * SECOND)
    [one] = (await fleet.of_cluster()).values()
    assert one.silenced_by


async def test_it_is_listed_and_shown_with_its_messages(fleet: Fleet) -> None:
    await late(fleet, 20)
    await fleet.story.messages()
    async with fleet.story.store.transaction() as unit:
        choice = alerts.Choice(cluster=builders.CLUSTER, kinds=frozenset({Kind.MISSED_WIDELY}))
        page = await unit.alerts.page(choice, limit=5)
        [item] = page.items
        whole = await unit.alerts.find(builders.CLUSTER, item.incident.id)
        elsewhere = await unit.alerts.find("elsewhere", item.incident.id)
        of_shop = await unit.alerts.page(replace(choice, namespace="shop"), limit=5)
        numbers = await unit.alert_numbers.of(choice)
    assert (item.namespace, item.cronjob, item.policy) == (None, None, None)
    assert whole
    assert [one.status for one in whole.sent] == ["delivered"]
    assert elsewhere is None
    assert of_shop.items == []
    assert [(one.kind, one.told) for one in numbers.kinds] == [(Kind.MISSED_WIDELY, 1)]


async def test_two_leaders_open_it_once(fleet: Fleet) -> None:
    await fleet.begin(20, deadline=DAY)
    other = Fleet(fleet.story)
    await fleet.sweep(SLOT_AT)
    await fleet.sweep(LATE_AT)
    other.jobs = fleet.jobs
    await other.sweep(LATE_AT)
    assert await fleet.story.messages() == [OPENED]
    assert len(await fleet.of_cluster()) == 1


async def test_more_than_a_sweep_takes_are_one_message_too(fleet: Fleet) -> None:
    count = 2 * sweep.AT_ONCE + 10
    await late(fleet, count)
    assert await fleet.story.messages() == [OPENED]
    [one] = (await fleet.of_cluster()).values()
    assert one.evidence["total"] == count
    await fleet.sweep(LATE_AT + 5 * SECOND)
    assert await fleet.story.messages() == []


async def test_the_cluster_is_blind_once_for_as_long_as_it_is_not_seen(fleet: Fleet) -> None:
    fleet.is_seen = False
    await fleet.begin(2, deadline=DAY)
    await fleet.sweep(SLOT_AT - 10 * MINUTE)
    fleet.story.cluster.away = True
    await fleet.go_on(SLOT_AT - 4 * MINUTE)
    assert await fleet.story.messages() == [("incident.opened", "blind", "critical")]
    await fleet.go_on(SLOT_AT + 4 * MINUTE)
    assert await fleet.story.messages() == []
    fleet.story.cluster.away = False
    await fleet.sweep(SLOT_AT + 5 * MINUTE)
    [payload] = await fleet.payloads()
    assert await fleet.story.messages() == [("incident.resolved", "blind", "critical")]
    message = payload["incident"]["message"]
    assert "could not see the cluster for 15m" in message
    assert "slots of 2 jobs fell due" in message
    assert await fleet.of_cluster() == {}


async def test_after_it_nothing_false_is_told_and_what_is_true_is(fleet: Fleet) -> None:
    """A12: the slot ran in one of two jobs while nobody looked."""
    fleet.is_seen = False
    await fleet.begin(2, deadline=DAY)
    await fleet.sweep(SLOT_AT - MINUTE)
    fleet.story.cluster.away = True
    await fleet.sweep(SLOT_AT + 3 * MINUTE)
    fleet.story.cluster.away = False
    back = SLOT_AT + 8 * MINUTE
    fleet.story.clock.set(back)
    await run(fleet, range(1), Status.FAILED)
    await fleet.sweep(back)
    told = await fleet.story.messages()
    assert told[0] == ("incident.opened", "blind", "critical")
    assert sorted(told[1:]) == [
        ("incident.opened", "failing", "warning"),
        ("incident.resolved", "blind", "critical"),
    ]
    await fleet.go_on(SLOT_AT + 15 * MINUTE)
    assert await fleet.story.messages() == [("incident.opened", "late", "warning")]


async def test_blindness_in_which_nobody_could_speak_is_told_afterwards(fleet: Fleet) -> None:
    fleet.is_seen = False
    await fleet.begin(1)
    await fleet.sweep(SLOT_AT - MINUTE)
    await fleet.sweep(SLOT_AT - 50 * SECOND)
    fleet.story.clock.set(SLOT_AT + 20 * MINUTE)  # Postgres, or all of us, stood still
    await fleet.sight.try_to_look()
    await fleet.sweeper.sweep()
    [payload] = [one for one in await fleet.payloads() if one["cronjob"] is None]
    assert "could not see the cluster for 20m50s" in payload["incident"]["message"]
    told = await fleet.story.messages()
    assert ("incident.opened", "blind", "critical") in told
    await fleet.sweep(SLOT_AT + 20 * MINUTE + 5 * SECOND)
    assert ("incident.resolved", "blind", "critical") in await fleet.story.messages()
    await fleet.sweep(SLOT_AT + 21 * MINUTE)
    assert not [one for one in await fleet.story.messages() if one[1] == "blind"]

"""What people do about a job's incidents between looks, and what channels hear of it."""

import asyncio
from uuid import UUID

import pytest

from rollcall.core import acts, errors, incidents, policies
from rollcall.core.acts import Act
from rollcall.services import acts as services
from rollcall.store import housekeeping
from support import builders
from support.stories import DAY, HOUR, MINUTE, SECOND, SLOT_AT, Story

FAILING = policies.Kind.FAILING
# Nothing but `failing`, and no rise: what is told is told because of acts.
OFF = {"enabled": False}
POLICY = {
    "rules": {"failing": {"warning": 1, "critical": 99}, "stale": OFF, "missed": OFF, "late": OFF},
    "alerts": {"cooldown": "2h"},
}
DESK = services.Desk(cluster=builders.CLUSTER, defaults=policies.defaults())


async def act(story: Story, verb: Act, incident_id: UUID | None = None) -> incidents.Incident:
    one = incident_id or (await story.open())[FAILING].id
    wish = acts.Wish(act=verb, actor="ada", reason="seen")
    return await story.store.run(lambda unit: DESK.carry_out(unit, one, wish))


async def types(story: Story) -> list[str]:
    return [kind.removeprefix("incident.") for kind, _, _ in await story.messages()]


@pytest.fixture
async def failing(story: Story) -> Story:
    """Tell the beginning: one run failed, and channels heard of it."""
    await story.begin(POLICY)
    await story.fails(0)
    assert await types(story) == ["opened"]
    return story


async def test_after_an_acknowledgement_nobody_is_reminded_until_it_is_over(
    failing: Story,
) -> None:
    await act(failing, Act.ACKNOWLEDGE)
    assert await types(failing) == ["acknowledged"]
    await failing.fails(1)
    await failing.fails(2)
    await failing.fails(3)
    assert await types(failing) == []
    assert (await failing.open())[FAILING].suppressed == 3
    await failing.succeeds(4)
    assert await types(failing) == ["resolved"]


async def test_when_nobody_looks_after_it_any_more_the_overdue_reminder_comes(
    failing: Story,
) -> None:
    await act(failing, Act.ACKNOWLEDGE)
    failing.clock.set(SLOT_AT + 3 * HOUR)
    await act(failing, Act.UNACKNOWLEDGE)
    assert await failing.again_at() <= failing.clock()
    await failing.look(SLOT_AT + 3 * HOUR)
    assert await types(failing) == ["acknowledged", "unacknowledged", "reminder"]


async def test_a_reminder_that_is_kept_back_makes_nobody_look_all_the_time(failing: Story) -> None:
    await act(failing, Act.ACKNOWLEDGE)
    await failing.look(SLOT_AT + 3 * HOUR + 10 * SECOND)
    assert await failing.again_at() > failing.clock()


async def test_what_is_asked_for_is_told_at_the_next_look_and_once(failing: Story) -> None:
    await act(failing, Act.RESEND)
    assert await failing.again_at() <= failing.clock()
    await failing.look(SLOT_AT + 2 * MINUTE)
    await failing.look(SLOT_AT + 3 * MINUTE)
    assert await types(failing) == ["reminder"]


async def test_what_waits_for_more_successes_is_told_when_that_is_due_and_costs_one_look(
    story: Story,
) -> None:
    await story.begin(POLICY | {"alerts": {"cooldown": "90m", "recoveryThreshold": 2}})
    await story.fails(0)
    await story.succeeds(1)
    await story.look(SLOT_AT + 91 * MINUTE)
    assert await story.again_at() > story.clock()
    await act(story, Act.RESEND)
    await story.look(SLOT_AT + 92 * MINUTE)
    assert await types(story) == ["opened", "reminder", "reminder"]


async def test_what_is_resolved_by_hand_explains_nothing_any_more(story: Story) -> None:
    rules = POLICY["rules"] | {"stale": {"critical": "90m"}}
    await story.begin(POLICY | {"rules": rules})
    await story.fails(0)
    await story.fails(1)
    await story.look(SLOT_AT + 100 * MINUTE)
    assert (await story.open())[policies.Kind.STALE].inhibited_by is FAILING
    await act(story, Act.RESOLVE)
    await story.look(SLOT_AT + 101 * MINUTE)
    assert (await story.open()).keys() == {policies.Kind.STALE}
    told = [(what, kind) for what, kind, _ in await story.messages() if kind == "stale"]
    assert told == [("incident.opened", "stale")]


async def test_what_is_resolved_by_hand_stays_so_until_it_happens_again(failing: Story) -> None:
    ended = await act(failing, Act.RESOLVE)
    assert await types(failing) == ["resolved"]
    await failing.look(SLOT_AT + 2 * MINUTE)
    assert await failing.open() == {}
    assert (await failing.row()).state.health == "Healthy"
    await failing.fails(1)
    assert await types(failing) == ["opened"]
    assert (await failing.open())[FAILING].id != ended.id
    await failing.succeeds(2)
    assert await types(failing) == ["resolved"]
    await failing.fails(3)
    assert await types(failing) == ["opened"]


async def test_what_is_resolved_by_hand_stays_so_however_long_it_lasts(failing: Story) -> None:
    await act(failing, Act.RESOLVE)
    failing.clock.set(SLOT_AT + 200 * DAY)
    await housekeeping.Housekeeping(failing.store).retire(13)
    async with failing.store.transaction() as unit:
        assert (await unit.incidents.current_of(failing.job.id))[FAILING].dismissed


async def test_what_was_resolved_by_hand_and_is_over_opens_as_anything_else(
    failing: Story,
) -> None:
    await act(failing, Act.RESOLVE)
    await failing.succeeds(1)
    await failing.fails(2)
    assert await types(failing) == ["resolved", "opened"]


async def test_a_deleted_job_withdraws_nothing_that_was_resolved_by_hand(failing: Story) -> None:
    await act(failing, Act.RESOLVE)
    await failing.evaluator.forget(failing.job.id)
    assert await types(failing) == ["resolved"]


async def test_a_past_incident_can_be_marked_as_a_false_alarm(failing: Story) -> None:
    one = (await failing.open())[FAILING].id
    await failing.succeeds(1)
    marked = await act(failing, Act.FALSE_ALARM, one)
    assert (marked.false_alarm, marked.is_open) == (True, False)
    assert await types(failing) == ["resolved"]


async def test_every_act_stands_in_the_audit_log(failing: Story) -> None:
    one = (await failing.open())[FAILING].id
    for verb in (Act.ACKNOWLEDGE, Act.FALSE_ALARM, Act.RESOLVE):
        await act(failing, verb, one)
    async with failing.store.transaction() as unit:
        entries = await unit.audit.of(f"incident/{one}")
    assert [(entry.verb, entry.actor, entry.reason) for entry in entries] == [
        ("acknowledge", "ada", "seen"),
        ("mark-false-alarm", "ada", "seen"),
        ("resolve", "ada", "seen"),
    ]
    assert entries[0].before == {
        "state": "open", "acknowledgedBy": None, "falseAlarm": False, "tellAgain": False,
    }  # fmt: skip
    assert entries[-1].after == {
        "state": "resolved", "acknowledgedBy": "ada", "falseAlarm": True, "tellAgain": False,
    }  # fmt: skip


async def test_what_there_is_not_is_said_and_so_is_that_of_another_cluster(failing: Story) -> None:
    one = (await failing.open())[FAILING].id
    elsewhere = services.Desk(cluster="elsewhere", defaults=policies.defaults())
    wish = acts.Wish(act=Act.ACKNOWLEDGE, actor="ada")
    with pytest.raises(errors.NotFound, match=str(one)):
        await failing.store.run(lambda unit: elsewhere.carry_out(unit, one, wish))
    with pytest.raises(errors.NotFound, match="no alert"):
        await act(failing, Act.ACKNOWLEDGE, UUID(int=7))


async def test_an_act_waits_for_the_look_that_is_under_way(failing: Story) -> None:
    async with failing.store.transaction() as looking:
        assert await looking.schedule.lock(failing.job.id)
        acting = asyncio.create_task(act(failing, Act.ACKNOWLEDGE))
        await asyncio.sleep(0.1)
        assert not acting.done()
    assert (await acting).acknowledged

"""Silences around the steps of an incident: what is told, what is held back, what is told later."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from rollcall.core import acts, errors, policies, silences
from rollcall.core.silences import Silence
from rollcall.services import acts as act_services
from rollcall.services import alerts, ports
from rollcall.services import silences as services
from support import builders
from support.stories import HOUR, MINUTE, SLOT_AT, Story

FAILING = policies.Kind.FAILING
OFF = {"enabled": False}
POLICY: dict[str, Any] = {
    "rules": {"failing": {"warning": 1, "critical": 3}, "stale": OFF, "missed": OFF, "late": OFF},
    "alerts": {"cooldown": "2h"},
}
NOON = SLOT_AT


async def begin(
    story: Story,
    *,
    until: datetime,
    start: datetime | None = None,
    **chosen: object,
) -> Silence:
    wish = services.Wish(
        chosen=chosen, starts_at=start, ends_at=until, author="ada", reason="the database moves"
    )
    return await story.store.run(lambda unit: services.add(unit, builders.CLUSTER, wish))


async def end(story: Story, silence_id: UUID, reason: str | None = None) -> None:
    await story.store.run(
        lambda unit: services.end(unit, builders.CLUSTER, silence_id, actor="grace", reason=reason)
    )


async def told(story: Story) -> list[str]:
    return [kind.removeprefix("incident.") for kind, _, _ in await story.messages()]


async def steps(story: Story) -> list[str]:
    """Return why each step of the job's newest incident was told or not."""
    async with story.store.transaction() as unit:
        choice = alerts.Choice(cluster=builders.CLUSTER)
        page = await unit.alerts.page(choice, limit=1)
        whole = await unit.alerts.find(builders.CLUSTER, page.items[0].incident.id)
    assert whole
    return [step.why.partition(":")[0] for step in whole.steps]


@pytest.fixture
async def quiet(story: Story) -> Story:
    await story.begin(POLICY)
    story.clock.set(NOON - MINUTE)
    return story


async def test_what_begins_under_a_silence_is_told_when_it_ends_and_lasts(quiet: Story) -> None:
    await begin(quiet, until=NOON + 30 * MINUTE)
    await quiet.fails(0)
    assert await told(quiet) == []
    assert await quiet.again_at() <= NOON + 30 * MINUTE
    await quiet.look(NOON + 30 * MINUTE)
    assert await told(quiet) == ["opened"]
    assert await steps(quiet) == ["SilencedBy", "NoLongerSilenced"]
    assert quiet.suppressed == ["SilencedBy"]


async def test_what_begins_and_ends_under_a_silence_is_never_told(quiet: Story) -> None:
    await begin(quiet, until=NOON + 3 * HOUR)
    await quiet.fails(0)
    await quiet.succeeds(1)
    await quiet.look(NOON + 4 * HOUR)
    assert await told(quiet) == []
    assert await steps(quiet) == ["SilencedBy", "NeverAnnounced"]


async def test_the_end_of_what_was_told_is_told_under_a_silence_too(quiet: Story) -> None:
    await quiet.fails(0)
    assert await told(quiet) == ["opened"]
    await begin(quiet, until=NOON + 9 * HOUR)
    await quiet.succeeds(1)
    assert await told(quiet) == ["resolved"]


async def test_a_rise_under_a_silence_is_told_when_it_ends(quiet: Story) -> None:
    await quiet.fails(0)
    assert await told(quiet) == ["opened"]
    await begin(quiet, until=NOON + 2 * HOUR + 30 * MINUTE)
    await quiet.fails(1)
    await quiet.fails(2)
    assert await told(quiet) == []
    await quiet.look(NOON + 2 * HOUR + 30 * MINUTE)
    assert await quiet.messages() == [("incident.changed", "failing", "critical")]
    assert await steps(quiet) == ["Opened", "SilencedBy", "NoLongerSilenced"]


async def test_no_reminder_comes_under_a_silence_and_the_overdue_one_at_its_end(
    quiet: Story,
) -> None:
    await quiet.fails(0)
    assert await told(quiet) == ["opened"]
    await begin(quiet, until=NOON + 4 * HOUR)
    await quiet.look(NOON + 3 * HOUR)
    assert await told(quiet) == []
    assert await quiet.again_at() > quiet.clock()
    await quiet.look(NOON + 4 * HOUR)
    assert await told(quiet) == ["reminder"]


async def test_a_silence_that_begins_before_the_message_is_sent_holds_it_back(
    quiet: Story,
) -> None:
    await quiet.fails(0)
    await begin(quiet, until=NOON + 30 * MINUTE)
    await quiet.look(quiet.clock())
    assert await told(quiet) == []
    incident = (await quiet.open())[FAILING]
    assert (incident.announced_at, incident.held_back) == (None, True)
    await quiet.look(NOON + 30 * MINUTE)
    assert await told(quiet) == ["opened"]
    assert await steps(quiet) == ["Opened", "NoLongerSilenced"]


async def test_what_a_window_holds_back_before_it_is_sent_is_told_as_soon_as_it_closes(
    story: Story,
) -> None:
    windows = [{"schedule": "2 12 * * *", "duration": "10m"}]
    await story.begin(POLICY | {"alerts": {"maintenance": windows}})
    await story.fails(0)
    story.clock.set(NOON + 2 * MINUTE)
    assert await told(story) == []
    assert await story.again_at() <= NOON + 2 * MINUTE
    await story.look(NOON + 2 * MINUTE)
    assert await story.again_at() <= NOON + 12 * MINUTE
    await story.look(NOON + 12 * MINUTE)
    assert await told(story) == ["opened"]


async def test_what_waits_for_more_successes_is_told_when_its_silence_ends(story: Story) -> None:
    await story.begin(POLICY | {"alerts": {"recoveryThreshold": 2}})
    story.clock.set(NOON)
    await begin(story, until=NOON + 70 * MINUTE)
    await story.fails(0)
    await story.succeeds(1)
    assert await told(story) == []
    await story.look(NOON + 70 * MINUTE)
    assert await told(story) == ["opened"]


async def test_where_the_beginning_was_held_back_the_end_is_not_told(quiet: Story) -> None:
    await quiet.fails(0)
    await begin(quiet, until=NOON + 2 * HOUR)
    await quiet.succeeds(1)  # both messages wait
    assert await steps(quiet) == ["Opened", "Resolved"]
    assert await told(quiet) == []


async def test_where_one_channel_heard_of_it_only_that_one_hears_of_the_end(
    quiet: Story,
) -> None:
    quiet.channels.names = ("pager", "team")
    await quiet.fails(0)
    async with quiet.store.transaction() as unit:
        claimed = await unit.outbox.claim("t", 1, HOUR, cluster=builders.CLUSTER)
        await unit.outbox.settle([ports.Outcome(notification=claimed[0], delivered=True)])
    await begin(quiet, until=NOON + 30 * MINUTE)
    assert await told(quiet) == []
    assert (await quiet.open())[FAILING].announced_at
    await quiet.succeeds(1)
    assert await told(quiet) == ["resolved"]


async def test_a_silence_of_other_alerts_changes_nothing(quiet: Story) -> None:
    quiet.channels.labels = {"team": "data"}
    await begin(quiet, until=NOON + 9 * HOUR, namespace="finance")
    await begin(quiet, until=NOON + 9 * HOUR, kinds=["late"])
    other = {"matchLabels": {"team": "web"}}
    await begin(quiet, until=NOON + 9 * HOUR, labels=other)
    await begin(quiet, until=NOON + 9 * HOUR, start=NOON + 8 * HOUR)
    await quiet.fails(0)
    assert await told(quiet) == ["opened"]


async def test_a_silence_by_label_keeps_the_labelled_quiet(quiet: Story) -> None:
    quiet.channels.labels = {"team": "data"}
    await begin(quiet, until=NOON + 9 * HOUR, labels={"matchLabels": {"team": "data"}})
    await quiet.fails(0)
    assert await told(quiet) == []


async def test_a_silence_that_somebody_ends_lets_speak_at_once(quiet: Story) -> None:
    silence = await begin(quiet, until=NOON + 9 * HOUR)
    await quiet.fails(0)
    assert await told(quiet) == []
    await end(quiet, silence.id)
    assert await quiet.again_at() <= quiet.clock()
    await quiet.look(NOON + 2 * MINUTE)
    assert await told(quiet) == ["opened"]


async def test_what_was_told_is_shown_as_silenced_as_soon_as_it_is(quiet: Story) -> None:
    await quiet.fails(0)
    silence = await begin(quiet, until=NOON + 9 * HOUR)
    assert await quiet.again_at() <= quiet.clock()
    await quiet.look(quiet.clock())
    assert (await quiet.open())[FAILING].silenced_by == f"silence/{silence.id}"


async def test_a_window_of_the_job_keeps_it_quiet_while_it_is_open(story: Story) -> None:
    windows = [{"schedule": "0 12 * * *", "duration": "30m"}]
    await story.begin(POLICY | {"alerts": {"maintenance": windows}})
    await story.fails(0)
    assert await told(story) == []
    assert await story.again_at() <= NOON + 30 * MINUTE
    await story.look(NOON + 30 * MINUTE)
    assert await told(story) == ["opened"]
    assert await steps(story) == ["SilencedBy", "NoLongerSilenced"]


async def test_a_window_of_the_installation_keeps_quiet_what_it_selects(quiet: Story) -> None:
    noon = {"name": "noon", "schedule": "0 12 * * *", "duration": "30m", "namespace": "shop"}
    quiet.recurring += silences.read_recurring([noon], "windows")
    await quiet.fails(0)
    assert await told(quiet) == []
    assert (await quiet.open())[FAILING].silenced_by == "maintenance/noon"


async def test_what_a_person_does_is_told_under_a_silence(quiet: Story) -> None:
    await quiet.fails(0)
    assert await told(quiet) == ["opened"]
    await begin(quiet, until=NOON + 9 * HOUR)
    desk = act_services.Desk(cluster=builders.CLUSTER, defaults=policies.defaults())
    wish = acts.Wish(act=acts.Act.ACKNOWLEDGE, actor="ada")
    one = (await quiet.open())[FAILING].id
    await quiet.store.run(lambda unit: desk.carry_out(unit, one, wish))
    assert await told(quiet) == ["acknowledged"]


async def test_every_act_stands_in_the_audit_log(quiet: Story) -> None:
    silence = await begin(quiet, until=NOON + 9 * HOUR, namespace="shop")
    await end(quiet, silence.id, "it has moved")
    async with quiet.store.transaction() as unit:
        added, ended = await unit.audit.of(f"silence/{silence.id}")
    assert (added.verb, added.actor, added.reason) == ("silence", "ada", "the database moves")
    assert added.after
    assert added.after["selector"] == {"namespace": "shop"}
    assert (ended.verb, ended.actor, ended.reason) == ("end-silence", "grace", "it has moved")
    assert ended.before == added.after
    assert ended.after
    assert ended.after["endsAt"] == quiet.clock().isoformat()


async def test_a_silence_that_is_over_or_absent_cannot_be_ended(quiet: Story) -> None:
    silence = await begin(quiet, until=NOON)
    with pytest.raises(errors.NotFound, match="no silence"):
        await end(quiet, UUID(int=7))
    quiet.clock.set(NOON)
    with pytest.raises(errors.Conflict, match="it is over already"):
        await end(quiet, silence.id)


async def test_a_silence_that_has_not_begun_never_will_once_it_is_ended(quiet: Story) -> None:
    silence = await begin(quiet, start=NOON, until=NOON + 9 * HOUR)
    await end(quiet, silence.id)
    async with quiet.store.transaction() as unit:
        assert await unit.silence_pages.listed(builders.CLUSTER, limit=9, past=False) == []
    with pytest.raises(errors.Conflict, match="it is over already"):
        await end(quiet, silence.id)
    await quiet.fails(0)
    assert await told(quiet) == ["opened"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": "  "}, "say why"),
        ({"ends_at": NOON - 2 * MINUTE}, "ends after it begins"),
        ({"starts_at": NOON + HOUR, "ends_at": NOON + HOUR}, "ends after it begins"),
        ({"ends_at": NOON + timedelta(days=400)}, "within 366d"),
        ({"starts_at": NOON - timedelta(days=400)}, "more than a year ago"),
        ({"chosen": {"kinds": ["bored"]}}, "bored: known are"),
    ],
    ids=["no reason", "over before now", "no time", "for ever", "ages ago", "no such kind"],
)
async def test_a_silence_that_makes_no_sense_is_refused_with_the_reason(
    quiet: Story, changes: dict[str, Any], words: str
) -> None:
    given = {"chosen": {}, "ends_at": NOON + HOUR, "author": "ada", "reason": "why"} | changes
    with pytest.raises(errors.InvalidSpec, match=re.escape(words)):
        await quiet.store.run(
            lambda unit: services.add(unit, builders.CLUSTER, services.Wish(**given))
        )

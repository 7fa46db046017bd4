"""A job whose alerts nobody acknowledges: who is told besides, and when."""

from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.core import acts, policies
from rollcall.core.policies import Severity
from rollcall.services import acts as act_services
from support import builders
from support.stories import HOUR, MINUTE, SLOT_AT, Story

STEPS = [{"after": "30m", "channels": ["pager"]}, {"after": "2h", "severity": "critical"}]
OFF = {"enabled": False}
POLICY: dict[str, Any] = {
    "rules": {"failing": {"warning": 1}, "stale": OFF, "missed": OFF, "late": OFF},
    "alerts": {"cooldown": "6h", "escalation": STEPS},
}
OPENED_AT = SLOT_AT + MINUTE


async def written(story: Story) -> list[tuple[str, str]]:
    """Return type and channel of every message so far."""
    async with story.store.transaction() as unit:
        rows = await unit.connection.execute(
            sa.text("SELECT type, channel FROM notifications ORDER BY id")
        )
        return [(row.type.removeprefix("incident."), row.channel) for row in rows]


@pytest.fixture
async def failing(story: Story) -> Story:
    story.channels.besides = {"pager": [Severity.CRITICAL]}
    await story.begin(POLICY)
    await story.fails(0)
    return story


async def test_the_step_is_taken_at_its_time_and_tells_whom_it_names(failing: Story) -> None:
    assert await failing.again_at() <= OPENED_AT + 30 * MINUTE
    await failing.look(OPENED_AT + 30 * MINUTE)
    assert await written(failing) == [("opened", "team"), ("escalated", "pager")]


async def test_with_a_severity_it_is_told_to_those_who_take_that(failing: Story) -> None:
    failing.channels.names = ("pager", "team")
    await failing.look(OPENED_AT + 30 * MINUTE)
    await failing.look(OPENED_AT + 2 * HOUR)
    assert await written(failing) == [
        ("opened", "team"),
        ("escalated", "pager"),
        ("escalated", "pager"),
        ("escalated", "team"),
    ]


async def test_whom_a_step_named_hears_of_all_that_follows(failing: Story) -> None:
    await failing.look(OPENED_AT + 30 * MINUTE)
    await failing.look(OPENED_AT + 7 * HOUR)
    await failing.succeeds(8)
    assert (await written(failing))[-2:] == [("resolved", "pager"), ("resolved", "team")]


async def test_after_an_acknowledgement_nobody_is_told_besides(failing: Story) -> None:
    one = (await failing.open())[policies.Kind.FAILING].id
    desk = act_services.Desk(cluster=builders.CLUSTER, defaults=policies.defaults())
    wish = acts.Wish(act=acts.Act.ACKNOWLEDGE, actor="ada")
    await failing.store.run(lambda unit: desk.carry_out(unit, one, wish))
    await failing.look(OPENED_AT + 3 * HOUR)
    assert await written(failing) == [("opened", "team"), ("acknowledged", "team")]


async def test_steps_that_fell_due_while_nobody_looked_are_not_taken_all_at_once(
    failing: Story,
) -> None:
    await failing.look(OPENED_AT + 5 * HOUR)
    await failing.look(OPENED_AT + 5 * HOUR + MINUTE)
    assert await written(failing) == [("opened", "team"), ("escalated", "pager")]
    assert await failing.again_at() <= OPENED_AT + 6.5 * HOUR
    await failing.look(OPENED_AT + 6.5 * HOUR)
    assert (await written(failing))[2:] == [("escalated", "pager"), ("escalated", "team")]

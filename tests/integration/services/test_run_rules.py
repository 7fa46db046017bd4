"""How often runs fail, kept as incidents."""

from rollcall.core import executions, policies
from rollcall.core.executions import Status
from rollcall.core.policies import Kind
from support import builders
from support.stories import DAY, HOUR, MINUTE, SLOT_AT, Story


async def keeps(story: Story, *runs: executions.Execution) -> None:
    async with story.store.transaction() as unit:
        await unit.ledger.save_all(runs)


async def test_a_job_that_fails_now_and_then_is_told_when_its_last_failure_is_solved(
    story: Story,
) -> None:
    await story.begin({"rules": {"failure_rate": {"warning": 40, "minExecutions": 4}}})
    told = []
    for slot in (0, 2):
        await story.fails(slot)
        told += await story.messages()
        await story.succeeds(slot + 1)
        told += await story.messages()
    each = [("incident.opened", "failing", "warning"), ("incident.resolved", "failing", "warning")]
    assert told == [*each, *each, ("incident.opened", "failure_rate", "warning")]
    await story.succeeds(4)
    assert (await story.open()).keys() == {Kind.FAILURE_RATE}
    await story.succeeds(5)
    assert await story.messages() == [("incident.resolved", "failure_rate", "warning")]


async def test_five_failures_and_a_success_are_one_alert_and_one_recovery(story: Story) -> None:
    await story.begin()
    for slot in range(5):
        await story.fails(slot)
    await story.succeeds(5)
    assert await story.messages() == [
        ("incident.opened", "failing", "warning"),
        ("incident.changed", "failing", "critical"),
        ("incident.resolved", "failing", "critical"),
    ]
    assert await story.open() == {}


async def test_a_rate_that_is_explained_by_failures_in_a_row_is_not_told_beside_them(
    story: Story,
) -> None:
    await story.begin()
    await story.fails(0)
    await story.succeeds(1)
    for slot in range(2, 6):
        await story.fails(slot)
    assert (await story.open())[Kind.FAILURE_RATE].inhibited_by is Kind.FAILING
    assert {kind for _, kind, _ in await story.messages()} == {"failing"}


async def test_of_a_job_that_runs_each_minute_all_runs_of_the_window_count(story: Story) -> None:
    await story.begin(
        {"rules": {"failure_rate": {"warning": 30}, "failing": {"enabled": False}}},
        schedule="* * * * *",
        effective_from=SLOT_AT - 2 * DAY,
    )
    now = SLOT_AT + HOUR
    statuses = [Status.FAILED] + [Status.SUCCEEDED] * 110 + [Status.FAILED] * 50
    runs = [
        builders.execution(story.job, slot_at=now - number * MINUTE, status=status)
        for number, status in enumerate(statuses)
    ]
    await keeps(story, *runs)
    story.clock.set(now + MINUTE / 2)
    await story.look_until_done(now + MINUTE / 2)
    found = (await story.open())[policies.Kind.FAILURE_RATE]
    assert found.evidence == {"percent": 31, "failed": 51, "executions": 161}

"""Processes that stand still, are away for hours, or come back late: what is told, and when."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from rollcall.core.executions import Status
from rollcall.core.policies import Severity
from rollcall.notify import pings
from rollcall.services import deadman
from support import receiver
from support.audience import Receiver
from support.happenings import ONLY_FAILING, Policy, only, time
from support.stories import MINUTE, SLOT_AT
from support.timelines import Timeline

Tells = Callable[..., Receiver]
STEPS = [{"after": "30m", "channels": ["pager"]}, {"after": "2h", "channels": ["boss"]}]
ESCALATING: Policy = ONLY_FAILING | {"alerts": {"cooldown": "24h", "escalation": STEPS}}


@pytest.fixture
async def outside(timeline: Timeline) -> AsyncIterator[Receiver]:
    """Run the dead-man switch's other end, and an api that takes reports."""
    with receiver.running() as api, receiver.running() as hook:
        api.otherwise = lambda _: receiver.Answer(status=401)
        asks = pings.Pings(ingest_url=f"http://127.0.0.1:{api.port}", deadman_url=hook.url)
        switch = deadman.DeadMan(
            ping=asks.deadman,
            canary=asks.canary,
            signs=lambda: {
                "sweep": timeline.sweep.swept_at,
                "outbox": timeline.deliver.drained_at,
            },
            clock=timeline.story.clock,
        )
        for minute in range(1, 30):
            timeline.at(f"12:{minute:02}", timeline.passes)
            timeline.at(f"12:{minute:02}", switch.tick)
        yield Receiver("outside", hook, timeline.story.clock)
        await asks.close()


async def test_where_nobody_delivers_the_dead_mans_switch_is_silent_within_two_minutes(
    timeline: Timeline, tells: Tells, outside: Receiver
) -> None:
    tells("team")
    timeline.at("12:10:30", timeline.stops_delivering)
    timeline.at("12:11:30", timeline.fails)
    timeline.at("12:20:30", timeline.starts)
    timeline.want("team", "opened", "12:20:30", "12:21")
    await timeline.play(until="13:00")
    told = [f"{at:%M}" for at in outside.tried]
    assert told == [f"{minute:02}" for minute in [*range(1, 12), *range(21, 30)]]


async def test_where_nobody_looks_the_dead_mans_switch_is_silent_too(
    timeline: Timeline, tells: Tells, outside: Receiver
) -> None:
    tells("team")
    timeline.at("12:10:30", timeline.stops)
    await timeline.play(until="13:00")
    assert [f"{at:%M}" for at in outside.tried] == [f"{minute:02}" for minute in range(1, 12)]


async def test_steps_of_escalation_that_fell_due_while_down_come_one_after_the_other(
    timeline: Timeline, tells: Tells
) -> None:
    tells("team")
    tells("pager", Severity.CRITICAL)
    tells("boss", Severity.CRITICAL)
    timeline.at("12:01", timeline.fails)
    timeline.want("team", "opened", "12:01", "12:02")
    timeline.at("12:20", timeline.stops)
    timeline.at("18:00", timeline.starts)
    timeline.want("pager", "escalated", "18:00", "18:01")
    timeline.want("boss", "escalated", "19:30", "19:31")  # as long after the first as planned
    await timeline.play(until="24:00", policy=ESCALATING)


async def test_a_run_that_turns_up_after_it_was_called_missed_is_told_once_and_its_row_amended(
    timeline: Timeline, tells: Tells
) -> None:
    tells("team")
    timeline.want("team", "opened", "12:01:30", "12:02")
    timeline.at("12:20", timeline.sees_job, "12:00", started="12:01", ended="12:10")
    timeline.want("team", "resolved", "12:20", "12:21")
    await timeline.play(until="12:50", policy=only(missed={"critical": 1}))
    [run] = await timeline.story.runs()
    assert (run.status, run.slot_at, run.ended_at) == (Status.SUCCEEDED, SLOT_AT, time("12:10"))
    assert run.duration == timedelta(minutes=9)


async def test_a_heartbeat_that_comes_late_is_told_once_and_so_is_nothing_when_it_goes_on(
    timeline: Timeline, tells: Tells
) -> None:
    tells("team")
    timeline.at("12:00:05", timeline.starts_pod, "12:00")
    timeline.hears_reports("12:00", "13:00")
    timeline.at("12:01", timeline.beats)
    timeline.want("team", "opened", "12:06", "12:07")
    timeline.at("12:20", timeline.beats)
    timeline.want("team", "resolved", "12:20", "12:21:30")
    for minute in range(24, 60, 4):
        timeline.at(f"12:{minute}", timeline.beats)
    await timeline.play(until="13:00", policy=only(silent={"warning": "5m"}))
    [run] = await timeline.story.runs()
    assert run.status is Status.RUNNING
    assert timeline.story.clock() - SLOT_AT == 60 * MINUTE

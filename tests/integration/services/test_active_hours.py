"""Outside its active hours a channel is told what is critical, and the rest when they begin."""

from datetime import timedelta

import pytest

from rollcall.core import pacing
from rollcall.core.policies import Severity
from rollcall.store import engine
from support import bursts, clocks

OFFICE = {"activeHours": [{"schedule": "0 8 * * *", "duration": "10h"}]}
HOUR = 3600.0


@pytest.fixture
async def night(store: engine.Database, clock: clocks.Clock) -> bursts.Storm:
    """Return a channel whose hours were over three hours ago, at 18:00 UTC."""
    clock.set(clocks.START.replace(hour=21, minute=0, second=0, microsecond=0))
    return bursts.Storm(store, clock, pace=pacing.read("slack", OFFICE))


async def until_morning(storm: bursts.Storm) -> None:
    storm.clock.set(storm.clock.now + timedelta(hours=11))
    await storm.passes(1)


async def test_what_is_not_critical_waits_for_the_morning(night: bursts.Storm) -> None:
    await night.fails("backup")
    await night.passes(60)
    (row,) = await night.rows()
    assert night.types == []
    assert (row["status"], row["waited_for"]) == ("pending", "OutsideActiveHours")
    assert row["next_at"] == night.clock.now.replace(hour=8, minute=0) + timedelta(days=1)
    await until_morning(night)
    assert night.types == ["incident.opened"]


async def test_what_is_critical_does_not_wait(night: bursts.Storm) -> None:
    await night.fails("backup", severity=Severity.CRITICAL)
    await night.round()
    assert night.types == ["incident.opened"]
    await night.recovers("backup")
    await night.round()
    assert night.types == ["incident.opened", "incident.resolved"]


async def test_what_gets_critical_at_night_is_told_at_once_and_once(night: bursts.Storm) -> None:
    await night.fails("backup")
    await night.passes(60)
    await night.fails("backup", severity=Severity.CRITICAL)
    await night.passes(60)
    ((_, message),) = night.receiver.got
    assert message.type == "incident.opened"
    assert message.payload["incident"]["severity"] == "critical"
    assert {row["status"] for row in await night.rows()} == {"delivered"}
    await until_morning(night)
    assert len(night.receiver.got) == 1


async def test_the_end_of_what_may_have_arrived_is_told(night: bursts.Storm) -> None:
    night.clock.set(night.clock.now.replace(hour=17, minute=59))
    night.receiver.answers = [bursts.DOWN]  # or it took it, and its answer was lost
    await night.fails("backup")
    await night.round()
    night.clock.set(night.clock.now.replace(hour=21, minute=0))
    await night.recovers("backup")
    await night.passes(60)
    assert night.types == ["incident.opened"]
    await until_morning(night)
    assert night.types == ["incident.opened", "incident.resolved"]


async def test_what_is_over_before_anybody_heard_of_it_is_not_told(night: bursts.Storm) -> None:
    await night.fails("backup")
    await night.passes(60)
    await night.recovers("backup")
    await night.passes(60)
    assert {(row["status"], row["suppressed_by"]) for row in await night.rows()} == {
        ("suppressed", "OverBeforeActiveHours")
    }
    assert night.suppressed == ["OverBeforeActiveHours"] * 2
    await until_morning(night)
    assert night.types == []


async def test_the_end_of_what_was_told_by_day_is_told_in_the_morning(night: bursts.Storm) -> None:
    night.clock.set(night.clock.now - timedelta(hours=4))
    await night.fails("backup")
    await night.round()
    night.clock.set(night.clock.now + timedelta(hours=4))
    await night.recovers("backup")
    await night.passes(60)
    assert night.types == ["incident.opened"]
    await until_morning(night)
    assert night.types == ["incident.opened", "incident.resolved"]


async def test_what_waited_is_told_as_it_stands(night: bursts.Storm) -> None:
    await night.fails("backup", severity=Severity.INFO)
    await night.passes(60)
    await night.fails("backup", severity=Severity.WARNING)
    await night.passes(60)
    await until_morning(night)
    ((_, message),) = night.receiver.got
    assert (message.type, message.payload["incident"]["severity"]) == (
        "incident.opened",
        "warning",
    )


async def test_many_that_waited_are_one_message_in_the_morning(night: bursts.Storm) -> None:
    names = [f"job-{number}" for number in range(20)]
    for name in names:
        await night.fails(name)
        await night.passes(30, step=15)
    await night.recovers("job-3")
    await until_morning(night)
    assert night.types == ["digest"]
    assert sorted(night.told()[0]) == sorted(set(names) - {"job-3"})


async def test_a_message_that_waited_for_days_is_tried_as_long_as_any(
    store: engine.Database, clock: clocks.Clock
) -> None:
    hours = {"activeHours": [{"schedule": "0 8 * * 1", "duration": "1h"}]}
    clock.set(clocks.START + timedelta(days=2))
    storm = bursts.Storm(store, clock, pace=pacing.read("slack", hours))
    await storm.fails("backup")
    await storm.round()
    (row,) = await storm.rows()
    clock.set(row["next_at"])
    storm.receiver.answers = [bursts.DOWN] * 2
    await storm.passes(30)
    assert [row["status"] for row in await storm.rows()] == ["delivered"]


async def test_a_pager_has_hours_too(store: engine.Database, clock: clocks.Clock) -> None:
    clock.set(clocks.START.replace(hour=21))
    storm = bursts.Storm(store, clock, pace=pacing.read("pagerDuty", OFFICE))
    await storm.fails("report")
    await storm.fails("backup", severity=Severity.CRITICAL)
    await storm.passes(5)
    assert storm.told() == [["backup"]]

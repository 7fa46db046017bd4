"""Clocks that disagree, jump, or stood still together with the machine."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest

from rollcall.core.executions import Status
from rollcall.services import sight
from rollcall.store import engine
from support import builders, reporting
from support.audience import Receiver
from support.happenings import only
from support.stories import DAY, HOUR, MINUTE
from support.timelines import Timeline

Tells = Callable[..., Receiver]
SKEWS = [HOUR, -HOUR, 400 * DAY]
# Of a run that slept as well, neither may be said.
ASLEEP = only(missed={"critical": 1}, stale={"critical": "65m"})


class Nothing:
    """An inbox in which nothing waits."""

    def oldest(self) -> None:
        return None


async def nothing() -> None:
    """List nothing: what a test wants seen, it lets be seen."""


@pytest.fixture
def eyes(timeline: Timeline) -> sight.Sight:
    """Make eyes that see the cluster, once a timeline looks with them."""
    story = timeline.story
    return sight.Sight(
        store=story.store,
        evidence=story.cluster,
        inbox=Nothing(),
        resync=nothing,
        cluster=builders.CLUSTER,
        clock=story.clock,
        changed=lambda _: None,
    )


@pytest.fixture
async def http(store: engine.Database) -> AsyncIterator[httpx.AsyncClient]:
    """Make the api that the pod of the timeline reports to."""
    async with reporting.api(store) as client:
        yield client


@pytest.mark.parametrize("skew", SKEWS, ids=str)
async def test_when_a_run_falls_silent_is_told_by_the_databases_clock_whatever_its_pods_says(
    timeline: Timeline, tells: Tells, http: httpx.AsyncClient, skew: timedelta
) -> None:
    tells("team")

    async def reports() -> None:
        now = timeline.story.clock()
        body = reporting.report(
            sentAt=(now + skew).isoformat(), startedAt=(now + skew - MINUTE).isoformat()
        )
        answer = await reporting.send(http, json.dumps(body).encode())
        assert answer.status_code == 200, answer.text

    timeline.at("12:00:05", timeline.starts_pod, "12:00")
    timeline.hears_reports("12:00", "12:30")
    timeline.at("12:01", reports)
    # The time that the report took, which is real, counts too.
    timeline.want("team", "opened", "12:05", "12:07")
    await timeline.play(until="12:30", policy=only(silent={"warning": "5m"}))


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_while_the_api_servers_clock_is_an_hour_off_nothing_is_judged(
    timeline: Timeline, tells: Tells, eyes: sight.Sight, ahead: timedelta
) -> None:
    tells("team")
    cluster, clock = timeline.story.cluster, timeline.story.clock
    timeline.at("11:58", timeline.looks_with, eyes)
    timeline.at("11:59", setattr, cluster, "clock", lambda: clock() + ahead)
    timeline.at("12:29", setattr, cluster, "clock", clock)
    timeline.want("team", "opened", "12:29", "12:40")
    await timeline.play(until="12:45", policy=only(missed={"critical": 1}))
    assert eyes.is_clear()


async def test_a_clock_that_steps_back_in_a_run_makes_no_negative_duration(
    timeline: Timeline, tells: Tells
) -> None:
    tells("team")
    timeline.at("12:00:50", timeline.sees_job, "12:00", started="12:00:40", ended="11:00:40")
    await timeline.play(until="12:50", policy=only(missed={"critical": 1}))
    [run] = await timeline.story.runs()
    assert (run.status, run.duration) == (Status.SUCCEEDED, timedelta())


async def test_a_machine_that_slept_for_twenty_minutes_accuses_nobody(
    timeline: Timeline, tells: Tells, eyes: sight.Sight
) -> None:
    tells("team")
    timeline.at("12:00:40", timeline.sees_job, "12:00", started="12:00", ended="12:00:30")
    timeline.at("12:48", timeline.looks_with, eyes)
    timeline.at("12:50", timeline.sleeps_until, "13:10")
    timeline.at("13:11", timeline.sees_job, "13:00", started="13:10", ended="13:11")
    await timeline.play(until="13:30", policy=ASLEEP, deadline=DAY)
    [period] = eyes.seen().blind
    assert period.length >= 20 * MINUTE


async def test_what_did_not_run_in_spite_of_it_is_told_when_there_was_time_enough(
    timeline: Timeline, tells: Tells, eyes: sight.Sight
) -> None:
    tells("team")
    timeline.at("12:00:40", timeline.sees_job, "12:00", started="12:00", ended="12:00:30")
    timeline.at("12:48", timeline.looks_with, eyes)
    timeline.at("12:50", timeline.sleeps_until, "13:10")
    timeline.want("team", "opened", "13:15", "13:16")  # stale
    timeline.want("team", "opened", "14:01", "14:02")  # missed
    await timeline.play(until="14:10", policy=ASLEEP, deadline=DAY)
    assert eyes.seen().blind


async def test_a_run_that_slept_with_the_machine_is_not_silent(
    timeline: Timeline, tells: Tells
) -> None:
    tells("team")
    timeline.at("12:00:05", timeline.starts_pod, "12:00")
    timeline.hears_reports("12:00", "12:03")
    timeline.at("12:02", timeline.beats)
    timeline.at("12:03", timeline.sleeps_until, "12:23")
    timeline.hears_reports("12:23", "12:50")
    for minute in range(24, 50):
        timeline.at(f"12:{minute}", timeline.beats)
    await timeline.play(until="12:50", policy=only(silent={"warning": "5m"}))

"""A run that is not heard any more, and what becomes of it."""

import asyncio
from datetime import datetime, timedelta

import pytest

from rollcall.core import errors, findings, report_rules, reporting
from rollcall.core.executions import Status
from rollcall.core.policies import Kind
from rollcall.services import canary
from support import builders
from support.stories import MINUTE, SECOND, SLOT_AT, Story, ended_with

POD = builders.attempt(job_uid="job-0", started_at=SLOT_AT + SECOND)


async def starts(story: Story) -> None:
    await story.begin()
    await sees(story)


async def sees(story: Story, **job: object) -> None:
    values = {"slot_at": SLOT_AT, "job_uid": "job-0", "job_name": "report-0"} | job
    await story.record(builders.observation(story.job, **values), POD)


async def time_goes_on(story: Story, until: int, *, api: bool = True) -> None:
    """Let an api process say each ten seconds that it keeps reports, up to so many minutes."""
    while story.clock() < SLOT_AT + until * MINUTE:
        story.clock.set(min(story.clock() + 10 * SECOND, SLOT_AT + until * MINUTE))
        if api:
            await story.store.run(lambda unit: unit.sight.kept_reports(builders.CLUSTER))
    await story.look(story.clock())


async def beats(story: Story, *, is_final: bool = False) -> None:
    report = reporting.Report(pod_uid="pod-1", at=story.clock(), is_final=is_final)
    await story.store.run(lambda unit: unit.reports.keep([report]))


async def test_a_run_that_falls_silent_is_told_and_one_message_says_that_it_is_heard_again(
    story: Story,
) -> None:
    await starts(story)
    await time_goes_on(story, 1)
    await beats(story)
    await time_goes_on(story, 5)
    assert await story.open() == {}
    await time_goes_on(story, 6)
    assert (await story.open()).keys() == {Kind.SILENT}
    assert await story.again_at() == story.clock() + MINUTE
    await time_goes_on(story, 9)
    await beats(story)
    await time_goes_on(story, 10)
    assert await story.open() == {}
    assert await story.messages() == [
        ("incident.opened", "silent", "warning"),
        ("incident.resolved", "silent", "warning"),
    ]


async def test_a_silent_run_that_turns_out_to_have_succeeded_is_solved_with_one_message(
    story: Story,
) -> None:
    await starts(story)
    await time_goes_on(story, 1)
    await beats(story)
    await time_goes_on(story, 7)
    at = story.clock()
    await sees(story, **ended_with(Status.SUCCEEDED, at))
    await story.look(at)
    assert await story.messages() == [
        ("incident.opened", "silent", "warning"),
        ("incident.resolved", "silent", "warning"),
    ]


async def test_while_no_api_process_keeps_reports_nobody_falls_silent_and_nobody_is_heard_again(
    story: Story,
) -> None:
    await starts(story)
    await time_goes_on(story, 1)
    await beats(story)
    await time_goes_on(story, 20, api=False)
    await time_goes_on(story, 24)
    assert await story.messages() == []
    await time_goes_on(story, 26)
    assert await story.messages() == [("incident.opened", "silent", "warning")]
    await time_goes_on(story, 40, api=False)
    await time_goes_on(story, 41)
    assert await story.messages() == []
    assert (await story.open()).keys() == {Kind.SILENT}


@pytest.mark.parametrize("said", ["nothing", "goodbye"])
async def test_a_pod_that_was_never_heard_or_has_taken_leave_is_not_silent(
    story: Story, said: str
) -> None:
    await starts(story)
    await time_goes_on(story, 1)
    if said == "goodbye":
        await beats(story, is_final=True)
    await time_goes_on(story, 30)
    assert await story.open() == {}


async def kept(story: Story) -> findings.Hearing:
    [run] = await story.runs()
    async with story.store.transaction() as unit:
        return (await unit.reports.hearing([run.id]))[run.id]


async def test_the_canary_goes_on_through_an_outage_and_counts_anew_after_it(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await starts(story)
    story.clock.set(SLOT_AT + MINUTE)
    await beats(story)
    seen: list[datetime] = []
    sung = asyncio.Event()

    async def run(work: object) -> None:
        seen.append(story.clock())
        if len(seen) == 6:
            sung.set()
        if len(seen) == 3:
            raise errors.StoreUnavailable("no answer")
        await original(work)  # type: ignore[arg-type]
        story.clock.set(story.clock() + (MINUTE if len(seen) == 2 else 10 * SECOND))

    original = story.store.run
    monkeypatch.setattr(story.store, "run", run)
    singing = asyncio.create_task(canary.sing(story.store, builders.CLUSTER, every=0.001))
    await sung.wait()
    singing.cancel()
    monkeypatch.undo()
    known = await kept(story)
    assert known.since == SLOT_AT + MINUTE + 70 * SECOND
    assert known.through is not None
    assert known.through > known.since


def test_the_canary_sings_more_often_than_its_word_is_good_for() -> None:
    assert timedelta(seconds=canary.EVERY) < report_rules.KEPT_FOR

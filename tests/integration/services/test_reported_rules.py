"""Rules about what programs report, and what a partial run counts for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, policies, reporting
from rollcall.core.executions import Status
from rollcall.core.policies import Kind, Severity
from rollcall.services.reported import Reported
from support import builders
from support.stories import CRONJOB, HOUR, MINUTE, SECOND, SLOT_AT, Story, ended_with

BOOT = "0123456789abcdef"
POD = builders.attempt(job_uid="job-0", started_at=SLOT_AT + SECOND)


async def begins(story: Story, **rules: Any) -> None:  # noqa: ANN401 - rules of a spec
    """Let the first slot's run start, with one pod."""
    await story.begin({"rules": rules})
    await sees(story, POD)


async def sees(story: Story, *pods: executions.Attempt, **job: object) -> None:
    values = {"slot_at": SLOT_AT, "job_uid": "job-0", "job_name": "report-0"} | job
    await story.record(builders.observation(story.job, **values), *pods)


async def reports(story: Story, minutes: int, *items: reporting.Item, **told: object) -> None:
    """Let the pod report so many minutes after the slot, and look."""
    story.clock.set(SLOT_AT + minutes * MINUTE)
    progress = reporting.Progress(seq=minutes, **told) if told else None  # type: ignore[arg-type]
    report = reporting.Report(
        pod_uid="pod-1", at=story.clock(), boot=BOOT, progress=progress, items=items
    )
    await story.store.run(lambda unit: unit.reports.keep([report]))
    await story.look(story.clock())


async def beats(story: Story, minutes: int, pod_uid: str = "pod-1") -> None:
    """Let a pod be heard, without news, so many minutes after the slot, and look."""
    story.clock.set(SLOT_AT + minutes * MINUTE)
    report = reporting.Report(pod_uid=pod_uid, at=story.clock())
    await story.store.run(lambda unit: unit.reports.keep([report]))
    await story.look(story.clock())


def failure(seq: int, kind: str = "timeout") -> reporting.Error:
    return reporting.Error(seq=seq, at=SLOT_AT, type=kind, message=f"no answer {seq}")


async def open_one(story: Story, kind: Kind) -> Severity | None:
    found = (await story.open()).get(kind)
    return found.severity if found else None


async def message(story: Story) -> str:
    return (await story.open())[Kind.ERRORS].message


async def test_numbers_that_stand_still_are_an_incident_until_they_move(story: Story) -> None:
    await begins(story, no_progress={"warning": "10m"})
    await reports(story, 1, done=1)
    await reports(story, 5, done=2)
    await reports(story, 14, done=2)
    assert await open_one(story, Kind.NO_PROGRESS) is None
    await reports(story, 15, done=2)
    assert await open_one(story, Kind.NO_PROGRESS) is Severity.WARNING
    assert await story.again_at() == story.clock() + MINUTE
    await reports(story, 16, done=3)
    assert await open_one(story, Kind.NO_PROGRESS) is None


async def test_a_pod_that_is_tried_again_has_moved(story: Story) -> None:
    await begins(story, no_progress={"warning": "10m"})
    await reports(story, 1, done=1)
    failed = replace(POD, ended_at=SLOT_AT + 9 * MINUTE, reason="Error", exit_code=1)
    again = replace(
        POD, pod_uid="pod-2", created_at=SLOT_AT + 9 * MINUTE, started_at=SLOT_AT + 9 * MINUTE
    )
    await sees(story, failed, again)
    await story.look(SLOT_AT + 12 * MINUTE)
    assert await open_one(story, Kind.NO_PROGRESS) is None
    await beats(story, 19, "pod-2")
    assert await open_one(story, Kind.NO_PROGRESS) is Severity.WARNING


async def test_while_the_api_is_away_nobody_says_that_numbers_stand_still(story: Story) -> None:
    await begins(story, no_progress={"warning": "10m"})
    await reports(story, 1, done=1)
    await story.look(SLOT_AT + 20 * MINUTE)
    assert await open_one(story, Kind.NO_PROGRESS) is None
    assert await story.again_at() == story.clock() + MINUTE
    await reports(story, 21, done=2)
    assert await open_one(story, Kind.NO_PROGRESS) is None
    await beats(story, 31)
    assert await open_one(story, Kind.NO_PROGRESS) is Severity.WARNING


async def test_a_run_that_never_reports_is_held_to_nothing(story: Story) -> None:
    await begins(story, no_progress={"warning": "10m"}, errors={"warning": 1})
    await story.look(SLOT_AT + HOUR / 2)
    assert await story.open() == {}


async def test_reported_errors_are_an_incident_until_a_run_ends_without(story: Story) -> None:
    await begins(story, errors={"warning": 2})
    await reports(story, 1, failure(1))
    assert await open_one(story, Kind.ERRORS) is None
    await reports(story, 2, failure(2))
    assert await open_one(story, Kind.ERRORS) is Severity.WARNING
    assert await message(story) == "report-0 reported 2 errors: most often timeout: no answer 2"
    await story.succeeds(0)
    assert await open_one(story, Kind.ERRORS) is Severity.WARNING
    await story.succeeds(1)
    assert await open_one(story, Kind.ERRORS) is None


async def test_an_example_is_read_where_errors_are_asked_for(story: Story) -> None:
    await begins(story, errors={"enabled": False}, no_progress={"warning": "10m"})
    await reports(story, 1, failure(1), done=1)
    for is_asked in (False, True):
        rules = {
            "no_progress": {"warning": "10m"},
            "errors": {"warning": 1, "enabled": is_asked},
        }
        policy = policies.read({"rules": rules}, policies.defaults())
        async with story.store.transaction() as unit:
            (told,) = (await Reported().gather(unit, policy, await story.runs())).values()
        assert (told.example is not None) is is_asked


async def test_only_errors_of_the_named_types_count(story: Story) -> None:
    await begins(story, errors={"warning": 2, "types": ["quota"]})
    await reports(story, 1, failure(1), failure(2), failure(3, "quota"))
    assert await open_one(story, Kind.ERRORS) is None
    await reports(story, 2, failure(4, "quota"))
    assert await open_one(story, Kind.ERRORS) is Severity.WARNING
    assert await message(story) == "report-0 reported 2 errors: most often quota: no answer 4"


async def test_one_dead_letter_is_enough(story: Story) -> None:
    await begins(story, errors={"warning": 50})
    letter = reporting.DeadLetter(seq=1, at=SLOT_AT, item="order-17", payload=None, error="x")
    await reports(story, 1, letter)
    assert await open_one(story, Kind.ERRORS) is Severity.WARNING
    assert await message(story) == "report-0 reported 1 dead letter: order-17: x"


@pytest.fixture
async def partial(story: Story) -> Story:
    """Tell of a job whose first run succeeded and whose second was partial."""
    await story.begin()
    await story.succeeds(0)
    ended_at = SLOT_AT + HOUR + MINUTE
    pod = replace(
        POD,
        job_uid="job-1",
        created_at=SLOT_AT + HOUR,
        started_at=SLOT_AT + HOUR,
        ended_at=ended_at,
        message='{"rollcall": {"result": "partial"}}',
    )
    story.clock.set(ended_at)
    times = {"slot_at": SLOT_AT + HOUR, "created_at": SLOT_AT + HOUR}
    end = ended_with(Status.SUCCEEDED, ended_at)
    await sees(story, pod, job_uid="job-1", job_name="report-1", **times, **end)
    return story


async def test_a_partial_run_is_no_success_also_where_its_cronjob_says_so(partial: Story) -> None:
    ended_at = SLOT_AT + HOUR + MINUTE
    partial.cluster.cronjob_now = replace(CRONJOB, last_success_at=ended_at)
    await partial.look(SLOT_AT + 2 * HOUR + 2 * MINUTE)  # a slot is missed, and the CronJob is read
    assert "cronjob" in partial.cluster.reads
    assert [run.status for run in await partial.runs()][-2:] == [Status.PARTIAL, Status.SUCCEEDED]
    assert (await partial.row()).state.last_success_at == SLOT_AT + MINUTE


async def test_a_partial_run_neither_fails_nor_mends(partial: Story) -> None:
    await partial.look(SLOT_AT + HOUR + 2 * MINUTE)
    assert await partial.open() == {}
    await partial.fails(2)
    assert (await partial.row()).state.consecutive_failures == 1


async def test_a_success_that_turns_out_to_be_partial_was_none(story: Story) -> None:
    await story.begin()
    await story.succeeds(0)
    await story.succeeds(1)
    assert (await story.row()).state.last_success_at == SLOT_AT + HOUR + MINUTE
    pod = replace(POD, job_uid="job-1", ended_at=SLOT_AT + HOUR + timedelta(seconds=50),
                  message='{"rollcall": {"result": "partial"}}')  # fmt: skip
    end = ended_with(Status.SUCCEEDED, SLOT_AT + HOUR + MINUTE)
    times = {"slot_at": SLOT_AT + HOUR, "created_at": SLOT_AT + HOUR}
    await sees(story, pod, job_uid="job-1", job_name="report-1", **times, **end)
    await story.look(SLOT_AT + HOUR + 2 * MINUTE)
    assert (await story.row()).state.last_success_at == SLOT_AT + MINUTE


async def test_a_success_without_the_rows_that_it_should_have_is_an_incident(story: Story) -> None:
    bound = {"name": "rows", "min": 1}
    await begins(story, counter={"warning": 1, "counters": [bound]})
    result = reporting.Result(
        seq=1, at=SLOT_AT, result=reporting.Verdict.SUCCEEDED, counters={"rows": 0}
    )
    await reports(story, 1, result)
    assert await story.open() == {}
    await story.succeeds(0)
    found = (await story.open())[Kind.COUNTER]
    assert found.message == "report-0 succeeded, and rows is 0, below 1"
    await story.succeeds(1)
    assert await open_one(story, Kind.COUNTER) is None


async def test_a_success_far_from_those_before_it_is_an_incident_until_one_is_near(
    story: Story,
) -> None:
    listed = [{"name": "rows", "deviates": True}]
    await story.begin({"rules": {"counter": {"warning": 1, "counters": listed}}})
    for slot in range(20):
        await counts(story, slot, 1000 + slot)
    assert await open_one(story, Kind.COUNTER) is None
    await counts(story, 20, 12)
    found = (await story.open())[Kind.COUNTER]
    assert found.message == (
        "report-20 succeeded, and rows is 12, far from 1009.5, the median of 20 runs before"
        " (spread 7.41)"
    )
    assert found.evidence["deviations"]["rows"]["runs"] == 20
    await counts(story, 21, 1010)
    assert await open_one(story, Kind.COUNTER) is None


async def counts(story: Story, slot: int, rows: int) -> None:
    """Let the run of a slot succeed, with so many rows."""
    at = SLOT_AT + slot * HOUR
    pod = builders.attempt(
        f"pod-{slot}", job_uid=f"job-{slot}", created_at=at, started_at=at + SECOND
    )
    story.clock.set(at + SECOND)
    await story.record(
        builders.observation(
            story.job, slot_at=at, created_at=at, job_uid=f"job-{slot}", job_name=f"report-{slot}"
        ),
        pod,
    )
    result = reporting.Result(
        seq=1, at=at, result=reporting.Verdict.SUCCEEDED, counters={"rows": rows}
    )
    said = reporting.Report(pod_uid=pod.pod_uid, at=at + SECOND, boot=BOOT, items=[result])
    await story.store.run(lambda unit: unit.reports.keep([said]))
    await story.succeeds(slot)

"""A job's time told step by step: which incident opens, and who is told."""

import asyncio

from rollcall.core import policies, slots
from rollcall.core.executions import Status
from rollcall.services import observe
from support import builders
from support.stories import HOUR, MINUTE, SECOND, SLOT_AT, Story, ended_with

QUOTA = slots.EventReading(
    reason="FailedCreate",
    message="Error creating job: exceeded quota: no-jobs",
    last_at=SLOT_AT + 2 * SECOND,
)


async def test_a_slot_without_a_job_is_missed_when_it_is_final_and_told_once(story: Story) -> None:
    await story.begin()
    story.cluster.seen = [QUOTA]
    await story.look(SLOT_AT + 89 * SECOND)
    assert await story.runs() == []
    await story.look(SLOT_AT + 90 * SECOND)
    [row] = await story.runs()
    assert (row.status, row.reason) == (Status.MISSED, "QuotaExceeded")
    await story.look(SLOT_AT + 91 * SECOND)
    assert await story.messages() == [("incident.opened", "missed", "critical")]


async def test_a_missed_slot_whose_job_turns_up_is_corrected_and_resolved(story: Story) -> None:
    await story.begin()
    await story.look(SLOT_AT + 2 * MINUTE)
    assert (await story.runs())[0].status is Status.MISSED
    later = SLOT_AT + 5 * MINUTE
    await story.sees(at=later, **ended_with(Status.SUCCEEDED, later))
    await story.look(later)
    [row] = await story.runs()
    assert row.status is Status.SUCCEEDED
    assert await story.open() == {}
    assert [kind for kind, _, _ in await story.messages()] == [
        "incident.opened",
        "incident.resolved",
    ]


async def test_three_failures_are_one_incident_that_is_raised_and_then_resolved(
    story: Story,
) -> None:
    await story.begin()
    for slot in range(4):
        await story.fails(slot)
    await story.succeeds(4)
    assert await story.messages() == [
        ("incident.opened", "failing", "warning"),
        ("incident.changed", "failing", "critical"),
        ("incident.resolved", "failing", "critical"),
    ]


async def test_two_successes_are_needed_where_the_job_says_so(story: Story) -> None:
    await story.begin({"alerts": {"recoveryThreshold": 2}})
    await story.fails(0)
    await story.succeeds(1)
    assert policies.Kind.FAILING in await story.open()
    await story.succeeds(2)
    assert await story.open() == {}


async def test_a_hanging_run_is_overrunning_and_not_stale_too(story: Story) -> None:
    await story.begin(
        {"rules": {"overrunning": {"warning": "10m"}, "stale": {"critical": "30m"}}},
        concurrency="Forbid",
    )
    started = {"job_started_at": SLOT_AT}
    await story.sees(at=SLOT_AT + MINUTE, **started)
    pod = builders.attempt(job_uid="job-0", started_at=SLOT_AT, created_at=SLOT_AT)
    seen = builders.observation(
        story.job, job_uid="job-0", job_name="report-0", owner_uid="cronjob-uid", slot_at=SLOT_AT
    )
    await observe.record(story.store, builders.CLUSTER, [seen], [pod])
    await story.look(SLOT_AT + 11 * MINUTE)
    await story.look(SLOT_AT + 2 * HOUR + 5 * MINUTE)
    rows = {row.slot_at: row for row in await story.runs()}
    skipped = rows[SLOT_AT + HOUR]
    assert (skipped.status, skipped.reason) == (Status.SKIPPED, "ForbidConcurrent")
    found = await story.open()
    assert found[policies.Kind.STALE].inhibited_by is policies.Kind.OVERRUNNING
    assert await story.messages() == [("incident.opened", "overrunning", "warning")]


async def test_a_deleted_job_withdraws_what_was_told_and_cancels_what_runs(story: Story) -> None:
    await story.begin()
    await story.fails(0)
    await story.sees(at=SLOT_AT + HOUR + 5 * SECOND, slot=1)
    await story.evaluator.forget(story.job.id)
    newest = (await story.runs())[0]
    assert (newest.status, newest.reason) == (Status.CANCELLED, "OwnerDeleted")
    assert [kind for kind, _, _ in await story.messages()] == [
        "incident.opened",
        "incident.withdrawn",
    ]


async def test_two_looks_at_once_open_one_incident_and_tell_once(story: Story) -> None:
    await story.begin()
    story.clock.set(SLOT_AT + 2 * MINUTE)
    await asyncio.gather(*(story.evaluator.evaluate(story.job.id) for _ in range(4)))
    await story.look(SLOT_AT + 3 * MINUTE)
    assert await story.messages() == [("incident.opened", "missed", "critical")]


async def test_without_a_channel_the_incident_is_kept_and_nobody_is_told(story: Story) -> None:
    await story.begin()
    story.channels.names = ()
    await story.fails(0)
    assert policies.Kind.FAILING in await story.open()
    await story.succeeds(1)
    assert await story.messages() == []


async def test_a_job_with_our_label_and_another_owner_is_ignored(story: Story) -> None:
    await story.begin()
    assert not await story.sees(at=SLOT_AT + MINUTE, owner_uid="somebody-else")
    assert await story.runs() == []


async def test_a_second_job_for_the_same_slot_is_a_manual_run(story: Story) -> None:
    await story.begin()
    await story.sees(at=SLOT_AT + MINUTE)
    await story.sees(at=SLOT_AT + MINUTE, job_uid="job-x", created_at=SLOT_AT + MINUTE)
    triggers = sorted(row.trigger.value for row in await story.runs())
    assert triggers == ["manual", "schedule"]


async def test_readings_repeated_or_out_of_order_change_no_row(story: Story) -> None:
    await story.begin()
    at = SLOT_AT + MINUTE
    await story.sees(at=at, **ended_with(Status.SUCCEEDED, at))
    before = await story.runs()
    await story.sees(at=at, **ended_with(Status.SUCCEEDED, at))
    await story.sees(at=at)
    assert await story.runs() == before


async def test_a_reminder_comes_after_the_cooldown_and_counts_what_it_speaks_for(
    story: Story,
) -> None:
    await story.begin({"alerts": {"cooldown": "2h"}, "rules": {"failing": {"warning": 1}}})
    for slot in range(3):
        await story.fails(slot)
    assert [kind for kind, _, _ in await story.messages()] == [
        "incident.opened",
        "incident.reminder",
    ]


async def test_a_run_killed_with_its_namespace_is_nobodys_failure(story: Story) -> None:
    await story.begin()
    story.leaving = True
    await story.fails(0)
    assert await story.open() == {}
    await story.evaluator.forget(story.job.id)
    assert await story.messages() == []

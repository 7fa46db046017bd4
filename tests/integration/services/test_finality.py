"""When a slot is judged, by what, and what a look costs."""

from dataclasses import replace

from rollcall.core import policies, slots
from rollcall.core.executions import Status
from support import builders
from support.stories import CRONJOB, DAY, HOUR, MINUTE, SECOND, SLOT_AT, Story

BEGUN = SLOT_AT - MINUTE  # so that the first expected slot is SLOT_AT
FORBID = {
    "schedule": "*/5 * * * *",
    "concurrency": "Forbid",
    "deadline": DAY,
    "effective_from": BEGUN,
}
FIVE = 5 * MINUTE
QUIET = {"rules": {"stale": {"enabled": False}, "late": {"enabled": False}}}


async def verdicts(story: Story) -> list[tuple[Status, str | None]]:
    return [(run.status, run.reason) for run in await story.runs()]


async def test_a_slot_held_by_a_running_job_is_skipped_and_told_to_nobody(story: Story) -> None:
    await story.begin(QUIET, **FORBID)
    story.clock.set(SLOT_AT + 2 * SECOND)
    pod = builders.attempt(job_uid="blocker", started_at=SLOT_AT + SECOND)
    await story.record(story.job_of(SLOT_AT, None, job_uid="blocker"), pod)
    story.cluster.cronjob_now = replace(CRONJOB, last_schedule_at=SLOT_AT)
    final_at = SLOT_AT + 11 * MINUTE  # the slot of 12:05 ends with the next one, plus the grace
    await story.look(final_at - SECOND)
    assert (await verdicts(story))[0] == (Status.RUNNING, None)
    await story.look(final_at)
    [skipped, running] = await story.runs()
    assert (skipped.status, skipped.reason) == (Status.SKIPPED, "ForbidConcurrent")
    assert running.job_name
    assert running.job_name in (skipped.message or "")
    await story.look(final_at + MINUTE)
    assert await story.runs() == [skipped, running]
    assert await story.messages() == []


async def test_a_run_that_only_the_ledger_takes_for_running_holds_no_slot(story: Story) -> None:
    await story.begin(QUIET, **FORBID)
    story.clock.set(SLOT_AT + 2 * SECOND)
    pod = builders.attempt(job_uid="blocker", started_at=SLOT_AT + SECOND)
    await story.record(story.job_of(SLOT_AT, None, job_uid="blocker"), pod)
    story.cluster.here = [story.job_of(SLOT_AT, job_uid="blocker")]  # no watch told its end
    story.cluster.cronjob_now = replace(CRONJOB, last_schedule_at=SLOT_AT)
    await story.look(SLOT_AT + 11 * MINUTE)
    assert [run.status for run in await story.runs()] == [Status.MISSED, Status.SUCCEEDED]


async def test_a_job_whose_pods_take_long_to_end_holds_the_slots_until_they_have(
    story: Story,
) -> None:
    await story.begin(QUIET, **FORBID)
    story.clock.set(SLOT_AT + 4 * MINUTE)
    ending = story.job_of(SLOT_AT, Status.FAILED, job_uid="ending", ended_at=SLOT_AT + 4 * MINUTE)
    await story.record(ending)
    story.cluster.cronjob_now = replace(CRONJOB, active=frozenset({"ending"}))
    await story.look(SLOT_AT + 11 * MINUTE)
    assert (await verdicts(story))[0] == (Status.SKIPPED, "ForbidConcurrent")


async def test_a_job_by_hand_holds_a_slot_only_where_the_controller_counts_it(
    story: Story,
) -> None:
    await story.begin(QUIET, **FORBID)
    by_hand = story.job_of(
        SLOT_AT, None, slot_at=None, created_at=SLOT_AT - MINUTE, job_uid="by-hand"
    )
    story.clock.set(SLOT_AT)
    await story.record(by_hand)
    await story.look(SLOT_AT + 6 * MINUTE)
    assert (await verdicts(story))[0] == (Status.MISSED, "NotStarted")
    story.cluster.cronjob_now = replace(CRONJOB, active=frozenset({"by-hand"}))
    await story.look(SLOT_AT + 11 * MINUTE)
    assert (await verdicts(story))[0] == (Status.SKIPPED, "ForbidConcurrent")


async def test_a_run_that_held_all_slots_of_a_day_skipped_them_all(story: Story) -> None:
    await story.begin(QUIET, **FORBID)
    story.clock.set(SLOT_AT)
    ended_at = SLOT_AT + DAY + 2 * MINUTE
    story.cluster.here = [story.job_of(SLOT_AT, Status.SUCCEEDED, ended_at=ended_at)]
    await story.record(story.cluster.here[0])
    assert await story.look_until_done(SLOT_AT + DAY + 7 * MINUTE) > 1
    async with story.store.transaction() as transaction:
        runs = await transaction.ledger.recent(story.job.id, 1000)
    statuses = [run.status for run in runs]
    # The slot in which it ended could have started after it.
    assert (statuses[0], runs[0].slot_at) == (Status.MISSED, SLOT_AT + DAY)
    assert statuses[1:-1] == [Status.SKIPPED] * (24 * 12 - 1)


async def test_a_job_that_the_judge_finds_is_recorded_and_not_judged(story: Story) -> None:
    await story.begin()
    story.cluster.here = [story.job_of(SLOT_AT)]
    await story.look(SLOT_AT + 2 * MINUTE)
    assert await verdicts(story) == [(Status.SUCCEEDED, "CompletionsReached")]


async def test_a_job_of_another_cronjob_does_not_keep_the_slot_from_its_verdict(
    story: Story,
) -> None:
    await story.begin()
    story.cluster.here = [story.job_of(SLOT_AT, owner_uid="of an earlier CronJob")]
    assert await story.look_until_done(SLOT_AT + 2 * MINUTE) == 1
    assert await verdicts(story) == [(Status.MISSED, "NotStarted")]


async def test_a_slot_that_the_cronjob_started_and_whose_job_is_gone_is_unknown(
    story: Story,
) -> None:
    await story.begin()
    story.cluster.cronjob_now = replace(CRONJOB, last_schedule_at=SLOT_AT)
    await story.look(SLOT_AT + 2 * MINUTE)
    assert await verdicts(story) == [(Status.UNKNOWN, "JobGone")]
    assert await story.messages() == []


async def test_a_late_slot_is_looked_for_in_the_cluster_before_anybody_is_told(
    story: Story,
) -> None:
    await story.begin(deadline=DAY)
    story.cluster.here = [story.job_of(SLOT_AT, None)]  # no watch has delivered it
    pod = builders.attempt(job_uid=story.cluster.here[0].job_uid, started_at=SLOT_AT)
    await story.look(SLOT_AT + FIVE)
    assert [run.status for run in await story.runs()] == [Status.PENDING]
    await story.record(story.cluster.here[0], pod)
    await story.look(SLOT_AT + 6 * MINUTE)
    assert await story.open() == {}


async def test_a_late_slot_says_what_keeps_it_from_starting(story: Story) -> None:
    await story.begin(deadline=DAY)
    story.cluster.seen = [
        slots.EventReading(
            reason="FailedCreate", message="exceeded quota: few-jobs", last_at=SLOT_AT + SECOND
        )
    ]
    await story.look(SLOT_AT + FIVE)
    incident = (await story.open())[policies.Kind.LATE]
    assert (incident.reason, incident.inhibited_by) == (
        "QuotaExceeded",
        policies.Kind.CANNOT_START,
    )
    assert "exceeded quota: few-jobs" in incident.message


async def test_a_late_slot_of_which_nothing_is_known_blames_nobody(story: Story) -> None:
    await story.begin({"rules": {"late": {"warning": "10s"}}}, deadline=DAY)
    await story.look(SLOT_AT + 10 * SECOND)
    [incident] = (await story.open()).values()
    assert incident.reason == "NotStarted"
    assert story.cluster.reads == ["job", "cronjob", "events"]


async def test_others_that_will_be_due_later_do_not_make_the_controller_stand_still(
    story: Story,
) -> None:
    await story.begin(deadline=DAY)
    for name in ("first", "second"):
        other = builders.job(name, created_at=SLOT_AT - DAY)
        async with story.store.transaction() as transaction:
            await transaction.registry.register(other)
            later = builders.revision(schedule="30 * * * *", effective_from=SLOT_AT - 20 * MINUTE)
            await transaction.registry.applied(other.id, builders.applied(later))
    await story.look(SLOT_AT + FIVE)
    [incident] = (await story.open()).values()
    assert incident.reason == "NotStarted"


async def test_the_event_that_explains_a_miss_is_kept(story: Story) -> None:
    await story.begin()
    said = slots.EventReading(
        reason="FailedCreate", message="exceeded quota: few-jobs", last_at=SLOT_AT + SECOND
    )
    story.cluster.seen = [said]
    await story.look(SLOT_AT + 2 * MINUTE)
    [row] = await story.runs()
    async with story.store.transaction() as transaction:
        [event] = await transaction.events.of(row.id)
    assert (event.at, event.source, event.reason) == (said.last_at, "kubernetes", said.reason)


async def test_where_no_cronjob_of_the_cluster_starts_the_controller_is_down(
    story: Story,
) -> None:
    await story.begin()
    for name in ("first", "second"):
        other = builders.job(name, created_at=SLOT_AT - DAY)
        async with story.store.transaction() as transaction:
            await transaction.registry.register(other)
            minutely = builders.revision(schedule="* * * * *", effective_from=SLOT_AT - HOUR)
            await transaction.registry.applied(other.id, builders.applied(minutely))
    await story.look(SLOT_AT + 2 * MINUTE)
    assert await verdicts(story) == [(Status.MISSED, "ControllerDown")]

"""Long series of slots in which nothing ran, on a real Postgres."""

import time
from dataclasses import replace

from rollcall.core import blindness, policies
from rollcall.core.executions import Status
from support.stories import CRONJOB, DAY, HOUR, MINUTE, SECOND, SLOT_AT, Story

MINUTELY = {"schedule": "* * * * *", "deadline": 30 * SECOND}


async def minutes(story: Story, count: int) -> None:
    """Look at each of so many minutes, from the first final slot on."""
    for number in range(count):
        await story.look(SLOT_AT + number * MINUTE + 90 * SECOND)


async def begin(story: Story) -> None:
    # The first expected slot is SLOT_AT.
    await story.begin(**MINUTELY, effective_from=SLOT_AT - MINUTE)


async def test_of_more_than_ten_missed_slots_the_rest_is_one_gap_that_the_rule_counts(
    story: Story,
) -> None:
    await begin(story)
    await minutes(story, 14)
    assert len(await story.runs()) == 10
    [gap] = await story.gaps()
    first, last = SLOT_AT + 10 * MINUTE, SLOT_AT + 13 * MINUTE
    assert (gap.from_at, gap.until_at, gap.status, gap.count) == (first, last, "missed", 4)
    missed = (await story.open())[policies.Kind.MISSED]
    assert missed.evidence["count"] == 14
    assert missed.message.startswith("14 runs in a row did not start, the last of 2026-03-02 12:13")


async def test_a_series_told_in_one_look_is_the_same_as_told_slot_by_slot(story: Story) -> None:
    await begin(story)
    await story.look_until_done(SLOT_AT + 13 * MINUTE + 90 * SECOND)
    assert len(await story.runs()) == 10
    [gap] = await story.gaps()
    first, last = SLOT_AT + 10 * MINUTE, SLOT_AT + 13 * MINUTE
    assert (gap.from_at, gap.until_at, gap.count) == (first, last, 4)
    assert (await story.open())[policies.Kind.MISSED].evidence["count"] == 14


async def test_a_job_found_in_a_gap_gets_its_row_and_the_count_drops(story: Story) -> None:
    await begin(story)
    await story.look_until_done(SLOT_AT + 39 * MINUTE + 90 * SECOND)
    found = SLOT_AT + 20 * MINUTE
    story.clock.set(SLOT_AT + 41 * MINUTE)
    assert await story.record(story.job_of(found))
    for _ in range(2):
        await story.look_until_done(SLOT_AT + 41 * MINUTE)
        [gap] = await story.gaps()
        assert gap.count == 29  # of the 30 slots from 12:10 to 12:39 one ran
        ran = [run for run in await story.runs() if run.status is Status.SUCCEEDED]
        assert [run.slot_at for run in ran] == [found]
        # In a row are those after it.
        assert (await story.open())[policies.Kind.MISSED].evidence["count"] == 19


async def test_a_series_after_a_success_begins_with_rows_again(story: Story) -> None:
    await begin(story)
    await story.look_until_done(SLOT_AT + 14 * MINUTE + 90 * SECOND)
    ran = SLOT_AT + 15 * MINUTE
    story.clock.set(ran + MINUTE)
    await story.record(story.job_of(ran))
    await story.look_until_done(ran + 12 * MINUTE + 90 * SECOND)
    assert [gap.count for gap in await story.gaps()] == [5, 2]
    missed = [run for run in await story.runs() if run.status is Status.MISSED]
    assert len(missed) == 20
    assert (await story.open())[policies.Kind.MISSED].evidence["count"] == 12


async def test_ten_days_of_missed_minutes_cost_few_looks_and_reads(story: Story) -> None:
    await begin(story)
    story.cluster.cronjob_now = replace(CRONJOB, last_schedule_at=None)
    began = time.perf_counter()
    looks = await story.look_until_done(SLOT_AT + 10 * DAY)
    took = time.perf_counter() - began
    assert looks <= 3, took
    assert len(await story.runs()) == 10
    [gap] = await story.gaps()
    assert gap.count == 10 * 24 * 60 - 10 - 1
    assert story.cluster.reads.count("jobs") == looks
    assert (await story.open())[policies.Kind.MISSED].evidence["count"] == 10 * 24 * 60 - 1


async def test_an_operator_away_for_days_knows_what_its_jobs_prove_and_no_more(
    story: Story,
) -> None:
    """Every slot ran; the controller has kept the Jobs of the last fifteen."""
    await begin(story)
    back = SLOT_AT + 2 * DAY
    story.sight = blindness.Sight(blind=[blindness.Blind(from_at=SLOT_AT, until_at=back)])
    newest = [back + (9 - number) * MINUTE for number in range(15)]
    story.cluster.here = [story.job_of(at) for at in newest]
    story.cluster.cronjob_now = replace(CRONJOB, last_schedule_at=newest[0], keeps_succeeded=15)
    await story.look_until_done(back + 10 * MINUTE)
    runs = await story.runs()
    succeeded = [run.slot_at for run in runs if run.status is Status.SUCCEEDED]
    assert succeeded == newest
    [gap] = await story.gaps()
    assert (gap.status, gap.reason) == ("unknown", "NotSeen")
    unknown = [run for run in runs if run.status is Status.UNKNOWN]
    assert len(unknown) + gap.count == 2 * 24 * 60 - 5
    told = await story.messages()
    assert told == []


async def test_an_operator_away_for_hours_calls_missed_what_left_no_job_where_one_would_be(
    story: Story,
) -> None:
    await story.begin(deadline=30 * SECOND)
    back = SLOT_AT + 6 * HOUR
    story.sight = blindness.Sight(blind=[blindness.Blind(from_at=SLOT_AT - MINUTE, until_at=back)])
    ran = [0, 1, 2, 4]  # not the slot of 15:00, nor the newest, of 17:00
    story.cluster.here = [story.job_of(SLOT_AT + hour * HOUR) for hour in ran]
    story.cluster.cronjob_now = replace(CRONJOB, last_schedule_at=SLOT_AT + 4 * HOUR)
    await story.look_until_done(back - 30 * MINUTE)
    found = {run.slot_at: run.status for run in await story.runs()}
    assert found == {
        SLOT_AT: Status.SUCCEEDED,
        SLOT_AT + HOUR: Status.SUCCEEDED,
        SLOT_AT + 2 * HOUR: Status.SUCCEEDED,
        SLOT_AT + 3 * HOUR: Status.MISSED,
        SLOT_AT + 4 * HOUR: Status.SUCCEEDED,
        SLOT_AT + 5 * HOUR: Status.MISSED,
    }


async def test_more_runs_than_a_look_remembers_are_all_known_to_have_run(story: Story) -> None:
    await begin(story)
    story.clock.set(SLOT_AT + 150 * MINUTE)
    for number in range(150):
        await story.record(story.job_of(SLOT_AT + number * MINUTE))
    await story.look_until_done(SLOT_AT + 150 * MINUTE)
    assert {run.status for run in await story.runs()} == {Status.SUCCEEDED}
    assert (await story.row()).state.judged_through == SLOT_AT + 148 * MINUTE
    assert story.cluster.reads == []


async def test_a_success_that_only_the_cronjob_remembers_keeps_a_job_from_being_stale(
    story: Story,
) -> None:
    await story.begin(deadline=30 * SECOND)
    back = SLOT_AT + 2 * DAY
    story.sight = blindness.Sight(blind=[blindness.Blind(from_at=SLOT_AT - MINUTE, until_at=back)])
    story.cluster.cronjob_now = replace(
        CRONJOB,
        last_schedule_at=back - HOUR,
        last_success_at=back - 59 * MINUTE,
        keeps_for=15 * MINUTE,
    )
    await story.look_until_done(back - 10 * MINUTE)
    assert await story.open() == {}
    assert (await story.row()).state.last_success_at == back - 59 * MINUTE

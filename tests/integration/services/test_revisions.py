"""Edits of the schedule, suspension and resumption, deletion and re-creation."""

from dataclasses import replace

from rollcall.core import policies, slots
from rollcall.core.executions import Status
from support import builders
from support.stories import CRONJOB, DAY, HOUR, HOURLY, MINUTE, SECOND, SLOT_AT, Story

QUIET = {"rules": {"stale": {"enabled": False}}}


def edited(**changes: object) -> slots.Revision:
    values = {name: getattr(HOURLY, name) for name in HOURLY.__slots__}
    return slots.Revision(**values | changes)


async def told(story: Story) -> list[tuple[int, Status]]:
    """Return the slots of the ledger in minutes after SLOT_AT, oldest first."""
    runs = sorted(await story.runs(), key=lambda run: run.slot_at)
    return [((run.slot_at - SLOT_AT) // MINUTE, run.status) for run in runs]


async def test_a_suspended_job_expects_nothing_and_its_suspension_is_one_gap(story: Story) -> None:
    await story.begin(suspended=True)
    await story.look(SLOT_AT + 2 * DAY)
    assert await story.runs() == []
    assert await story.open() == {}
    [gap] = await story.gaps()
    assert (gap.status, gap.from_at, gap.until_at) == ("suspended", HOURLY.effective_from, None)


async def test_a_suspension_that_lasts_is_told_where_the_job_wants_it_until_it_is_resumed(
    story: Story,
) -> None:
    await story.begin({"rules": {"suspended": {"warning": "1d"}}}, suspended=True)
    edit = edited(suspended=True, effective_from=SLOT_AT + HOUR, schedule="30 * * * *")
    await story.applied(edit)
    due_at = HOURLY.effective_from + DAY
    await story.look(due_at - MINUTE)
    assert (await story.open(), await story.again_at()) == ({}, due_at)
    await story.look(due_at)
    assert (await story.open()).keys() == {policies.Kind.SUSPENDED}
    await story.applied(edited(effective_from=due_at + MINUTE))
    await story.look(due_at + MINUTE)
    assert await story.open() == {}


async def test_after_a_resumption_only_what_comes_then_is_expected(story: Story) -> None:
    await story.begin(QUIET)
    await story.applied(edited(suspended=True, effective_from=SLOT_AT + 10 * MINUTE))
    await story.look(SLOT_AT + 20 * MINUTE)
    resumed_at = SLOT_AT + 3 * HOUR + 30 * MINUTE
    await story.applied(edited(effective_from=resumed_at))
    await story.look(resumed_at)
    await story.look_until_done(SLOT_AT + 4 * HOUR + 2 * MINUTE)
    assert await told(story) == [(0, Status.MISSED), (240, Status.MISSED)]
    [gap] = await story.gaps()
    assert (gap.until_at, gap.count) == (resumed_at, 3)


async def test_no_slot_is_expected_within_a_minute_of_its_schedule(story: Story) -> None:
    await story.begin(effective_from=SLOT_AT - 59 * SECOND)
    await story.look(SLOT_AT + 10 * MINUTE)
    assert await story.runs() == []


async def test_a_slot_within_a_minute_of_a_suspension_is_not_missed(story: Story) -> None:
    await story.begin()
    await story.applied(edited(suspended=True, effective_from=SLOT_AT + 59 * SECOND))
    await story.look_until_done(SLOT_AT + 10 * MINUTE)
    assert await story.runs() == []


async def test_an_edit_moves_slots_from_its_moment_on(story: Story) -> None:
    await story.begin(QUIET)
    await story.applied(
        edited(schedule="15,45 * * * *", effective_from=SLOT_AT + 30 * MINUTE, generation=2)
    )
    await story.look_until_done(SLOT_AT + 80 * MINUTE)
    assert await told(story) == [
        (0, Status.MISSED),
        (45, Status.MISSED),
        (75, Status.MISSED),
    ]


async def test_an_edit_of_the_zone_is_an_edit_of_the_slots(story: Story) -> None:
    await story.begin(QUIET, schedule="30 13 * * *")
    await story.applied(
        edited(
            schedule="30 13 * * *", time_zone="Europe/Berlin", effective_from=SLOT_AT + 10 * MINUTE
        )
    )
    await story.look_until_done(SLOT_AT + 2 * HOUR)
    assert await told(story) == [(30, Status.MISSED)]  # 13:30 in Berlin is 12:30 UTC


async def test_an_edit_while_the_operator_was_down_counts_from_its_own_apply(
    story: Story,
) -> None:
    """The API server's time of the apply decides, however late it is learned of."""
    await story.begin(QUIET)
    story.clock.set(SLOT_AT + 3 * HOUR)
    await story.applied(edited(schedule="30 * * * *", effective_from=SLOT_AT + 3 * HOUR))
    await story.look_until_done(SLOT_AT + 3 * HOUR + 40 * MINUTE)
    assert await told(story) == [
        (0, Status.MISSED),
        (60, Status.MISSED),
        (120, Status.MISSED),
        (210, Status.MISSED),
    ]


async def test_an_edit_to_a_faster_schedule_makes_no_job_stale(story: Story) -> None:
    await story.begin({"rules": {"late": {"enabled": False}}}, schedule="@daily", deadline=DAY)
    ended_at = SLOT_AT + MINUTE
    await story.sees(at=ended_at, decided=Status.SUCCEEDED, ended_at=ended_at)
    edited_at = SLOT_AT + 6 * HOUR
    story.clock.set(edited_at)
    await story.applied(edited(schedule="*/5 * * * *", effective_from=edited_at))
    await story.look(edited_at + SECOND)
    assert await story.open() == {}


async def test_a_slot_that_still_waited_is_given_up_with_its_schedule(story: Story) -> None:
    await story.begin(QUIET, deadline=DAY)
    await story.applied(
        edited(schedule="@daily", deadline=DAY, effective_from=SLOT_AT + 20 * MINUTE)
    )
    await story.look(SLOT_AT + 20 * MINUTE + 59 * SECOND)
    assert await story.runs() == []
    await story.look(SLOT_AT + 21 * MINUTE)
    assert await told(story) == [(0, Status.MISSED)]


async def test_a_job_seen_for_a_slot_that_nobody_expected_is_recorded_all_the_same(
    story: Story,
) -> None:
    await story.begin(suspended=True)
    story.clock.set(SLOT_AT + MINUTE)
    await story.record(story.job_of(SLOT_AT))
    await story.look(SLOT_AT + 2 * MINUTE)
    assert await told(story) == [(0, Status.SUCCEEDED)]


async def test_a_slot_that_waited_when_its_cronjob_was_suspended_by_hand_names_who_did_it(
    story: Story,
) -> None:
    await story.begin(QUIET, deadline=DAY)
    at = SLOT_AT + 20 * MINUTE
    story.cluster.cronjob_now = replace(
        CRONJOB,
        suspended=True,
        suspended_by="kubectl-patch",
        suspended_at=at,
        revision=edited(suspended=True, deadline=DAY, effective_from=at, generation=2),
    )
    await story.look_until_done(at + HOUR)
    [row] = await story.runs()
    assert (row.slot_at, row.status, row.reason) == (SLOT_AT, Status.MISSED, "Suspended")
    assert "kubectl-patch" in (row.message or "")


async def test_what_the_cronjob_says_of_its_schedule_is_learned_before_anything_is_judged(
    story: Story,
) -> None:
    await story.begin()
    by_hand = edited(suspended=True, effective_from=SLOT_AT - 10 * MINUTE, generation=2)
    story.cluster.cronjob_now = replace(CRONJOB, suspended=True, revision=by_hand)
    await story.look_until_done(SLOT_AT + 3 * HOUR)
    assert await story.runs() == []
    assert [(gap.status, gap.from_at) for gap in await story.gaps()] == [
        ("suspended", by_hand.effective_from)
    ]
    assert await story.messages() == []


async def test_the_schedule_of_another_cronjob_of_that_name_is_not_ours(story: Story) -> None:
    await story.begin()
    other = edited(suspended=True, effective_from=SLOT_AT - 10 * MINUTE, generation=2)
    story.cluster.cronjob_now = replace(CRONJOB, uid="another", revision=other)
    await story.look_until_done(SLOT_AT + 2 * MINUTE)
    assert await told(story) == [(0, Status.MISSED)]


async def test_without_its_cronjob_a_slot_is_missed_for_that(story: Story) -> None:
    await story.begin()
    story.cluster.cronjob_now = None
    await story.look(SLOT_AT + 2 * MINUTE)
    [row] = await story.runs()
    assert (row.status, row.reason) == (Status.MISSED, "CronJobDeleted")


async def test_around_the_making_of_a_new_cronjob_no_slot_is_expected(story: Story) -> None:
    await story.begin(QUIET)
    story.cluster.cronjob_now = replace(
        CRONJOB, uid="another", created_at=SLOT_AT + HOUR + 20 * SECOND
    )
    await story.look_until_done(SLOT_AT + HOUR + 2 * MINUTE)
    [row] = await story.runs()
    assert (row.slot_at, row.reason) == (SLOT_AT, "CronJobDeleted")


async def test_a_job_made_again_under_its_name_begins_a_history_of_its_own(story: Story) -> None:
    await story.begin(QUIET)
    await story.look(SLOT_AT + 2 * MINUTE)
    before = await story.runs()
    again = builders.job(uid="made again", created_at=SLOT_AT + 10 * MINUTE)
    story.clock.set(SLOT_AT + 10 * MINUTE)
    async with story.store.transaction() as transaction:
        await transaction.registry.register(again)
        rhythm = edited(effective_from=SLOT_AT + 10 * MINUTE)
        await transaction.registry.applied(again.id, builders.applied(rhythm))
    old, story.job = story.job, again
    await story.look(SLOT_AT + 30 * MINUTE)
    assert await story.runs() == []
    story.job = old
    assert await story.runs() == before

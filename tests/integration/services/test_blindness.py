"""Times in which we did not see, on a real Postgres."""

from datetime import timedelta

from rollcall.core import blindness, policies, slots
from rollcall.core.executions import Status
from rollcall.core.health import Health
from rollcall.services import ports, sight
from rollcall.store import engine
from support import builders, clocks
from support.stories import DAY, HOUR, MINUTE, SECOND, SLOT_AT, Cluster, Story

QUOTA = slots.EventReading(
    reason="FailedCreate",
    message="Error creating job: jobs.batch is forbidden: exceeded quota: none",
    last_at=SLOT_AT + SECOND,
)


def blind(begin: timedelta, end: timedelta) -> blindness.Sight:
    period = blindness.Blind(from_at=SLOT_AT + begin, until_at=SLOT_AT + end)
    return blindness.Sight(blind=[period])


async def test_a_slot_that_ended_while_we_were_blind_is_judged_as_soon_as_we_see(
    story: Story,
) -> None:
    await story.begin()
    story.sight = blind(MINUTE, 4 * MINUTE)  # the slot is final at 12:01:30
    story.cluster.seen = [QUOTA]
    await story.look(SLOT_AT + 4 * MINUTE)
    assert [(run.status, run.reason) for run in await story.runs()] == [
        (Status.MISSED, "QuotaExceeded")
    ]
    assert await story.messages() == [("incident.opened", "missed", "critical")]


async def test_a_slot_that_is_not_final_when_we_see_again_is_given_its_time(story: Story) -> None:
    await story.begin()
    story.sight = blind(30 * SECOND, 80 * SECOND)
    await story.look(SLOT_AT + 80 * SECOND)
    assert await story.runs() == []
    assert await story.again_at() == SLOT_AT + 90 * SECOND


async def test_nobody_waits_longer_than_ten_minutes_for_a_limit_that_was_reached_unseen(
    story: Story,
) -> None:
    await story.begin(deadline=DAY)
    story.sight = blind(MINUTE, 50 * MINUTE)
    await story.look(SLOT_AT + 50 * MINUTE)
    assert policies.Kind.LATE in await story.open()


async def test_a_slot_that_could_not_be_seen_to_start_is_not_late_at_once(story: Story) -> None:
    await story.begin(deadline=DAY)
    story.sight = blind(4 * MINUTE, 7 * MINUTE)
    await story.look(SLOT_AT + 7 * MINUTE)
    assert await story.open() == {}
    await story.look(SLOT_AT + 8 * MINUTE)
    assert policies.Kind.LATE in await story.open()


async def test_a_slot_that_a_later_run_left_behind_is_not_late(story: Story) -> None:
    await story.begin(schedule="*/5 * * * *", deadline=DAY, effective_from=SLOT_AT - 2 * MINUTE)
    await story.look(SLOT_AT + 5 * MINUTE + 20 * SECOND)
    assert policies.Kind.LATE in await story.open()
    await story.record(story.job_of(SLOT_AT + 5 * MINUTE, None))
    await story.look(SLOT_AT + 5 * MINUTE + 30 * SECOND)  # the slot of 12:00 is not final yet
    assert await story.open() == {}
    assert [run.slot_at for run in await story.runs()] == [SLOT_AT + 5 * MINUTE]


async def test_misses_that_nobody_saw_are_one_alert_though_a_later_slot_has_run(
    story: Story,
) -> None:
    await story.begin(schedule="* * * * *", effective_from=SLOT_AT)
    story.sight = blind(30 * SECOND, 4 * MINUTE + 20 * SECOND)
    await story.record(story.job_of(SLOT_AT + 4 * MINUTE))
    back = SLOT_AT + 4 * MINUTE + 40 * SECOND
    await story.look_until_done(back)
    ran, *missed = await story.runs()
    assert ran.status is Status.SUCCEEDED
    assert {run.status for run in missed} == {Status.MISSED}
    assert [run.slot_at for run in missed] == [SLOT_AT + minute * MINUTE for minute in (3, 2, 1)]
    assert await story.messages() == [
        ("incident.opened", "missed", "critical"),
        ("incident.resolved", "missed", "critical"),
    ]
    assert await story.open() == {}


async def test_a_long_series_that_nobody_saw_is_counted_with_its_gap(story: Story) -> None:
    await story.begin(schedule="* * * * *", effective_from=SLOT_AT)
    story.sight = blind(30 * SECOND, 30 * MINUTE + 20 * SECOND)
    story.cluster.here = [story.job_of(SLOT_AT + 30 * MINUTE)]
    await story.record(*story.cluster.here)
    await story.look(SLOT_AT + 30 * MINUTE + 40 * SECOND)
    incident = (await story.open())[policies.Kind.MISSED]
    assert incident.evidence["count"] == 29
    await story.look_until_done(SLOT_AT + 30 * MINUTE + 40 * SECOND)
    assert await story.open() == {}


async def test_clocks_that_differ_widen_the_grace(story: Story) -> None:
    await story.begin()
    story.sight = blindness.Sight(clock_difference=-30 * SECOND)
    await story.look(SLOT_AT + 119 * SECOND)
    assert await story.runs() == []
    await story.look(SLOT_AT + 120 * SECOND)
    assert [run.status for run in await story.runs()] == [Status.MISSED]


class Nothing:
    """An inbox in which nothing waits."""

    def oldest(self) -> None:
        return None


def eyes(store: engine.Database, clock: clocks.Clock, cluster: Cluster) -> sight.Sight:
    async def resync() -> None:
        pass

    return sight.Sight(
        store=store,
        evidence=cluster,
        inbox=Nothing(),
        resync=resync,
        cluster=builders.CLUSTER,
        clock=clock,
        changed=lambda _: None,
    )


async def test_a_restart_knows_since_when_nobody_looked(
    store: engine.Database, clock: clocks.Clock
) -> None:
    first = eyes(store, clock, Cluster())
    await first.look()
    last = clock()
    clock.advance(5 * SECOND)
    await first.look()  # keeps the look before
    clock.advance(2 * HOUR)
    second = eyes(store, clock, Cluster())
    await second.look()
    [period] = second.seen().blind
    assert (period.from_at, period.until_at) == (last, clock())
    clock.advance(HOUR)
    third = eyes(store, clock, Cluster())
    await third.look()
    assert len(third.seen().blind) == 2


async def test_while_blind_jobs_without_an_incident_are_unknown_and_looked_at_afterwards(
    story: Story,
) -> None:
    await story.begin()
    await story.succeeds(0)
    failing = builders.job("failing", created_at=SLOT_AT - DAY)
    async with story.store.transaction() as transaction:
        await transaction.registry.register(failing)
        row = await transaction.schedule.lock(failing.id)
        assert row
        state = ports.JobState(health=Health.FAILING)
        await transaction.schedule.save(failing.id, state, SLOT_AT + DAY)
    view = eyes(story.store, story.clock, story.cluster)
    await view.look()
    story.cluster.away = True
    story.clock.advance(2 * MINUTE + SECOND)
    await view.try_to_look()
    assert (await story.row()).state.health is Health.UNKNOWN
    async with story.store.transaction() as transaction:
        rows = await transaction.registry.registered(builders.CLUSTER)
    assert {row.job.name: row.state.health for row in rows} == {
        "report": Health.UNKNOWN,
        "failing": Health.FAILING,
    }
    story.cluster.away = False
    await view.look()
    assert await story.again_at() == story.clock()
    await story.look(story.clock())
    assert (await story.row()).state.health is Health.HEALTHY

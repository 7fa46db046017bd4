"""Times in which we did not see, on a real Postgres."""

from datetime import timedelta

from rollcall.core import blindness, policies
from rollcall.core.executions import Status
from rollcall.core.health import Health
from rollcall.services import ports, sight
from rollcall.store import engine
from support import builders, clocks
from support.stories import DAY, HOUR, MINUTE, SECOND, SLOT_AT, Cluster, Story


def blind(begin: timedelta, end: timedelta) -> blindness.Sight:
    period = blindness.Blind(from_at=SLOT_AT + begin, until_at=SLOT_AT + end)
    return blindness.Sight(blind=[period])


async def test_a_deadline_that_fell_due_while_we_were_blind_is_judged_later(story: Story) -> None:
    await story.begin()
    story.sight = blind(MINUTE, 4 * MINUTE)  # the slot is final at 12:01:30
    await story.look(SLOT_AT + 4 * MINUTE)
    assert await story.runs() == []
    due = SLOT_AT + 90 * SECOND + 3 * MINUTE
    assert await story.again_at() == due
    await story.look(due)
    assert [run.status for run in await story.runs()] == [Status.MISSED]


async def test_slots_that_wait_for_an_earlier_one_are_not_asked_for_until_then(
    story: Story,
) -> None:
    await story.begin(schedule="* * * * *", effective_from=SLOT_AT)
    story.sight = blind(MINUTE, 3 * MINUTE)
    at = SLOT_AT + 4 * MINUTE + 10 * SECOND  # the slot of 12:02 fell due a moment after
    await story.look(at)
    assert await story.runs() == []
    assert await story.again_at() == SLOT_AT + 150 * SECOND + 2 * MINUTE


async def test_nobody_waits_longer_than_ten_minutes_for_it(story: Story) -> None:
    await story.begin()
    story.sight = blind(MINUTE, 50 * MINUTE)
    await story.look(SLOT_AT + 50 * MINUTE)
    assert [run.status for run in await story.runs()] == [Status.MISSED]


async def test_a_slot_that_could_not_be_seen_to_start_is_not_late_at_once(story: Story) -> None:
    await story.begin(deadline=DAY)
    story.sight = blind(4 * MINUTE, 7 * MINUTE)
    await story.look(SLOT_AT + 7 * MINUTE)
    assert await story.open() == {}
    await story.look(SLOT_AT + 8 * MINUTE)
    assert policies.Kind.LATE in await story.open()


async def test_a_slot_that_a_later_run_left_behind_is_not_late(story: Story) -> None:
    await story.begin(schedule="* * * * *", effective_from=SLOT_AT)
    story.sight = blind(-MINUTE, 4 * MINUTE)  # the slot of 12:01 is judged later
    await story.look(SLOT_AT + 6 * MINUTE)
    assert policies.Kind.LATE in await story.open()
    await story.record(story.job_of(SLOT_AT + 6 * MINUTE, None))
    await story.look(SLOT_AT + 6 * MINUTE + 20 * SECOND)
    assert await story.open() == {}
    assert [run.slot_at for run in await story.runs()] == [SLOT_AT + 6 * MINUTE]


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

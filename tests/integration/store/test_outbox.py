"""Notifications: at least once, in order, never two workers at one row."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from rollcall.core import incidents
from rollcall.services import ports
from rollcall.store import engine, notifications, outbox
from support import builders, clocks

JOB = builders.job()
LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
PAYLOAD = {"type": "incident.opened", "version": 1}


async def enqueue(
    store: engine.Database,
    *channels: str,
    version: int = 1,
    job: ports.TrackedJob = JOB,
    wait: timedelta = timedelta(),
) -> incidents.Incident:
    opened = builders.step(job)
    async with store.transaction() as unit:
        await unit.registry.register(job)
        await unit.incidents.save(opened, at=unit.now)
        incident = replace(opened.incident, version=version)
        payload = PAYLOAD | {"version": version}
        await unit.outbox.enqueue(incident, channels, payload, wait=wait)
    return incident


async def claim(
    store: engine.Database, *, limit: int = 50, cluster: str = builders.CLUSTER
) -> list[ports.Notification]:
    async with store.transaction() as unit:
        return list(await rows_of(unit).claim("worker", limit, LEASE, cluster=cluster))


def rows_of(unit: engine.Transaction) -> outbox.Outbox:
    return outbox.Outbox(unit.connection, unit.now)


async def settle(store: engine.Database, *outcomes: ports.Outcome) -> None:
    async with store.transaction() as unit:
        await unit.outbox.settle(outcomes)


async def columns(store: engine.Database, *names: str) -> list[tuple[object, ...]]:
    async with store.transaction() as unit:
        rows = await unit.connection.execute(sa.text("SELECT * FROM notifications ORDER BY id"))
        return [tuple(row[name] for name in names) for row in rows.mappings()]


def delivered(notification: ports.Notification) -> ports.Outcome:
    return ports.Outcome(notification=notification, delivered=True)


async def test_a_claimed_notification_is_what_was_enqueued(
    store: engine.Database, clock: clocks.Clock
) -> None:
    incident = await enqueue(store, "slack")

    (claimed,) = await claim(store)

    assert claimed == ports.Notification(
        id=claimed.id,
        incident_id=incident.id,
        channel="slack",
        key=f"{incident.id}.1",
        type="incident.opened",
        payload={"type": "incident.opened", "version": 1},
        attempts=0,
        created_at=clock.now,
    )


async def test_enqueueing_again_adds_nothing(store: engine.Database) -> None:
    await enqueue(store, "slack", "pager", "slack")
    await enqueue(store, "slack", "pager", "mail")

    assert [row.channel for row in await claim(store)] == ["pager", "slack", "mail"]


async def test_no_channel_is_no_row(store: engine.Database) -> None:
    await enqueue(store)

    assert await claim(store) == []


async def release(store: engine.Database, cluster: str = builders.CLUSTER) -> None:
    async with store.transaction() as unit:
        await unit.outbox.release(cluster)


async def test_what_waits_for_a_crowd_is_due_when_it_is_let_go(store: engine.Database) -> None:
    await enqueue(store, "slack", wait=10 * SECOND)
    await release(store, "elsewhere")
    assert await claim(store) == []
    await release(store)
    (row,) = await claim(store)
    assert row.waited_for == "Crowd"


async def test_what_waits_for_a_crowd_is_due_at_its_time_if_nobody_lets_it_go(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack", wait=10 * SECOND)
    clock.advance(10 * SECOND)
    assert len(await claim(store)) == 1


async def test_what_was_tried_and_put_off_is_not_let_go(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack", wait=10 * SECOND)
    await release(store)
    (row,) = await claim(store)
    again_at = clock.now + 5 * SECOND
    await settle(store, ports.Outcome(notification=row, delivered=False, retry_at=again_at))
    await release(store)
    assert await claim(store) == []


async def test_it_is_enqueued_only_if_the_incident_is_written(store: engine.Database) -> None:
    async def fail() -> None:
        async with store.transaction() as unit:
            await unit.registry.register(JOB)
            opened = builders.step(JOB)
            await unit.incidents.save(opened, at=unit.now)
            await unit.outbox.enqueue(opened.incident, ["slack"], PAYLOAD)
            raise ZeroDivisionError

    await asyncio.gather(fail(), return_exceptions=True)

    assert await claim(store) == []


async def test_a_claimed_row_is_nobody_elses_until_its_lease_ends(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack")
    (first,) = await claim(store)

    clock.advance(LEASE - SECOND)
    assert await claim(store) == []

    clock.advance(SECOND)
    assert await claim(store) == [first]  # whoever had it is taken for dead: same key


async def test_two_workers_share_the_rows_without_waiting(store: engine.Database) -> None:
    await enqueue(store, *(f"channel-{number:02}" for number in range(20)))
    async with store.transaction() as one, store.transaction() as two:
        mine = await rows_of(one).claim("one", 10, LEASE, cluster="test")
        yours = await asyncio.wait_for(rows_of(two).claim("two", 20, LEASE, cluster="test"), 2)

    assert (len(mine), len(yours)) == (10, 10)
    assert {row.id for row in mine}.isdisjoint({row.id for row in yours})


async def test_many_workers_at_once_claim_each_row_once(store: engine.Database) -> None:
    for number in range(10):
        job = builders.job(f"job-{number}")
        await enqueue(store, *(f"channel-{channel}" for channel in range(10)), job=job)

    async def work() -> list[int]:
        claimed: list[int] = []
        while rows := await claim(store, limit=3):
            claimed += [row.id for row in rows]
        return claimed

    shares = await asyncio.gather(*(work() for _ in range(5)))

    everything = [number for share in shares for number in share]
    assert len(everything) == len(set(everything)) == 100


async def test_the_limit_and_the_order_of_due_times_hold(
    store: engine.Database, clock: clocks.Clock
) -> None:
    for number in range(3):
        await enqueue(store, "slack", job=builders.job(f"job-{number}"))
        clock.advance(SECOND)

    claimed = [row for _ in range(4) for row in await claim(store, limit=1)]

    assert [row.id for row in claimed] == sorted(row.id for row in claimed)
    assert len(claimed) == 3


async def test_a_later_step_waits_until_the_earlier_one_is_delivered(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack", version=1)
    await enqueue(store, "slack", version=2)
    (first,) = await claim(store)
    assert first.key.endswith(".1")
    assert await claim(store) == []

    await settle(
        store,
        ports.Outcome(notification=first, delivered=False, retry_at=clock.now + 9 * SECOND),
    )
    clock.advance(8 * SECOND)
    assert await claim(store) == []

    clock.advance(SECOND)
    (again,) = await claim(store)
    assert again.key == first.key
    await settle(store, delivered(again))
    assert [row.key[-2:] for row in await claim(store)] == [".2"]


async def test_a_later_step_goes_when_the_earlier_one_is_given_up(store: engine.Database) -> None:
    await enqueue(store, "slack", version=1)
    await enqueue(store, "slack", version=2)
    (first,) = await claim(store)

    await settle(store, ports.Outcome(notification=first, delivered=False, error="410 Gone"))

    assert [row.key[-2:] for row in await claim(store)] == [".2"]


async def test_channels_and_incidents_do_not_wait_for_each_other(store: engine.Database) -> None:
    await enqueue(store, "slack", "pager", version=1)
    await claim(store)
    await enqueue(store, "slack", "mail", version=2)
    await enqueue(store, "slack", job=builders.job("other"))

    assert [(row.channel, row.key[-2:]) for row in await claim(store)] == [
        ("mail", ".2"),
        ("slack", ".1"),
    ]


async def test_another_clusters_notifications_are_left_to_it(store: engine.Database) -> None:
    await enqueue(store, "slack", job=builders.job(cluster="other"))

    assert await claim(store) == []
    assert len(await claim(store, cluster="other")) == 1


async def test_a_delivered_row_is_done(store: engine.Database, clock: clocks.Clock) -> None:
    await enqueue(store, "slack")
    (row,) = await claim(store)

    await settle(store, delivered(row))

    clock.advance(2 * LEASE)
    assert await claim(store) == []
    assert await columns(store, "status", "delivered_at", "attempts", "holder") == [
        ("delivered", clock.now - 2 * LEASE, 1, None)
    ]


async def test_a_postponed_row_comes_back_with_the_try_counted(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack")
    (row,) = await claim(store)

    await settle(
        store,
        ports.Outcome(
            notification=row, delivered=False, retry_at=clock.now + SECOND, error="500 oh\0no"
        ),
    )

    assert await columns(store, "status", "last_error", "holder") == [
        ("pending", "500 oh\ufffdno", None)
    ]
    clock.advance(SECOND)
    assert [(again.id, again.attempts) for again in await claim(store)] == [(row.id, 1)]


async def test_a_pause_asked_for_by_the_channel_uses_up_no_attempt(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack")
    (row,) = await claim(store)

    await settle(
        store,
        ports.Outcome(
            notification=row, delivered=False, retry_at=clock.now, counts=False, error="429"
        ),
    )

    assert [again.attempts for again in await claim(store)] == [0]


async def test_a_given_up_row_is_kept_with_its_error(store: engine.Database) -> None:
    await enqueue(store, "slack")
    (row,) = await claim(store)

    await settle(
        store,
        ports.Outcome(notification=row, delivered=False, error="x" * 3 * notifications.ERROR_LIMIT),
    )

    assert await columns(store, "status", "attempts", "last_error") == [
        ("dead", 1, "x" * notifications.ERROR_LIMIT)
    ]


async def test_a_late_failure_does_not_undo_anothers_delivery(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await enqueue(store, "slack")
    (slow,) = await claim(store)
    clock.advance(LEASE)
    (quick,) = await claim(store)
    await settle(store, delivered(quick))

    await settle(store, ports.Outcome(notification=slow, delivered=False, error="timed out"))

    assert await columns(store, "status", "last_error") == [("delivered", None)]


async def test_who_was_told_are_the_channels_that_have_or_will_have_heard(
    store: engine.Database, clock: clocks.Clock
) -> None:
    incident = await enqueue(store, "done", "dead", "waiting", "postponed")
    rows = {row.channel: row for row in await claim(store)}
    await settle(
        store,
        delivered(rows["done"]),
        ports.Outcome(notification=rows["dead"], delivered=False),
        ports.Outcome(notification=rows["postponed"], delivered=False, retry_at=clock.now),
    )

    async with store.transaction() as unit:
        told = await unit.outbox.told(incident.id)

    assert told == ["done", "postponed", "waiting"]


async def test_what_is_open_and_was_told_is_repeated_with_its_last_message(
    store: engine.Database,
) -> None:
    incident = await enqueue(store, "am", "slack")
    await enqueue(store, "am", version=2)
    async with store.transaction() as unit:
        (repetition,) = await unit.outbox.to_repeat(["am"], cluster=builders.CLUSTER)
    assert repetition.incident.id == incident.id
    assert (repetition.channel, repetition.payload["version"]) == ("am", 2)


async def test_nothing_is_repeated_elsewhere_or_after_it_was_given_up(
    store: engine.Database,
) -> None:
    await enqueue(store, "am")
    async with store.transaction() as unit:
        assert await unit.outbox.to_repeat(["other"], cluster=builders.CLUSTER) == []
        assert await unit.outbox.to_repeat(["am"], cluster="elsewhere") == []
    (claimed,) = await claim(store)
    await settle(store, ports.Outcome(notification=claimed, delivered=False, error="refused"))
    async with store.transaction() as unit:
        assert await unit.outbox.to_repeat(["am"], cluster=builders.CLUSTER) == []


async def test_what_is_resolved_is_repeated_no_more(store: engine.Database) -> None:
    incident = await enqueue(store, "am")
    async with store.transaction() as unit:
        ended = builders.step(JOB, incident=incident, recovered=True)
        await unit.incidents.save(ended, at=unit.now)
        assert await unit.outbox.to_repeat(["am"], cluster=builders.CLUSTER) == []


async def test_a_thread_is_recorded_with_its_delivery_and_given_to_all_that_follows(
    store: engine.Database,
) -> None:
    await enqueue(store, "slack", "chat", version=1)
    await enqueue(store, "slack", job=builders.job("other"))
    threads = []
    for version, begun in ((1, "1.1"), (2, None), (3, "1.3"), (4, None)):
        for row in await claim(store):
            place = {"ts": begun} if begun and row.channel == "slack" else None
            await settle(store, replace(delivered(row), thread=place))
            if (row.channel, row.incident_id) == ("slack", builders.step(JOB).incident.id):
                threads.append(row.thread)
        await enqueue(store, "slack", "chat", version=version + 1)

    assert threads == [None, {"ts": "1.1"}, {"ts": "1.1"}, {"ts": "1.3"}]
    rest = {row.channel: row.thread for row in await claim(store)}
    assert rest == {"slack": {"ts": "1.3"}, "chat": None}


async def test_a_thread_of_a_message_that_somebody_else_recorded_first_is_not_taken(
    store: engine.Database,
) -> None:
    await enqueue(store, "slack", version=1)
    (row,) = await claim(store)
    for begun in ("1.1", "1.2"):
        await settle(store, replace(delivered(row), thread={"ts": begun}))
    await enqueue(store, "slack", version=2)

    assert [row.thread for row in await claim(store)] == [{"ts": "1.1"}]


async def test_the_oldest_that_could_have_been_sent_is_known(
    store: engine.Database, clock: clocks.Clock
) -> None:
    async def oldest(cluster: str = builders.CLUSTER) -> object:
        async with store.transaction() as unit:
            return await unit.bundles.oldest_due(cluster)

    assert await oldest() is None
    began = clock()
    await enqueue(store, "slack", wait=60 * SECOND)
    assert await oldest() is None  # it waits for others
    clock.advance(90 * SECOND)
    assert await oldest() == began + 60 * SECOND
    await enqueue(store, "slack", version=2)
    assert await oldest() == began + 60 * SECOND
    assert await oldest("elsewhere") is None
    for _ in range(2):
        await settle(store, *[delivered(row) for row in await claim(store)])
    assert await oldest() is None

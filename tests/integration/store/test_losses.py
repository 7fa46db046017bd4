"""Messages that were given up, as they are counted by channel."""

from dataclasses import replace
from datetime import timedelta

from rollcall.core import undelivered
from rollcall.services import ports
from rollcall.store import engine
from support import builders, clocks

JOB = builders.job()
HOUR = timedelta(hours=1)


async def lose(
    store: engine.Database,
    channel: str,
    *,
    version: int,
    error: str = "it answered 403",
    is_loss: bool = True,
) -> None:
    """Write a message and give it up."""
    opened = builders.step(JOB)
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.incidents.save(opened, at=unit.now)
        incident = replace(opened.incident, version=version)
        await unit.outbox.enqueue(incident, [channel], {"type": "incident.opened"})
    async with store.transaction() as unit:
        rows = await unit.outbox.claim("test", 50, HOUR, cluster=builders.CLUSTER)
        await unit.outbox.settle(
            [
                ports.Outcome(notification=row, delivered=False, error=error, is_loss=is_loss)
                for row in rows
            ]
        )


async def recent(
    store: engine.Database, cluster: str = builders.CLUSTER
) -> dict[str, undelivered.Loss]:
    async with store.transaction() as unit:
        return dict(await unit.losses.recent(cluster))


async def test_they_are_counted_by_channel_with_the_last_error(
    store: engine.Database, clock: clocks.Clock
) -> None:
    await lose(store, "pager", version=1, error="it answered 401")
    clock.advance(HOUR)
    await lose(store, "pager", version=2)
    await lose(store, "mail", version=1)
    found = await recent(store)
    assert found["pager"] == undelivered.Loss(count=2, last_at=clock(), why="it answered 403")
    assert found["mail"].count == 1
    assert await recent(store, "elsewhere") == {}


async def test_what_nobody_was_to_hear_any_more_is_no_loss(store: engine.Database) -> None:
    await lose(store, "pager", version=1, error="Suspended", is_loss=False)
    assert await recent(store) == {}


async def test_after_a_day_they_are_forgotten(store: engine.Database, clock: clocks.Clock) -> None:
    await lose(store, "pager", version=1)
    clock.advance(undelivered.COUNTED)
    assert await recent(store) == {}


async def test_the_jobs_that_they_were_about_are_known_once_each(store: engine.Database) -> None:
    await lose(store, "pager", version=1)
    await lose(store, "pager", version=2)
    async with store.transaction() as unit:
        assert [job.id for job in await unit.losses.jobs(builders.CLUSTER, "pager")] == [JOB.id]
        assert await unit.losses.jobs(builders.CLUSTER, "mail") == []

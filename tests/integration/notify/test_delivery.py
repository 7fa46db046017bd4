"""From a row of the outbox to a receiver: a real Postgres, real HTTP, real faults."""

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.core import incidents
from rollcall.notify import http
from rollcall.services import deliver
from rollcall.store import engine, models
from support import builders, clocks, delivering, loopback, postgres, receiver
from support.receiver import Answer

ROOT = Path(__file__).parents[3]
ROWS = models.table(models.Notification)
JOB = builders.job()


@pytest.fixture
async def client() -> AsyncIterator[http.Client]:
    async with http.Client(
        now=delivering.now, allowed=receiver.LOOPBACK, timeout=timedelta(seconds=3)
    ) as client:
        yield client


async def write(store: engine.Database, *channels: str, version: int = 1) -> str:
    """Write the next message of the one incident in the way that evaluating does."""
    step = builders.step(JOB)
    if version > 1:
        step = builders.step(JOB, incident=step.incident, recovered=True)
    async with store.transaction() as transaction:
        await transaction.registry.register(JOB)
        assert await transaction.incidents.save(step, at=transaction.now)
        transition = step.transition or incidents.Transition.OPENED
        payload = {"type": f"incident.{transition}", "incident": {"id": str(step.incident.id)}}
        await transaction.outbox.enqueue(step.incident, channels or (delivering.CHANNEL,), payload)
    return f"{step.incident.id}.{version}"


async def row(store: engine.Database, key: str, channel: str = delivering.CHANNEL) -> sa.Row[Any]:
    async with store._engine.connect() as connection:  # noqa: SLF001 - a test reads what is written
        found = await connection.execute(
            sa.select(ROWS).where(ROWS.c.key == key, ROWS.c.channel == channel)
        )
        return found.one()


async def status(store: engine.Database, key: str, expected: str) -> sa.Row[Any]:
    """Wait until the row has the status."""
    deadline = time.monotonic() + 20
    while (found := await row(store, key)).status != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


def build(
    store: engine.Database, client: http.Client, clock: Callable[[], Any], **urls: str
) -> deliver.Deliver:
    return deliver.Deliver(
        store=store,
        senders=delivering.Senders(client, **urls),
        clock=clock,
        cluster="test",
        holder="operator-1",
        monotonic=lambda: clock().timestamp(),
        jitter=lambda: 1.0,
    )


@contextlib.asynccontextmanager
async def running(process: deliver.Deliver) -> AsyncIterator[None]:
    task = asyncio.create_task(process.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_message_that_is_written_arrives_within_two_seconds(
    store: engine.Database, client: http.Client, hook: receiver.Receiver
) -> None:
    process = build(store, client, delivering.now, team=hook.url)
    async with running(process):
        written_at = time.monotonic()
        key = await write(store)
        process.wake()
        await status(store, key, "delivered")
    (request,) = hook.requests
    assert request.at - written_at < 2
    assert hook.keys == [key]
    assert json.loads(request.body)["type"] == "incident.opened"


async def test_after_a_500_the_same_message_is_sent_again(
    store: engine.Database, clock: clocks.Clock, client: http.Client, hook: receiver.Receiver
) -> None:
    hook.answers(Answer(status=500, body=b"down"))
    process = build(store, client, clock, team=hook.url)
    key = await write(store)
    await process.round()
    await process.idle()
    tried = await row(store, key)
    assert (tried.status, tried.attempts) == ("pending", 1)
    assert tried.last_error == "127.0.0.1 answered 500 Internal Server Error: down"
    clock.advance(timedelta(seconds=1))
    await process.round()
    await process.idle()
    assert (await row(store, key)).status == "delivered"
    assert hook.keys == [key, key]
    assert hook.requests[0].body == hook.requests[1].body


async def test_a_429_is_waited_for_and_uses_up_no_try(
    store: engine.Database, client: http.Client, hook: receiver.Receiver
) -> None:
    hook.answers(Answer(status=429, headers={"Retry-After": "2"}))
    async with running(build(store, client, delivering.now, team=hook.url)):
        key = await write(store)
        found = await status(store, key, "delivered")
    first, second = hook.requests
    assert 2 <= second.at - first.at < 6
    assert found.attempts == 1  # the delivery itself


async def test_a_hanging_receiver_does_not_hold_up_another_channel(
    store: engine.Database, client: http.Client, hook: receiver.Receiver
) -> None:
    hook.answers(*[Answer(hang=True)] * 10)
    with receiver.running() as other:
        async with running(build(store, client, delivering.now, stuck=hook.url, team=other.url)):
            key = await write(store, "stuck", "team")
            await asyncio.to_thread(hook.wait_for, 1)
            await status(store, key, "delivered")
            assert other.requests[0].at - hook.requests[0].at < 1
            assert (await row(store, key, "stuck")).status == "pending"


async def test_a_receiver_that_was_down_gets_the_messages_in_their_order(
    store: engine.Database, clock: clocks.Clock, client: http.Client
) -> None:
    port = loopback.free_port()
    process = build(store, client, clock, team=f"http://127.0.0.1:{port}/hook")
    opened = await write(store)
    await process.round()
    await process.idle()
    resolved = await write(store, version=2)
    for _ in range(5):
        clock.advance(timedelta(seconds=20))
        await process.round()
        await process.idle()
    assert (await row(store, opened)).attempts > 1
    assert (await row(store, resolved)).attempts == 0
    with receiver.running(port) as hook:
        for _ in range(2):
            clock.advance(timedelta(minutes=5))
            await process.round()
            await process.idle()
        assert hook.keys == [opened, resolved]


async def test_a_killed_process_leaves_the_message_to_be_sent_again_with_the_same_key(
    store: engine.Database, dsn: str, client: http.Client, hook: receiver.Receiver
) -> None:
    hook.answers(Answer(hang=True))
    key = await write(store)
    paths = os.pathsep.join(str(ROOT / part) for part in ("operator", "tests"))
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "support.delivering", dsn, hook.url),
        env=os.environ | {"PYTHONPATH": paths},
    )
    try:
        await asyncio.to_thread(hook.wait_for, 1)
    finally:
        victim.kill()
        await victim.wait()
    successor = build(store, client, delivering.now, team=hook.url)
    await successor.round()
    await successor.idle()
    assert hook.keys == [key]  # the lease of the dead still runs
    later = engine.Database(
        dsn, application_name="tests", clock=lambda: delivering.now() + deliver.LEASE
    )
    try:
        successor = build(later, client, delivering.now, team=hook.url)
        await successor.round()
        await successor.idle()
    finally:
        await later.close()
    assert hook.keys == [key, key]
    assert (await row(store, key)).status == "delivered"


async def test_two_processes_at_one_outbox_send_each_message_once(
    store: engine.Database, client: http.Client, hook: receiver.Receiver
) -> None:
    keys = await _write_many(store, 200)
    processes = [build(store, client, delivering.now, team=hook.url) for _ in range(2)]
    for _ in range(4):
        await asyncio.gather(*(process.round() for process in processes))
        await asyncio.gather(*(process.idle() for process in processes))
    assert sorted(hook.keys) == sorted(keys)


async def test_an_outage_of_postgres_during_a_send_costs_no_second_message(
    own_server: postgres.Server,
    own_store: engine.Database,
    client: http.Client,
    hook: receiver.Receiver,
) -> None:
    gone = threading.Event()
    hook.answers(Answer(after=gone))
    async with running(build(own_store, client, delivering.now, team=hook.url)):
        key = await write(own_store)
        await asyncio.to_thread(hook.wait_for, 1)
        await asyncio.to_thread(own_server.stop)
        gone.set()
        await asyncio.sleep(2)  # it is delivered now, and cannot be recorded
        await asyncio.to_thread(own_server.start)
        found = await status(own_store, key, "delivered")
        assert found.attempts == 1
        later = await _write_many(own_store, 1)
        await asyncio.to_thread(hook.wait_for, 2)
    assert hook.keys == [key, *later]


async def _write_many(store: engine.Database, count: int) -> list[str]:
    """Write messages of as many jobs."""
    keys = []
    async with store.transaction() as transaction:
        for number in range(count):
            job = builders.job(f"job-{number}")
            await transaction.registry.register(job)
            step = builders.step(job)
            await transaction.incidents.save(step, at=transaction.now)
            payload = {"type": "incident.opened"}
            await transaction.outbox.enqueue(step.incident, (delivering.CHANNEL,), payload)
            keys.append(f"{step.incident.id}.1")
    return keys

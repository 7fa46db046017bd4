"""Pods of executions, and who reports from them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from rollcall.core import executions
from rollcall.services import ports
from rollcall.store import engine
from support import builders

JOB = builders.job()
RUN = builders.execution(JOB)
AT = builders.SLOT_AT
SECOND = timedelta(seconds=1)


async def observe(
    store: engine.Database, *seen: executions.Attempt, run: executions.Execution = RUN
) -> list[executions.Attempt]:
    async with store.transaction() as unit:
        return list((await unit.attempts.observe({run: seen}))[run.id])


async def test_pods_come_back_as_they_were_oldest_first(store: engine.Database) -> None:
    first = builders.attempt(
        "pod-z",
        started_at=AT + SECOND,
        ended_at=AT + 2 * SECOND,
        exit_code=137,
        reason="OOMKilled",
        message="killed",
    )
    second = builders.attempt(
        "pod-a",
        created_at=AT + 3 * SECOND,
        index=4,
        waiting_reason="ImagePullBackOff",
        sidecar_waiting="ErrImagePull",
    )

    assert await observe(store, second, first) == [first, second]


async def test_earlier_pods_are_returned_with_the_new_ones(store: engine.Database) -> None:
    first, second = builders.attempt("pod-1"), builders.attempt("pod-2")
    await observe(store, first)

    assert await observe(store, second) == [first, second]
    assert await observe(store) == [first, second]


async def test_pods_of_other_executions_are_not_returned(store: engine.Database) -> None:
    await observe(store, builders.attempt("other"), run=builders.execution(builders.job("other")))

    assert await observe(store, builders.attempt()) == [builders.attempt()]


async def test_readings_out_of_order_undo_nothing(store: engine.Database) -> None:
    waiting = builders.attempt(waiting_reason="ContainerCreating")
    running = builders.attempt(started_at=AT + SECOND)
    ended = replace(running, ended_at=AT + 9 * SECOND, exit_code=1, reason="Error", message="no")
    assert await observe(store, waiting) == [waiting]
    for reading in (running, waiting, running):
        assert await observe(store, reading) == [running]
    for reading in (ended, running, waiting, ended):
        assert await observe(store, reading) == [ended]


async def test_an_eviction_that_hides_the_start_keeps_it(store: engine.Database) -> None:
    running = builders.attempt(started_at=AT + SECOND)
    evicted = builders.attempt(ended_at=AT + 9 * SECOND, reason="Evicted")
    await observe(store, running)

    assert await observe(store, evicted) == [replace(evicted, started_at=AT + SECOND)]


async def test_one_pod_twice_in_one_reading_counts_once(store: engine.Database) -> None:
    started = builders.attempt(started_at=AT)

    assert await observe(store, builders.attempt(), started) == [started]


async def test_an_unchanged_pod_is_not_written(store: engine.Database) -> None:
    async def version() -> object:
        async with store.transaction() as unit:
            return (await unit.connection.execute(sa.text("SELECT ctid FROM attempts"))).scalar()

    await observe(store, builders.attempt())
    before = await version()
    await observe(store, builders.attempt())

    assert await version() == before


async def test_a_thousand_pods_are_kept_in_one_go(store: engine.Database) -> None:
    pods = [builders.attempt(f"pod-{number:04}") for number in range(1000)]

    assert await observe(store, *reversed(pods)) == pods


async def identify(store: engine.Database, *pod_uids: str) -> Mapping[str, ports.Identity]:
    async with store.transaction() as unit:
        return await unit.attempts.identify(pod_uids)


async def test_a_pod_is_identified(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(RUN)
    await observe(store, builders.attempt())

    assert (await identify(store, "pod-1"))["pod-1"] == ports.Identity(
        cronjob_id=JOB.id,
        namespace="shop",
        cronjob="report",
        execution_id=RUN.id,
        slot_at=AT,
        trigger=executions.Trigger.SCHEDULE,
        job_name=RUN.job_name or "",
        pod_uid="pod-1",
        attempt=1,
        index=0,
    )


async def test_the_completion_index_of_a_pod_is_known(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(RUN)
    await observe(store, builders.attempt(index=3))

    assert (await identify(store, "pod-1"))["pod-1"].index == 3


async def test_attempts_are_numbered_per_completion_index(store: engine.Database) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(RUN)
    await observe(
        store,
        builders.attempt("a", index=0),
        builders.attempt("b", index=1, created_at=AT + SECOND),
        builders.attempt("c", index=0, created_at=AT + 2 * SECOND),
        builders.attempt("d", index=0, created_at=AT + 2 * SECOND),
    )

    found = await identify(store, *"abcd")
    assert {uid: identity.attempt for uid, identity in found.items()} == {
        "a": 1,
        "b": 1,
        "c": 2,
        "d": 3,
    }


async def test_an_unknown_pod_is_nobody(store: engine.Database) -> None:
    assert await identify(store, "unknown", "pod\0") == {}

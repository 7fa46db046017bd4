"""Incidents and their steps."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from rollcall.core import errors, incident_steps, incidents, policies
from rollcall.core.incidents import Transition
from rollcall.core.policies import Kind, Severity
from rollcall.store import engine
from support import builders

JOB = builders.job()
AT = builders.SLOT_AT
HOUR = timedelta(hours=1)


async def save(store: engine.Database, *steps: incidents.Step) -> list[bool]:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        return [await unit.incidents.save(step, at=AT) for step in steps]


async def open_of(store: engine.Database) -> dict[Kind, incidents.Incident]:
    async with store.transaction() as unit:
        return dict(await unit.incidents.current_of(JOB.id))


async def transitions(store: engine.Database) -> list[tuple[Any, ...]]:
    async with store.transaction() as unit:
        rows = await unit.connection.execute(
            sa.text(
                "SELECT version, transition, severity, notify, why FROM incident_transitions"
                " ORDER BY version"
            )
        )
        return [tuple(row) for row in rows]


async def test_an_incident_comes_back_as_it_was(store: engine.Database) -> None:
    execution = builders.execution(JOB)
    opened = builders.step(
        JOB, severity=Severity.CRITICAL, evidence={"exitCode": 3}, execution_id=execution.id
    )
    whole = replace(
        opened,
        incident=replace(opened.incident, suppressed=2, inhibited_by=Kind.MISSED),
    )

    assert await save(store, whole) == [True]

    assert await open_of(store) == {Kind.FAILING: whole.incident}


async def test_each_step_is_kept_with_the_reason_for_telling_or_not(
    store: engine.Database,
) -> None:
    opened = builders.step(JOB)
    raised = builders.step(JOB, incident=opened.incident, severity=Severity.CRITICAL, now=AT + HOUR)
    lowered = builders.step(JOB, incident=raised.incident, now=AT + 2 * HOUR)
    resolved = builders.step(JOB, incident=lowered.incident, recovered=True, now=AT + 3 * HOUR)

    assert await save(store, opened, raised, lowered, resolved) == [True] * 4

    assert await open_of(store) == {}
    assert await transitions(store) == [
        (1, "opened", "warning", True, "Opened"),
        (2, "changed", "critical", True, "SeverityRaised"),
        (3, "changed", "warning", False, "WithinCooldown"),
        (4, "resolved", "warning", True, "Resolved"),
    ]


async def test_a_change_without_a_transition_leaves_no_step(store: engine.Database) -> None:
    opened = builders.step(JOB)
    again = builders.step(JOB, incident=opened.incident, evidence={"count": 2})
    assert again.transition is None

    assert await save(store, opened, again) == [True, True]

    assert (await open_of(store))[Kind.FAILING].suppressed == 1
    assert len(await transitions(store)) == 1


async def test_kinds_are_open_side_by_side(store: engine.Database) -> None:
    kinds = set(policies.Kind) - policies.OF_CLUSTER
    steps = [builders.step(JOB, kind=kind) for kind in kinds]

    assert await save(store, *steps) == [True] * len(steps)
    assert set(await open_of(store)) == kinds


async def test_a_kind_of_the_cluster_has_no_job_and_a_job_none_of_the_cluster(
    store: engine.Database,
) -> None:
    wrong = builders.step(JOB, kind=Kind.BLIND)
    with pytest.raises(errors.Unstorable, match="incidents_owner_check"):
        await save(store, wrong)
    whole = replace(wrong.incident, cronjob_id=None, cluster=builders.CLUSTER)
    right = replace(wrong, incident=whole)
    again = replace(wrong, incident=replace(whole, id=UUID(int=7)))
    assert await save(store, right, again) == [True, False]


async def test_of_two_that_open_one_incident_at_once_one_is_told_no(
    store: engine.Database,
) -> None:
    await save(store)
    mine = builders.step(JOB)
    other = builders.step(JOB, now=AT + timedelta(seconds=1))

    async def come_second() -> bool:
        async with store.transaction() as second:
            return await second.incidents.save(other, at=AT)

    async with store.transaction() as first:
        assert await first.incidents.save(mine, at=AT)
        coming = asyncio.create_task(come_second())
        await asyncio.sleep(0.1)  # it waits for the first one's end
        assert not coming.done()

    assert await coming is False
    assert (await open_of(store))[Kind.FAILING].id == mine.incident.id
    assert len(await transitions(store)) == 1


async def test_the_second_may_open_it_when_the_first_is_undone(store: engine.Database) -> None:
    await save(store)
    other = builders.step(JOB, now=AT + timedelta(seconds=1))

    async def come_second() -> bool:
        async with store.transaction() as second:
            return await second.incidents.save(other, at=AT)

    async def come_first() -> None:
        async with store.transaction() as first:
            await first.incidents.save(builders.step(JOB), at=AT)
            started.set()
            await asyncio.sleep(0.1)
            raise ZeroDivisionError

    started = asyncio.Event()
    failing = asyncio.create_task(come_first())
    await started.wait()
    assert await come_second()
    await asyncio.gather(failing, return_exceptions=True)

    assert (await open_of(store))[Kind.FAILING].id == other.incident.id


async def test_a_step_from_an_older_reading_writes_nothing(store: engine.Database) -> None:
    opened = builders.step(JOB)
    resolved = builders.step(JOB, incident=opened.incident, recovered=True, now=AT + HOUR)
    raised = builders.step(JOB, incident=opened.incident, severity=Severity.CRITICAL)
    quiet = builders.step(JOB, incident=opened.incident, evidence={"count": 2})

    assert await save(store, opened, resolved, raised, quiet, opened) == [
        True,
        True,
        False,
        False,
        False,
    ]

    assert await open_of(store) == {}
    assert [row[1] for row in await transitions(store)] == ["opened", "resolved"]


async def test_two_steps_from_the_same_reading_are_not_both_written(
    store: engine.Database,
) -> None:
    opened = builders.step(JOB)
    raised = builders.step(JOB, incident=opened.incident, severity=Severity.CRITICAL)
    renamed = builders.step(JOB, incident=opened.incident, reason="OOMKilled")

    assert await save(store, opened, raised, renamed) == [True, True, False]

    assert (await open_of(store))[Kind.FAILING] == raised.incident


async def test_after_the_end_the_next_incident_is_another_one(store: engine.Database) -> None:
    opened = builders.step(JOB)
    resolved = builders.step(JOB, incident=opened.incident, recovered=True, now=AT + HOUR)
    reopened = builders.step(JOB, now=AT + 2 * HOUR)

    assert await save(store, opened, resolved, reopened) == [True] * 3

    assert (await open_of(store))[Kind.FAILING] == reopened.incident
    assert reopened.incident.id != opened.incident.id


async def test_an_inhibited_incident_that_is_told_later_is_a_step_of_the_same(
    store: engine.Database,
) -> None:
    inhibited = incident_steps.decide(
        None,
        builders.finding(Kind.STALE),
        cronjob_id=JOB.id,
        inhibited_by=Kind.MISSED,
        alerts=builders.alerts(),
        recovered=False,
        now=AT,
    )
    assert inhibited is not None
    told = builders.step(JOB, kind=Kind.STALE, incident=inhibited.incident, now=AT + HOUR)
    assert told.transition is Transition.OPENED

    assert await save(store, inhibited, told) == [True, True]

    assert [row[1:] for row in await transitions(store)] == [
        ("opened", "warning", False, "InhibitedBy:missed"),
        ("opened", "warning", True, "NoLongerInhibited"),
    ]

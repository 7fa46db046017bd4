"""A job's time told step by step: what is judged, which incident opens, and who is told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollcall.core import errors, executions, incidents, policies, slots
from rollcall.core.executions import Status
from rollcall.services import evaluate, observe
from rollcall.store import engine
from support import builders, clocks

MINUTE = timedelta(minutes=1)
SLOT_AT = builders.SLOT_AT
HOURLY = builders.revision(
    schedule="0 * * * *",
    deadline=timedelta(seconds=30),
    effective_from=SLOT_AT - timedelta(minutes=30),
)
QUOTA = slots.EventReading(
    reason="FailedCreate",
    message="Error creating job: exceeded quota: no-jobs",
    last_at=SLOT_AT + timedelta(seconds=2),
)


@dataclass
class Cluster:
    """The judge's reads, scripted."""

    jobs: dict[str, executions.JobObservation] = field(default_factory=dict)
    seen: Sequence[slots.EventReading] = ()
    away: bool = False

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        del namespace, name
        self._answer()
        return slots.CronJobReading(uid="cronjob-uid", suspended=False, last_schedule_at=None)

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        del namespace
        self._answer()
        return self.jobs.get(job_name)

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        del namespace, name
        self._answer()
        return self.seen

    async def probe(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.away:
            raise errors.ClusterUnavailable("no answer")


@dataclass
class Channels:
    """Routing, scripted."""

    names: Sequence[str] = ("team",)

    def channels_for(self, *_: object, **__: object) -> Sequence[str]:
        return self.names


class Story:
    """One registered hourly job, and what happens to it."""

    def __init__(self, store: engine.Database, clock: clocks.Clock) -> None:
        self.store = store
        self.clock = clock
        self.cluster = Cluster()
        self.channels = Channels()
        self.leaving = False
        self.job = builders.job(created_at=HOURLY.effective_from)
        self.evaluator = evaluate.Evaluator(
            store=store,
            evidence=self.cluster,
            directory=self.channels,
            cluster=builders.CLUSTER,
            defaults=policies.defaults(),
            changed=lambda _: None,
            wake=lambda: None,
            is_leaving=lambda *_: self.leaving,
        )

    async def begin(self, policy: dict[str, Any] | None = None, **rhythm: object) -> None:
        self.job = builders.job(created_at=HOURLY.effective_from, policy=policy or {})
        values = {name: getattr(HOURLY, name) for name in HOURLY.__slots__} | rhythm
        async with self.store.transaction() as transaction:
            await transaction.registry.register(self.job)
            applied = builders.applied(slots.Revision(**values))
            await transaction.registry.applied(self.job.id, applied)

    async def look(self, at: datetime) -> None:
        self.clock.set(at)
        await self.evaluator.evaluate(self.job.id)

    async def sees(self, *, at: datetime, slot: int = 0, **changes: object) -> bool:
        """Record the reading of the Job of the n-th slot."""
        self.clock.set(at)
        values = {
            "slot_at": SLOT_AT + slot * timedelta(hours=1),
            "created_at": SLOT_AT + slot * timedelta(hours=1),
            "job_uid": f"job-{slot}",
            "job_name": f"report-{slot}",
            "owner_uid": "cronjob-uid",
        } | changes
        seen = builders.observation(self.job, **values)
        return bool(await observe.record(self.store, builders.CLUSTER, [seen], []))

    async def fails(self, slot: int) -> None:
        at = SLOT_AT + slot * timedelta(hours=1) + MINUTE
        await self.sees(at=at, slot=slot, **_ended(Status.FAILED, at))
        await self.look(at)

    async def succeeds(self, slot: int) -> None:
        at = SLOT_AT + slot * timedelta(hours=1) + MINUTE
        await self.sees(at=at, slot=slot, **_ended(Status.SUCCEEDED, at))
        await self.look(at)

    async def runs(self) -> list[executions.Execution]:
        async with self.store.transaction() as transaction:
            return list(await transaction.ledger.recent(self.job.id, 100))

    async def open(self) -> dict[policies.Kind, incidents.Incident]:
        async with self.store.transaction() as transaction:
            return dict(await transaction.incidents.open_of(self.job.id))

    async def messages(self) -> list[tuple[str, str, str]]:
        """Claim what is to be sent and settle it: (type, kind, severity)."""
        told = []
        while True:
            claimed = await self.store.run(
                lambda tx: tx.outbox.claim(
                    "test", 50, timedelta(seconds=60), cluster=builders.CLUSTER
                )
            )
            if not claimed:
                return told
            for one in claimed:
                incident = one.payload["incident"]
                told.append((one.type, incident["kind"], incident["severity"]))
            await self.store.run(
                lambda tx, rows=claimed: tx.outbox.settle(
                    [evaluate.ports.Outcome(notification=row, delivered=True) for row in rows]
                )
            )


def _ended(status: Status, at: datetime) -> dict[str, Any]:
    failed = status is Status.FAILED
    return {
        "decided": status,
        "finished": True,
        "ended_at": at,
        "reason": "BackoffLimitExceeded" if failed else "CompletionsReached",
    }


@pytest.fixture
async def story(store: engine.Database, clock: clocks.Clock) -> Story:
    return Story(store, clock)


async def test_a_slot_without_a_job_is_missed_when_it_is_final_and_told_once(story: Story) -> None:
    await story.begin()
    story.cluster.seen = [QUOTA]
    await story.look(SLOT_AT + timedelta(seconds=89))
    assert await story.runs() == []
    await story.look(SLOT_AT + timedelta(seconds=90))
    [row] = await story.runs()
    assert (row.status, row.reason) == (Status.MISSED, "QuotaExceeded")
    await story.look(SLOT_AT + timedelta(seconds=91))
    assert await story.messages() == [("incident.opened", "missed", "critical")]


async def test_a_missed_slot_whose_job_turns_up_is_corrected_and_resolved(story: Story) -> None:
    await story.begin()
    await story.look(SLOT_AT + 2 * MINUTE)
    assert (await story.runs())[0].status is Status.MISSED
    later = SLOT_AT + 5 * MINUTE
    await story.sees(at=later, **_ended(Status.SUCCEEDED, later))
    await story.look(later)
    [row] = await story.runs()
    assert row.status is Status.SUCCEEDED
    assert await story.open() == {}
    assert [kind for kind, _, _ in await story.messages()] == [
        "incident.opened",
        "incident.resolved",
    ]


async def test_three_failures_are_one_incident_that_is_raised_and_then_resolved(
    story: Story,
) -> None:
    await story.begin()
    for slot in range(4):
        await story.fails(slot)
    await story.succeeds(4)
    assert await story.messages() == [
        ("incident.opened", "failing", "warning"),
        ("incident.changed", "failing", "critical"),
        ("incident.resolved", "failing", "critical"),
    ]


async def test_two_successes_are_needed_where_the_job_says_so(story: Story) -> None:
    await story.begin({"alerts": {"recoveryThreshold": 2}})
    await story.fails(0)
    await story.succeeds(1)
    assert policies.Kind.FAILING in await story.open()
    await story.succeeds(2)
    assert await story.open() == {}


async def test_a_hanging_run_is_overrunning_and_not_stale_too(story: Story) -> None:
    await story.begin(
        {"rules": {"overrunning": {"warning": "10m"}, "stale": {"critical": "30m"}}},
        concurrency="Forbid",
    )
    started = {"job_started_at": SLOT_AT}
    await story.sees(at=SLOT_AT + MINUTE, **started)
    pod = builders.attempt(job_uid="job-0", started_at=SLOT_AT, created_at=SLOT_AT)
    seen = builders.observation(
        story.job, job_uid="job-0", job_name="report-0", owner_uid="cronjob-uid", slot_at=SLOT_AT
    )
    await observe.record(story.store, builders.CLUSTER, [seen], [(story.job.uid, pod)])
    await story.look(SLOT_AT + 11 * MINUTE)
    await story.look(SLOT_AT + timedelta(hours=2, minutes=5))
    rows = {row.slot_at: row for row in await story.runs()}
    skipped = rows[SLOT_AT + timedelta(hours=1)]
    assert (skipped.status, skipped.reason) == (Status.SKIPPED, "ForbidConcurrent")
    found = await story.open()
    assert found[policies.Kind.STALE].inhibited_by is policies.Kind.OVERRUNNING
    assert await story.messages() == [("incident.opened", "overrunning", "warning")]


async def test_a_suspended_job_expects_nothing(story: Story) -> None:
    await story.begin(suspended=True)
    await story.look(SLOT_AT + timedelta(days=2))
    assert await story.runs() == []
    assert await story.open() == {}


async def test_no_slot_is_expected_within_a_minute_of_its_schedule(story: Story) -> None:
    await story.begin(effective_from=SLOT_AT - timedelta(seconds=59))
    await story.look(SLOT_AT + 10 * MINUTE)
    assert await story.runs() == []


async def test_a_deleted_job_withdraws_what_was_told_and_cancels_what_runs(story: Story) -> None:
    await story.begin()
    await story.fails(0)
    await story.sees(at=SLOT_AT + timedelta(hours=1, seconds=5), slot=1)
    await story.evaluator.forget(story.job.id)
    newest = (await story.runs())[0]
    assert (newest.status, newest.reason) == (Status.CANCELLED, "OwnerDeleted")
    assert [kind for kind, _, _ in await story.messages()] == [
        "incident.opened",
        "incident.withdrawn",
    ]


async def test_nothing_is_judged_while_the_cluster_does_not_answer(story: Story) -> None:
    await story.begin()
    story.cluster.away = True
    with pytest.raises(errors.ClusterUnavailable):
        await story.look(SLOT_AT + 2 * MINUTE)
    assert await story.runs() == []
    story.cluster.away = False
    await story.look(SLOT_AT + 3 * MINUTE)
    assert (await story.runs())[0].status is Status.MISSED


async def test_two_looks_at_once_open_one_incident_and_tell_once(story: Story) -> None:
    await story.begin()
    story.clock.set(SLOT_AT + 2 * MINUTE)
    await asyncio.gather(*(story.evaluator.evaluate(story.job.id) for _ in range(4)))
    await story.look(SLOT_AT + 3 * MINUTE)
    assert await story.messages() == [("incident.opened", "missed", "critical")]


async def test_without_a_channel_the_incident_is_kept_and_nobody_is_told(story: Story) -> None:
    await story.begin()
    story.channels.names = ()
    await story.fails(0)
    assert policies.Kind.FAILING in await story.open()
    await story.succeeds(1)
    assert await story.messages() == []


async def test_a_job_with_our_label_and_another_owner_is_ignored(story: Story) -> None:
    await story.begin()
    assert not await story.sees(at=SLOT_AT + MINUTE, owner_uid="somebody-else")
    assert await story.runs() == []


async def test_a_second_job_for_the_same_slot_is_a_manual_run(story: Story) -> None:
    await story.begin()
    await story.sees(at=SLOT_AT + MINUTE)
    await story.sees(at=SLOT_AT + MINUTE, job_uid="job-x", created_at=SLOT_AT + MINUTE)
    triggers = sorted(row.trigger.value for row in await story.runs())
    assert triggers == ["manual", "schedule"]


async def test_readings_repeated_or_out_of_order_change_no_row(story: Story) -> None:
    await story.begin()
    at = SLOT_AT + MINUTE
    await story.sees(at=at, **_ended(Status.SUCCEEDED, at))
    before = await story.runs()
    await story.sees(at=at, **_ended(Status.SUCCEEDED, at))
    await story.sees(at=at)
    assert await story.runs() == before


async def test_a_reminder_comes_after_the_cooldown_and_counts_what_it_speaks_for(
    story: Story,
) -> None:
    await story.begin({"alerts": {"cooldown": "2h"}, "rules": {"failing": {"warning": 1}}})
    for slot in range(3):
        await story.fails(slot)
    assert [kind for kind, _, _ in await story.messages()] == [
        "incident.opened",
        "incident.reminder",
    ]


async def test_a_run_killed_with_its_namespace_is_nobodys_failure(story: Story) -> None:
    await story.begin()
    story.leaving = True
    await story.fails(0)
    assert await story.open() == {}
    await story.evaluator.forget(story.job.id)
    assert await story.messages() == []

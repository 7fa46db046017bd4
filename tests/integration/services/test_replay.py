"""Whatever way readings come in, the ledger ends up the same; and once more changes nothing.

The truth is generated, and the model says in a few lines what the ledger must have. Between the two
stand an Inbox, a writer and an evaluator that get the readings repeated, out of order and with
holes, until a full list comes, as after every disturbance.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollcall.core.executions import Attempt, JobObservation, JobTemplate, Status
from rollcall.services import inbox, writer
from rollcall.store import engine
from support import builders, clocks
from support.stories import HOUR, HOURLY, MINUTE, SECOND, SLOT_AT, Story, ended_with

EXAMPLES = settings().max_examples // 8
STARTS_AFTER = 5 * SECOND
TOOK = 10 * MINUTE
FAILED_WITH = 3
NUMBERS = itertools.count()
TEMPLATES = [
    JobTemplate(hash=f"template-{n}", summary=f'{{"images": {{"app": "app:{n}"}}}}') for n in "ab"
]

OF_JOB = {
    "executions": "cronjob_id = :id",
    "attempts": "cronjob_id = :id",
    "execution_events": "execution_id IN (SELECT id FROM executions WHERE cronjob_id = :id)",
    "gaps": "cronjob_id = :id",
    "incidents": "cronjob_id = :id",
    "incident_transitions": "incident_id IN (SELECT id FROM incidents WHERE cronjob_id = :id)",
    "notifications": "incident_id IN (SELECT id FROM incidents WHERE cronjob_id = :id)",
    "schedule_revisions": "cronjob_id = :id",
    "job_templates": "cronjob_id = :id",
}


@dataclass(frozen=True)
class Fate:
    """What the cluster did about one slot, and how many pods that took."""

    status: Status
    pods: int = 1


FATES = st.one_of(
    st.sampled_from([Status.MISSED, Status.PENDING, Status.RUNNING]).map(Fate),
    st.builds(Fate, st.sampled_from([Status.SUCCEEDED, Status.FAILED]), st.integers(1, 3)),
)
Reading = JobObservation | Attempt


class Truth:
    """One job's slots, and all readings that a perfect observer would have made of them."""

    def __init__(self, job: Any, fates: Sequence[Fate]) -> None:  # noqa: ANN401
        self.job = job
        self.fates = fates

    def readings(self) -> list[Reading]:
        return [one for slot in range(len(self.fates)) for one in self._of_slot(slot)]

    def final(self) -> list[Reading]:
        """Return the newest reading of everything, as a full list has it."""
        newest: dict[str, Reading] = {}
        for one in self.readings():
            newest[one.job_uid if isinstance(one, JobObservation) else one.pod_uid] = one
        return list(newest.values())

    def expected(self) -> set[tuple[object, ...]]:
        """Say what the ledger must have: the model."""
        return {self._row(slot, fate) for slot, fate in enumerate(self.fates)}

    def _row(self, slot: int, fate: Fate) -> tuple[object, ...]:
        at = SLOT_AT + slot * HOUR
        if fate.status is Status.MISSED:
            return at, fate.status, None, None, None, None, 0, None
        uid = f"{self.job.uid}-{slot}"
        started_at, made_from = at + STARTS_AFTER, TEMPLATES[slot % 2]
        if fate.status is Status.PENDING:
            return at, fate.status, uid, None, None, None, fate.pods, made_from.hash
        if fate.status is Status.RUNNING:
            return at, fate.status, uid, started_at, None, None, fate.pods, made_from.hash
        exit_code = 0 if fate.status is Status.SUCCEEDED else FAILED_WITH
        ended_at = at + fate.pods * TOOK
        return at, fate.status, uid, started_at, ended_at, exit_code, fate.pods, made_from.hash

    def _of_slot(self, slot: int) -> Iterator[Reading]:
        fate, at = self.fates[slot], SLOT_AT + slot * HOUR
        if fate.status is Status.MISSED:
            return
        job = builders.observation(
            self.job,
            slot_at=at,
            created_at=at,
            job_started_at=at,
            job_uid=f"{self.job.uid}-{slot}",
            job_name=f"{self.job.name}-{int(at.timestamp()) // 60}",
            template=TEMPLATES[slot % 2],
        )
        yield job
        for number in range(fate.pods):
            yield from self._of_pod(job, fate, number)
        if fate.status in {Status.SUCCEEDED, Status.FAILED}:
            ended = ended_with(fate.status, at + fate.pods * TOOK)
            yield replace(job, **(ended | {"ended_at": None}))
            yield replace(job, **ended)

    def _of_pod(self, job: JobObservation, fate: Fate, number: int) -> Iterator[Attempt]:
        created_at = job.created_at + number * TOOK
        pod = builders.attempt(
            f"{job.job_uid}-{number}", job_uid=job.job_uid, created_at=created_at
        )
        yield replace(pod, waiting_reason="ContainerCreating")
        if fate.status is Status.PENDING:
            return
        pod = replace(pod, node="n1", image_ids={"app": f"image-{number}"})
        pod = replace(pod, started_at=created_at + STARTS_AFTER)
        yield pod
        if fate.status is Status.RUNNING:
            return
        last = number == fate.pods - 1
        good = fate.status is Status.SUCCEEDED and last
        yield replace(
            pod,
            ended_at=created_at + TOOK,
            exit_code=0 if good else FAILED_WITH,
            reason=None if good else "Error",
        )


class Process:
    """One life of the operator; what it knows is in its Inbox alone."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.inbox = inbox.Inbox(story.clock)
        self.writer = writer.Writer(
            store=story.store,
            evidence=story.cluster,
            inbox=self.inbox,
            cluster=builders.CLUSTER,
            clock=story.clock,
            changed=lambda _: None,
            recorded=lambda _: None,
        )

    def sees(self, reading: Reading) -> None:
        if isinstance(reading, JobObservation):
            self.inbox.job(reading)
        else:
            self.inbox.pod(reading)

    async def lists(self, truth: Truth) -> None:
        for reading in truth.final():
            self.sees(reading)
        await self.writer.flush()
        await self.story.look_until_done(self.story.clock())

    async def lives_through(self, readings: Sequence[Reading], chance: random.Random) -> None:
        """See what comes in, write now and then, look now and then."""
        for reading in readings:
            self.sees(reading)
            if chance.random() < 0.2:
                await self.writer.flush()
            if chance.random() < 0.05:
                await self.story.look(self.story.clock())


def disturbed(readings: Sequence[Reading], chance: random.Random) -> list[Reading]:
    """Drop a third, repeat a third, and let each come up to six places late."""
    kept = [one for one in readings if chance.random() < 0.67]
    kept += [one for one in kept if chance.random() < 0.33]
    order = {id(one): place for place, one in enumerate(readings)}
    return sorted(kept, key=lambda one: order[id(one)] + chance.uniform(0, 6))


async def begin(store: engine.Database, clock: clocks.Clock, slots: int) -> Story:
    """Register a job of its own; it is long after the last slot when anybody looks."""
    clock.set(SLOT_AT + slots * HOUR - 10 * MINUTE)
    story = Story(store, clock)
    story.job = builders.job(f"replay-{next(NUMBERS)}", created_at=HOURLY.effective_from)
    async with store.transaction() as transaction:
        await transaction.registry.register(story.job)
    await story.applied(replace(HOURLY, concurrency="Allow"))
    return story


async def ledger(story: Story) -> set[tuple[object, ...]]:
    return {
        (
            run.slot_at,
            run.status,
            run.job_uid,
            run.started_at,
            None if run.status is Status.MISSED else run.ended_at,  # that of its chance to start
            run.exit_code,
            run.attempts,
            run.template_hash,
        )
        for run in await story.runs()
    }


async def dump(story: Story, *, versions: bool) -> dict[str, list[str]]:
    """Return all rows of the job; with `versions` also which transaction wrote each."""
    version = "xmin::text || " if versions else ""
    async with story.store.transaction() as transaction:
        return {
            table: sorted(
                (
                    await transaction.connection.execute(
                        sa.text(f"SELECT {version} {table}::text FROM {table} WHERE {condition}"),  # noqa: S608
                        {"id": story.job.id},
                    )
                ).scalars()
            )
            for table, condition in OF_JOB.items()
        }


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example has its own job
)
@given(fates=st.lists(FATES, min_size=1, max_size=6), seed=st.integers(0, 2**32))
async def test_any_stream_ends_in_the_truth_and_replaying_it_changes_no_row(
    store: engine.Database, clock: clocks.Clock, fates: list[Fate], seed: int
) -> None:
    chance = random.Random(seed)
    story = await begin(store, clock, len(fates))
    truth = Truth(story.job, fates)
    story.cluster.here = [one for one in truth.final() if isinstance(one, JobObservation)]

    process = Process(story)
    await process.lives_through(disturbed(truth.readings(), chance), chance)
    await process.lists(truth)
    assert await ledger(story) == truth.expected()

    rows = await dump(story, versions=False)
    replayed = Process(story)
    await replayed.lives_through(truth.readings(), chance)
    await replayed.lives_through(disturbed(truth.readings(), chance), chance)
    await replayed.lists(truth)
    assert await dump(story, versions=False) == rows

    written = await dump(story, versions=True)
    await Process(story).lists(truth)
    assert await dump(story, versions=True) == written


def test_the_stream_is_really_disturbed() -> None:
    truth = Truth(builders.job(), [Fate(Status.FAILED, 3), Fate(Status.SUCCEEDED)])
    readings = truth.readings()
    streams = [disturbed(readings, random.Random(seed)) for seed in range(20)]

    assert any(len(set(map(id, stream))) < len(stream) for stream in streams)
    assert all(len(set(map(id, stream))) < len(readings) for stream in streams)

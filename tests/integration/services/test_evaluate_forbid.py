"""A slot that a running job held under Forbid was skipped, and nobody is told."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rollcall.core import executions, policies, slots
from rollcall.core.executions import Status
from rollcall.services import evaluate, observe
from rollcall.store import engine
from support import builders, clocks

MINUTE = timedelta(minutes=1)
SLOT_AT = builders.SLOT_AT
RHYTHM = builders.revision(effective_from=SLOT_AT - 3 * MINUTE)


class Cluster:
    """A cluster in which no further Job exists and no Event says anything."""

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        del namespace, name
        return slots.CronJobReading(uid="cronjob-uid", suspended=False, last_schedule_at=SLOT_AT)

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        del namespace, job_name
        return None

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        del namespace, name
        return ()

    async def probe(self) -> None:
        """See."""


class Channels:
    """Every alert would go to the team."""

    def channels_for(self, *_: object, **__: object) -> Sequence[str]:
        return ("team",)


async def test_a_slot_held_by_a_running_job_is_skipped_and_told_to_nobody(
    store: engine.Database, clock: clocks.Clock
) -> None:
    # After ten minutes without a success the job is stale too, which is another matter.
    policy = {"rules": {"stale": {"enabled": False}}}
    job = builders.job(created_at=RHYTHM.effective_from, policy=policy)
    async with store.transaction() as transaction:
        await transaction.registry.register(job)
        await transaction.registry.applied(job.id, builders.applied(RHYTHM))
    evaluator = evaluate.Evaluator(
        store=store,
        evidence=Cluster(),
        directory=Channels(),
        cluster=builders.CLUSTER,
        defaults=policies.defaults(),
        changed=lambda _: None,
        wake=lambda: None,
    )

    async def statuses(at: datetime) -> list[tuple[Status, str | None]]:
        clock.set(at)
        await evaluator.evaluate(job.id)
        async with store.transaction() as transaction:
            return [(run.status, run.reason) for run in await transaction.ledger.recent(job.id, 9)]

    clock.set(SLOT_AT + timedelta(seconds=2))
    blocker = builders.observation(job, job_uid="blocker")
    pod = builders.attempt(job_uid="blocker", started_at=SLOT_AT + timedelta(seconds=1))
    assert await observe.record(store, builders.CLUSTER, [blocker], [(job.uid, pod)]) == [job.id]

    final_at = SLOT_AT + 11 * MINUTE  # the slot of 12:05 ends with the next one, plus the grace
    before = await statuses(final_at - timedelta(seconds=1))
    assert before == [(Status.RUNNING, None)]
    after = await statuses(final_at)
    assert after == [(Status.SKIPPED, "ForbidConcurrent"), (Status.RUNNING, None)]
    assert await statuses(final_at + MINUTE) == after
    async with store.transaction() as transaction:
        assert await transaction.incidents.open_of(job.id) == {}

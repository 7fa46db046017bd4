"""A Job was seen, with its pods: keep it in the ledger and ask for a new look at its job.

It can be repeated: the same reading twice changes nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from rollcall.core import errors, executions, ids, observations, stories, upstream
from rollcall.services import ports

logger = logging.getLogger(__name__)

Pod = tuple[str, executions.Attempt]  # UID of the TrackedCronJob, reading
_NO_OBSTACLES: Mapping[str, upstream.Cause] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a reading made of an execution."""

    job: executions.JobObservation
    pods: Sequence[executions.Attempt]  # oldest first
    before: executions.Execution
    after: executions.Execution
    is_news: bool = True  # False: the row says it already


async def record(
    store: ports.Store,
    cluster: str,
    jobs: Sequence[executions.JobObservation],
    pods: Sequence[Pod],
    obstacles: Mapping[str, upstream.Cause] = _NO_OBSTACLES,
) -> list[Change]:
    """Write readings of Jobs and their pods; return what became of those that were written.

    `obstacles` is by Job UID what Events say of why nothing starts. A Job is written only if its
    TrackedCronJob is registered and the CronJob that owns it is the one that we applied: a label
    alone proves nothing. The others are left out.
    """

    async def work(transaction: ports.Transaction) -> list[Change]:
        changes = []
        # Always in the same order, so that two writers cannot wait for each other.
        for job in sorted(jobs, key=lambda job: (job.tracked_uid, job.job_uid)):
            attempts = [attempt for _, attempt in pods if attempt.job_uid == job.job_uid]
            cronjob_id = ids.cronjob_id(cluster=cluster, uid=job.tracked_uid)
            obstacle = obstacles.get(job.job_uid)
            change = await _record_one(transaction, cronjob_id, job, attempts, obstacle)
            if change:
                changes.append(change)
        return changes

    return await store.run(work)


async def _record_one(
    transaction: ports.Transaction,
    cronjob_id: UUID,
    job: executions.JobObservation,
    attempts: Sequence[executions.Attempt],
    obstacle: upstream.Cause | None,
) -> Change | None:
    found = await _current(transaction, cronjob_id, job)
    if found is None:
        return None
    before, is_stored = found
    pods = _with_messages(await transaction.attempts.observe(before, attempts), attempts)
    after = observations.observe(before, job, pods, obstacle)
    if is_stored and after == before:
        return Change(job=job, pods=pods, before=before, after=after, is_news=False)
    await transaction.schedule.look_at(cronjob_id, transaction.now)
    try:
        await transaction.ledger.save(after)
    except errors.Conflict:
        # Another process gave the slot to another Job between our reading and our writing.
        logger.warning("slot taken meanwhile", extra={"job_uid": job.job_uid})
        return None
    if after != before and not after.is_open:
        await transaction.events.record(after, stories.of_pods(pods))
    return Change(job=job, pods=pods, before=before, after=after)


async def _current(
    transaction: ports.Transaction, cronjob_id: UUID, job: executions.JobObservation
) -> tuple[executions.Execution, bool] | None:
    """Return the execution of a Job, and whether it has a row; None if the Job is not ours.

    The one that has a slot first keeps it; a run that was ours stays so, also when its CronJob was
    made anew meanwhile.
    """
    owner = await transaction.registry.owner(cronjob_id)
    if owner is None:
        return None
    is_ours = owner == job.owner_uid
    of_slot = await transaction.ledger.of_slot(cronjob_id, job.slot_at) if job.slot_at else None
    if of_slot and of_slot.job_uid == job.job_uid:
        return of_slot, True
    if job.slot_at and (of_slot is None or of_slot.job_uid is None):
        return _or_new(of_slot, cronjob_id, job, job.slot_at) if is_ours else None
    of_job = await transaction.ledger.of_job(job.created_at, job.job_uid)
    return _or_new(of_job, cronjob_id, job, None) if of_job or is_ours else None


def _or_new(
    found: executions.Execution | None,
    cronjob_id: UUID,
    job: executions.JobObservation,
    slot_at: datetime | None,
) -> tuple[executions.Execution, bool]:
    return (found, True) if found else (_new(cronjob_id, job, slot_at), False)


def _new(
    cronjob_id: UUID, job: executions.JobObservation, slot_at: datetime | None
) -> executions.Execution:
    if slot_at:
        identifier = ids.scheduled_execution_id(cronjob_id=cronjob_id, slot_at=slot_at)
        trigger = executions.Trigger.SCHEDULE
    else:
        identifier = ids.job_execution_id(job_uid=job.job_uid, slot_at=job.created_at)
        trigger = executions.Trigger.MANUAL
    return executions.Execution(
        id=identifier,
        cronjob_id=cronjob_id,
        slot_at=slot_at or job.created_at,
        trigger=trigger,
        status=executions.Status.PENDING,
        job_name=job.job_name,
        job_uid=job.job_uid,
        created_at=job.created_at,
    )


def _with_messages(
    stored: Sequence[executions.Attempt], seen: Sequence[executions.Attempt]
) -> list[executions.Attempt]:
    """Give back what waiting pods said: the store keeps it with the execution alone."""
    said = {(pod.pod_uid, pod.waiting_reason): pod.waiting_message for pod in seen}
    return [
        replace(pod, waiting_message=said.get((pod.pod_uid, pod.waiting_reason))) for pod in stored
    ]

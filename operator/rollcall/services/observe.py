"""A Job was seen, with its pods: keep it in the ledger and ask for a new look at its job.

It can be repeated: the same reading twice changes nothing.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from rollcall.core import executions, ids, observations, pod_events, upstream
from rollcall.services import last_words, pods, ports

logger = logging.getLogger(__name__)

SETTLE = timedelta(seconds=2)  # a run's first steps are one look
_NO_OBSTACLES: Mapping[str, upstream.Cause] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a reading made of an execution."""

    job: executions.JobObservation
    pods: Sequence[executions.Attempt]  # oldest first
    before: executions.Execution
    after: executions.Execution
    is_news: bool = True  # False: the row says it already

    @property
    def has_ended(self) -> bool:
        """Whether the run is over, and this reading said so or more of it."""
        return self.after != self.before and not self.after.is_open


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What was seen of one Job, and of which cronjob it says to be."""

    job: executions.JobObservation
    cronjob_id: UUID
    pods: Sequence[executions.Attempt]
    obstacle: upstream.Cause | None

    @property
    def slot(self) -> ports.SlotKey | None:
        return (self.cronjob_id, self.job.slot_at) if self.job.slot_at else None


async def record(
    store: ports.Store,
    cluster: str,
    jobs: Sequence[executions.JobObservation],
    pods: Sequence[executions.Attempt],
    obstacles: Mapping[str, upstream.Cause] = _NO_OBSTACLES,
) -> list[Change]:
    """Write readings of Jobs and their pods; return what became of those that were written.

    `obstacles` is by Job UID what Events say of why nothing starts. Of a pod's labels none counts,
    its Job's do. A Job is written only if its
    TrackedCronJob is registered and the CronJob that owns it is the one that we applied: a label
    alone proves nothing. The others are left out.
    """
    seen: dict[str, list[executions.Attempt]] = defaultdict(list)
    for pod in pods:
        seen[pod.job_uid].append(pod)
    # Always in the same order, so that two writers cannot wait for each other.
    readings = [
        _Reading(
            job=job,
            cronjob_id=ids.cronjob_id(cluster=cluster, uid=job.tracked_uid),
            pods=seen[job.job_uid],
            obstacle=obstacles.get(job.job_uid),
        )
        for job in sorted(jobs, key=lambda job: (job.tracked_uid, job.job_uid))
    ]

    async def work(transaction: ports.Transaction) -> list[Change]:
        changes = []
        for round_ in _rounds(readings):
            changes += await _record(transaction, round_)
        return changes

    return await store.run(work)


def _rounds(readings: Sequence[_Reading]) -> list[list[_Reading]]:
    """Divide the readings so that of each slot one comes at a time: the first Job keeps it."""
    rounds: list[list[_Reading]] = []
    nth: Counter[ports.SlotKey | None] = Counter()
    for reading in readings:
        number = nth[reading.slot] if reading.slot else 0
        nth[reading.slot] += 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(reading)
    return rounds


async def _record(transaction: ports.Transaction, readings: Sequence[_Reading]) -> list[Change]:
    """Read for all of them at once, then write what is new."""
    owners = await transaction.registry.owners({one.cronjob_id for one in readings})
    stored = await transaction.ledger.of_slots([one.slot for one in readings if one.slot])
    found = [
        (one, *current)
        for one in readings
        if one.cronjob_id in owners
        and (current := await _current(transaction, one, owners[one.cronjob_id], stored))
    ]
    known = await pods.keep(
        transaction,
        [
            last_words.Found(run=before, job_name=one.job.job_name, seen=one.pods)
            for one, before, _ in found
        ],
    )
    changes = [
        _change(one, before, known[before.id], transaction.now, is_stored=is_stored)
        for one, before, is_stored in found
    ]
    refused = await _save(transaction, [change for change in changes if change.is_news])
    return [change for change in changes if change.after.id not in refused]


def _change(
    reading: _Reading,
    before: executions.Execution,
    pods: Sequence[executions.Attempt],
    now: datetime,
    *,
    is_stored: bool,
) -> Change:
    known = _with_messages(pods, reading.pods)
    after = observations.observe(before, reading.job, known, reading.obstacle)
    waiting_since = observations.waiting_since(before, after, now)
    after = replace(after, waiting_since=waiting_since)
    return Change(
        job=reading.job,
        pods=known,
        before=before,
        after=after,
        is_news=not is_stored or after != before,
    )


async def _save(transaction: ports.Transaction, changes: Sequence[Change]) -> Collection[UUID]:
    """Write what is new; return the runs whose slot another process gave to another Job."""
    if not changes:
        return ()
    await transaction.schedule.look_at(_looks(changes, transaction.now))
    refused = await transaction.ledger.save_all(
        [change.after for change in changes],
        [
            ports.UsedTemplate(cronjob_id=one.after.cronjob_id, template=one.job.template)
            for one in changes
            if one.job.template and one.after.template_hash != one.before.template_hash
        ],
    )
    for change in changes:
        if change.after.id in refused:
            logger.warning("slot taken meanwhile", extra={"job_uid": change.job.job_uid})
    kept = [change for change in changes if change.after.id not in refused]
    await transaction.events.record_all(
        [(one.after, pod_events.of_attempts(one.pods, is_over=one.has_ended)) for one in kept]
    )
    return refused


def _looks(changes: Sequence[Change], now: datetime) -> dict[UUID, datetime]:
    """Return when each job is to be looked at: at once if one of its runs has ended."""
    times: dict[UUID, datetime] = {}
    for run in (change.after for change in changes):
        at = now + SETTLE if run.is_open else now
        times[run.cronjob_id] = min(at, times.get(run.cronjob_id, at))
    return times


async def _current(
    transaction: ports.Transaction,
    reading: _Reading,
    owner: str,
    stored: Mapping[ports.SlotKey, executions.Execution],
) -> tuple[executions.Execution, bool] | None:
    """Return the execution of a Job, and whether it has a row; None if the Job is not ours.

    The one that has a slot first keeps it; a run that was ours stays so, also when its CronJob was
    made anew meanwhile.
    """
    job = reading.job
    is_ours = owner == job.owner_uid
    of_slot = stored.get(reading.slot) if reading.slot else None
    if of_slot and of_slot.job_uid == job.job_uid:
        return of_slot, True
    if job.slot_at and (of_slot is None or of_slot.job_uid is None):
        return _or_new(of_slot, reading, job.slot_at) if is_ours else None
    of_job = await transaction.ledger.of_job(job.created_at, job.job_uid)
    return _or_new(of_job, reading, None) if of_job or is_ours else None


def _or_new(
    found: executions.Execution | None, reading: _Reading, slot_at: datetime | None
) -> tuple[executions.Execution, bool]:
    return (found, True) if found else (_new(reading.cronjob_id, reading.job, slot_at), False)


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
    """Give back what pods said: the store keeps it with the execution alone."""
    said = {pod.pod_uid: pod for pod in seen}
    return [_with_message(pod, said.get(pod.pod_uid, pod)) for pod in stored]


def _with_message(stored: executions.Attempt, seen: executions.Attempt) -> executions.Attempt:
    is_same = stored.waiting_reason == seen.waiting_reason
    message = seen.waiting_message if is_same else None
    return replace(stored, waiting_message=message, untracked=seen.untracked)

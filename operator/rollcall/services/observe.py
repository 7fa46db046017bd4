"""A Job or a Pod was seen: keep it in the ledger and ask for a new look at its job.

The Inbox only remembers the latest reading of each object, so a burst costs memory by living
objects, not by events. The Writer takes it, a bounded piece at a time, in transactions that can be
repeated: the same reading twice changes nothing. A Job that seems to be gone is read once more
before anything is written: a removed label looks the same as a deletion.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.core import errors, executions, ids
from rollcall.services import ports

logger = logging.getLogger(__name__)

PIECE = 200  # Jobs per transaction
PAUSE = 0.1  # seconds between two pieces, in which readings of the same Job meet
RETRY = 1.0  # seconds, while Postgres or the API server is away
PARKED_STEP = timedelta(seconds=2)
PARKED_FOR = timedelta(
    minutes=5
)  # a Job whose TrackedCronJob is not registered yet waits this long
REPLACED_WITHIN = timedelta(seconds=60)  # Replace deletes one Job and makes the next at once

Pod = tuple[str, executions.Attempt]  # UID of the TrackedCronJob, reading


@dataclass(slots=True)
class _Entry:
    """What is known of one Job, and what of it is not written yet."""

    job: executions.JobObservation | None = None
    pods: dict[str, executions.Attempt] | None = None
    waiting_since: datetime | None = None
    parked_until: datetime | None = None  # it cannot be written yet
    vanished: bool = False


class Inbox:
    """The latest readings, by Job UID. Not for use from several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._waiting: dict[str, None] = {}  # in order of arrival
        self._unseen: set[str] = set()  # gone, and known from the store alone
        self.arrived = asyncio.Event()

    def job(self, job: executions.JobObservation) -> None:
        """Remember a reading; the same as before asks for nothing."""
        entry = self._entries.setdefault(job.job_uid, _Entry())
        if entry.job == job and not entry.vanished:
            return
        entry.job = job
        entry.vanished = False
        self._ask(job.job_uid, entry)

    def pod(self, tracked_uid: str, attempt: executions.Attempt) -> None:
        """Remember a pod of a tracked job."""
        del tracked_uid  # the Job's own label decides
        entry = self._entries.setdefault(attempt.job_uid, _Entry())
        entry.pods = entry.pods or {}
        if entry.pods.get(attempt.pod_uid) == attempt:
            return
        entry.pods[attempt.pod_uid] = attempt
        self._ask(attempt.job_uid, entry)

    def vanished(self, job_uid: str) -> None:
        """Remember the hint that a Job is gone."""
        entry = self._entries.get(job_uid)
        if entry is None or entry.job is None:
            self._entries.pop(job_uid, None)
            self._waiting.pop(job_uid, None)
            self._unseen.add(job_uid)
            self.arrived.set()
            return
        entry.vanished = True
        self._ask(job_uid, entry)

    def known(self) -> Collection[str]:
        """Return the UIDs of Jobs that are believed to be alive."""
        return [uid for uid, entry in self._entries.items() if entry.job and not entry.vanished]

    def oldest(self) -> datetime | None:
        """Return since when the oldest reading waits that could be written."""
        entries = (self._entries[uid] for uid in self._waiting)
        return next((e.waiting_since for e in entries if e.job and not e.parked_until), None)

    def take(self, limit: int) -> list[str]:
        """Return the UIDs that wait longest and can be tried now; pods wait for their Job."""
        now = self._clock()
        ready = [uid for uid in self._waiting if _is_ready(self._entries[uid], now)]
        if not ready:
            self.arrived.clear()
        return ready[:limit]

    def unseen(self) -> set[str]:
        """Return the UIDs of vanished Jobs of which only the store knows."""
        return set(self._unseen)

    def settled(self, job_uids: Collection[str]) -> None:
        """Forget vanished Jobs of which only the store knew."""
        self._unseen.difference_update(job_uids)

    def entry(self, job_uid: str) -> _Entry:
        """Return what is known of a Job."""
        return self._entries[job_uid]

    def written(self, job_uid: str, entry: _Entry, job: executions.JobObservation | None) -> None:
        """Stop asking, unless something newer came in meanwhile."""
        if entry.job is not job:
            return
        self._waiting.pop(job_uid, None)
        entry.waiting_since = entry.parked_until = None
        if entry.vanished:
            self._entries.pop(job_uid, None)

    def park(self, job_uid: str) -> None:
        """Try a reading again later; after PARKED_FOR only a newer one is tried."""
        entry = self._entries[job_uid]
        now = self._clock()
        if now - (entry.waiting_since or now) > PARKED_FOR:
            self._waiting.pop(job_uid, None)
            entry.waiting_since = entry.parked_until = None
            return
        entry.parked_until = now + PARKED_STEP

    def _ask(self, job_uid: str, entry: _Entry) -> None:
        entry.waiting_since = entry.waiting_since or self._clock()
        self._waiting.setdefault(job_uid, None)
        self.arrived.set()


def _is_ready(entry: _Entry, now: datetime) -> bool:
    return entry.job is not None and (entry.parked_until is None or entry.parked_until <= now)


async def record(
    store: ports.Store,
    cluster: str,
    jobs: Sequence[executions.JobObservation],
    pods: Sequence[Pod],
) -> list[UUID]:
    """Write readings of Jobs and their pods; return the ids of the jobs that were touched.

    A Job is written only if its TrackedCronJob is registered and the CronJob that owns it is the
    one that we applied: a label alone proves nothing. The others are left out.
    """

    async def work(transaction: ports.Transaction) -> list[UUID]:
        touched = set()
        # Always in the same order, so that two writers cannot wait for each other.
        for job in sorted(jobs, key=lambda job: (job.tracked_uid, job.job_uid)):
            attempts = [attempt for _, attempt in pods if attempt.job_uid == job.job_uid]
            cronjob_id = ids.cronjob_id(cluster=cluster, uid=job.tracked_uid)
            if await _record_one(transaction, cronjob_id, job, attempts):
                touched.add(cronjob_id)
        return sorted(touched)

    return await store.run(work)


async def _record_one(
    transaction: ports.Transaction,
    cronjob_id: UUID,
    job: executions.JobObservation,
    attempts: Sequence[executions.Attempt],
) -> bool:
    owner = await transaction.registry.owner(cronjob_id)
    if owner is None or owner != job.owner_uid:
        return False
    await transaction.schedule.look_at(cronjob_id, transaction.now)
    current = await _current(transaction, cronjob_id, job)
    pods = await transaction.attempts.observe(current, attempts)
    observed = executions.observe(current, job, pods)
    try:
        await transaction.ledger.save(observed)
    except errors.Conflict:
        # Another process gave the slot to another Job between our reading and our writing.
        logger.warning("slot taken meanwhile", extra={"job_uid": job.job_uid})
        return False
    return True


async def _current(
    transaction: ports.Transaction, cronjob_id: UUID, job: executions.JobObservation
) -> executions.Execution:
    if job.slot_at:
        found = await transaction.ledger.of_slot(cronjob_id, job.slot_at)
        if found is None or found.job_uid in {None, job.job_uid}:
            return found or _new(cronjob_id, job, job.slot_at)
    found = await transaction.ledger.of_job(job.created_at, job.job_uid)
    return found or _new(cronjob_id, job, None)


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


class Writer:
    """Writes what the Inbox holds, for ever; nothing is lost while Postgres is away."""

    def __init__(
        self,
        *,
        store: ports.Store,
        evidence: ports.Evidence,
        inbox: Inbox,
        cluster: str,
        changed: Callable[[UUID], None],
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._inbox = inbox
        self._cluster = cluster
        self._changed = changed

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._inbox.arrived.wait(), timeout=PARKED_STEP.total_seconds()
                )
            try:
                await self.flush()
            except errors.Unavailable as error:
                logger.warning("observations wait", extra={"error": str(error)})
                await asyncio.sleep(RETRY)
            await asyncio.sleep(PAUSE)

    async def flush(self) -> None:
        """Write one piece. Raises errors.Unavailable; then everything is still in the Inbox."""
        await self._conclude_unseen()
        piece = self._inbox.take(PIECE)
        if not piece:
            return
        try:
            await self._write(piece)
        except errors.Unavailable:
            raise
        except errors.RollcallError:
            await self._one_by_one(piece)

    async def _one_by_one(self, piece: Sequence[str]) -> None:
        """Let one poisoned reading cost only itself."""
        for uid in piece:
            try:
                await self._write([uid])
            except errors.Unavailable:
                raise
            except errors.RollcallError:
                logger.exception("observation refused", extra={"job_uid": uid})
                entry = self._inbox.entry(uid)
                self._inbox.written(uid, entry, entry.job)

    async def _write(self, piece: Sequence[str]) -> None:
        entries = {uid: self._inbox.entry(uid) for uid in piece}
        jobs = {uid: entry.job for uid, entry in entries.items() if entry.job}
        for uid, entry in entries.items():
            if entry.vanished and uid in jobs:
                again = await self._confirm_gone(jobs[uid])
                if again:
                    jobs[uid], entry.job, entry.vanished = again, again, False
        pods = [
            (jobs[uid].tracked_uid, attempt)
            for uid, entry in entries.items()
            for attempt in (entry.pods or {}).values()
        ]
        touched = await record(self._store, self._cluster, list(jobs.values()), pods)
        for uid, entry in entries.items():
            await self._settle(uid, entry, jobs[uid], set(touched))
        for cronjob_id in touched:
            self._changed(cronjob_id)

    async def _settle(
        self,
        uid: str,
        entry: _Entry,
        job: executions.JobObservation,
        touched: Collection[UUID],
    ) -> None:
        known = ids.cronjob_id(cluster=self._cluster, uid=job.tracked_uid) in touched
        if entry.vanished:
            await conclude_gone(self._store, self._cluster, job)
        elif not known:
            self._inbox.park(uid)
            return
        self._inbox.written(uid, entry, job)

    async def _conclude_unseen(self) -> None:
        """End executions that an earlier process recorded and whose Jobs went while nobody saw."""
        gone = self._inbox.unseen()
        if not gone:
            return

        async def load(
            transaction: ports.Transaction,
        ) -> tuple[Sequence[ports.JobRow], Sequence[executions.Execution]]:
            return (
                await transaction.registry.registered(self._cluster),
                await transaction.history.open_jobs(self._cluster),
            )

        rows, runs = await self._store.run(load)
        namespaces = {row.job.id: row.job.namespace for row in rows}
        for run in runs:
            namespace = namespaces.get(run.cronjob_id)
            if run.job_uid in gone and run.job_name and namespace:
                found = await self._evidence.job(namespace, run.job_name)
                if found is None or found.job_uid != run.job_uid:
                    await self._conclude_unknown(run)
        self._inbox.settled(gone)

    async def _conclude_unknown(self, run: executions.Execution) -> None:
        async def work(transaction: ports.Transaction) -> None:
            await transaction.schedule.look_at(run.cronjob_id, transaction.now)
            ended = executions.conclude(
                run, executions.Status.UNKNOWN, reason="JobGone", at=transaction.now
            )
            await transaction.ledger.save(ended)

        await self._store.run(work)
        self._changed(run.cronjob_id)

    async def _confirm_gone(
        self, job: executions.JobObservation
    ) -> executions.JobObservation | None:
        found = await self._evidence.job(job.namespace, job.job_name)
        return found if found and found.job_uid == job.job_uid else None


async def conclude_gone(store: ports.Store, cluster: str, job: executions.JobObservation) -> None:
    """End the execution of a Job that does not exist any more; an ended one stays as it is."""
    cronjob_id = ids.cronjob_id(cluster=cluster, uid=job.tracked_uid)

    async def work(transaction: ports.Transaction) -> None:
        await transaction.schedule.look_at(cronjob_id, transaction.now)
        run = await transaction.ledger.of_job(job.slot_at or job.created_at, job.job_uid)
        if run is None or not run.is_open:
            return
        owner = await transaction.registry.owner(cronjob_id)
        revisions = await transaction.history.revisions(cronjob_id, transaction.now)
        replaces = bool(revisions) and revisions[-1].concurrency == "Replace"
        recent = await transaction.ledger.recent(cronjob_id, 10) if replaces else ()
        status, reason = _ending(run, recent, orphaned=owner is None, now=transaction.now)
        await transaction.ledger.save(
            executions.conclude(run, status, reason=reason, at=transaction.now)
        )

    await store.run(work)


def _ending(
    run: executions.Execution,
    recent: Sequence[executions.Execution],
    *,
    orphaned: bool,
    now: datetime,
) -> tuple[executions.Status, str]:
    if orphaned:
        return executions.Status.CANCELLED, "OwnerDeleted"
    for other in recent:
        scheduled = other.trigger is executions.Trigger.SCHEDULE
        follows = scheduled and other.id != run.id and other.slot_at > run.slot_at
        if follows and other.created_at and now - other.created_at <= REPLACED_WITHIN:
            return executions.Status.REPLACED, "Replaced"
    return executions.Status.CANCELLED, "JobDeleted"

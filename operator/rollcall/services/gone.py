"""Jobs that are gone, as far as we heard: confirm it by a read, and end their executions.

A removed label looks the same as a deletion, and what a list does without may only be late.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from rollcall.core import endings, executions, ids
from rollcall.services import ports

AROUND = 10  # executions among which a replacement is looked for


class Gone:
    """Confirms that a Job is gone, and ends its execution."""

    def __init__(self, *, store: ports.Store, evidence: ports.Evidence, cluster: str) -> None:
        self._store = store
        self._evidence = evidence
        self._cluster = cluster

    async def again(self, job: executions.JobObservation) -> executions.JobObservation | None:
        """Read this very Job once more; None if it is really gone."""
        return await self._evidence.reread(
            job.namespace, job.job_name, job.job_uid, job.tracked_uid
        )

    async def conclude(
        self, job: executions.JobObservation, *, gone_at: datetime, was_seen: bool, now: datetime
    ) -> bool:
        """End the execution of a Job that does not exist any more; an ended one stays as it is.

        Return False while it is too early to say how it ended.
        """
        cronjob_id = ids.cronjob_id(cluster=self._cluster, uid=job.tracked_uid)
        has_owner = await self._has_owner(job)

        async def work(transaction: ports.Transaction) -> bool:
            run = await _run_of(transaction, job)
            if run is None or not run.is_open:
                return True
            is_closed = await transaction.registry.owner(cronjob_id) is None
            departure = endings.Departure(
                at=gone_at,
                was_seen=was_seen,
                owner_is_gone=is_closed or not has_owner,
                concurrency=await _concurrency(transaction, cronjob_id),
            )
            recent = await transaction.ledger.recent(cronjob_id, AROUND)
            ending = endings.ending(run, departure, recent, now=now)
            if ending is None:
                return False
            await _end(transaction, run, ending)
            return True

        return await self._store.run(work)

    async def conclude_unseen(self, job_uids: Collection[str]) -> list[UUID]:
        """End executions of an earlier process whose Jobs went while nobody saw.

        Return the ids of the jobs that were touched.
        """

        async def load(
            transaction: ports.Transaction,
        ) -> tuple[Sequence[ports.JobRow], Sequence[executions.Execution]]:
            open_jobs = await transaction.history.open_jobs(self._cluster)
            runs = [run for run in open_jobs if run.job_uid in job_uids]
            return await transaction.registry.some({run.cronjob_id for run in runs}), runs

        rows, runs = await self._store.run(load)
        jobs = {row.job.id: row.job for row in rows}
        touched = []
        for run in runs:
            job = jobs.get(run.cronjob_id)
            if job and not await self._is_there(job, run):
                await self._end_unseen(run)
                touched.append(run.cronjob_id)
        return touched

    async def _end_unseen(self, run: executions.Execution) -> None:
        await self._store.run(lambda transaction: _end(transaction, run, endings.UNSEEN))

    async def _is_there(self, job: ports.TrackedJob, run: executions.Execution) -> bool:
        name, uid = run.job_name or "", run.job_uid or ""
        return await self._evidence.reread(job.namespace, name, uid, job.uid) is not None

    async def _has_owner(self, job: executions.JobObservation) -> bool:
        """Whether the CronJob that owned the Job still exists."""
        if job.owner_name is None:
            return True
        cronjob = await self._evidence.cronjob(job.namespace, job.owner_name)
        return cronjob is not None and cronjob.uid == job.owner_uid


async def _run_of(
    transaction: ports.Transaction, job: executions.JobObservation
) -> executions.Execution | None:
    """Find the run of a Job: at its slot, or where another Job has the slot, at its creation."""
    run = None
    if job.slot_at:
        run = await transaction.ledger.of_job(job.slot_at, job.job_uid)
    return run or await transaction.ledger.of_job(job.created_at, job.job_uid)


async def _concurrency(transaction: ports.Transaction, cronjob_id: UUID) -> str:
    revisions = await transaction.history.revisions(cronjob_id, transaction.now)
    return revisions[-1].concurrency if revisions else ""


async def _end(
    transaction: ports.Transaction, run: executions.Execution, ending: endings.Ending
) -> None:
    await transaction.schedule.look_at({run.cronjob_id: transaction.now})
    ended = executions.conclude(
        run, ending.status, reason=ending.reason, message=ending.message, at=transaction.now
    )
    await transaction.ledger.save(ended)

"""Writes what the Inbox holds, a bounded piece at a time, in transactions that can be repeated.

Nothing is lost while Postgres or the API server is away. A Job that seems to be gone is read once
more before anything is written: a removed label looks the same as a deletion.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from rollcall.core import errors, executions
from rollcall.services import gone, inbox, observe, outliving, ports

logger = logging.getLogger(__name__)

PIECE = 200  # Jobs per transaction
# Seconds between two pieces, in which readings meet: a piece costs the same for one as for many.
PAUSE = 0.5
RETRY = 1.0  # seconds, while Postgres or the API server is away

Piece = Mapping[str, inbox.Entry]


class Writer:
    """Takes from the Inbox and writes.

    `changed` hears which jobs' rows are new, `recorded` what became of each run.
    """

    def __init__(
        self,
        *,
        store: ports.Store,
        evidence: ports.Evidence,
        inbox: inbox.Inbox,
        cluster: str,
        clock: Callable[[], datetime],
        changed: Callable[[UUID], None],
        recorded: Callable[[observe.Change], None],
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._cluster = cluster
        self._clock = clock
        self._changed = changed
        self._recorded = recorded
        self._gone = gone.Gone(store=store, evidence=evidence, cluster=cluster)
        self._outliving = outliving.Outliving(store=store, inbox=inbox, changed=changed)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._inbox.arrived.wait(), timeout=inbox.PARKED_STEP.total_seconds()
                )
            is_more = False
            try:
                is_more = await self.flush()
            except errors.Unavailable as error:
                logger.warning("observations wait", extra={"error": str(error)})
                await asyncio.sleep(RETRY)
            await asyncio.sleep(0 if is_more else PAUSE)

    async def flush(self) -> bool:
        """Write one piece of each kind; says whether one was whole, so that more may wait.

        Raises errors.Unavailable; then everything is still in the Inbox.
        """
        unseen = self._inbox.unseen()
        if unseen:
            await self._conclude_unseen(unseen)
        is_more = await self._flush_jobs()
        return await self._outliving.flush() or is_more

    async def _flush_jobs(self) -> bool:
        taken_at = self._clock()
        piece = self._inbox.take(PIECE)
        if not piece:
            return False
        try:
            await self._write(piece, taken_at)
        except errors.Unavailable:
            raise
        except Exception as error:
            # Most likely it is one reading's, which will say so by itself.
            logger.warning("not written together", extra={"jobs": len(piece)}, exc_info=error)
            await self._one_by_one(piece, taken_at)
        return len(piece) == PIECE

    async def _conclude_unseen(self, job_uids: set[str]) -> None:
        """End runs of which only the store knows; the next full list names again what fails."""
        try:
            for cronjob_id in await self._gone.conclude_unseen(job_uids):
                self._changed(cronjob_id)
        except errors.Unavailable:
            raise
        except Exception:
            logger.exception("vanished Jobs not concluded")
        self._inbox.settled(job_uids)

    async def _one_by_one(self, piece: Piece, taken_at: datetime) -> None:
        """Let one poisoned reading cost only itself."""
        for uid, entry in piece.items():
            news = entry.news
            try:
                await self._write({uid: entry}, taken_at)
            except errors.Unavailable:
                raise
            except errors.RollcallError:
                logger.exception("observation refused", extra={"job_uid": uid})
                self._inbox.written(uid, news)
            except Exception:
                logger.exception("observation not written yet", extra={"job_uid": uid})
                self._inbox.park(uid)

    async def _write(self, piece: Piece, taken_at: datetime) -> None:
        """Write it; what came in after it was taken is not written yet, however long this takes."""
        news = {uid: entry.news for uid, entry in piece.items()}
        jobs = {uid: entry.job for uid, entry in piece.items() if entry.job}
        changes = await observe.record(
            self._store,
            self._cluster,
            list(jobs.values()),
            [pod for entry in piece.values() for pod in entry.pods.values()],
            {uid: entry.obstacle for uid, entry in piece.items() if entry.obstacle},
        )
        written = {change.job.job_uid for change in changes}
        for uid, entry in piece.items():
            if entry.news != news[uid]:
                continue  # what came in meanwhile is written next, and may say otherwise
            if await self._is_settled(uid, entry, jobs[uid], taken_at, is_written=uid in written):
                self._inbox.written(uid, news[uid])
        for change in changes:
            if change.is_news:
                self._changed(change.after.cronjob_id)
            self._recorded(change)

    async def _is_settled(
        self,
        uid: str,
        entry: inbox.Entry,
        job: executions.JobObservation,
        taken_at: datetime,
        *,
        is_written: bool,
    ) -> bool:
        if entry.gone_at and not job.decided:
            return await self._conclude(uid, job, entry, taken_at)
        if not entry.gone_at and not is_written:
            self._inbox.park(uid)
            return False
        return True

    async def _conclude(
        self, uid: str, job: executions.JobObservation, entry: inbox.Entry, taken_at: datetime
    ) -> bool:
        """End the run of a Job that is gone without a verdict; False if that cannot be said yet."""
        again = await self._gone.again(job)
        if again:
            self._inbox.job(again)
            return False
        is_over = await self._gone.conclude(
            job,
            gone_at=entry.gone_at or taken_at,
            was_seen=entry.was_seen_going,
            now=taken_at,
        )
        if not is_over:
            self._inbox.defer(uid)
        return is_over

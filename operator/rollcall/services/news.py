"""Jobs whose reports the rules should hear of soon: a look is asked for, not too often.

Best effort: the job's next look is due in any case, and sees all that was reported by then.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from rollcall.core import errors
from rollcall.services import ports, recent

logger = logging.getLogger(__name__)

EACH = 5.0  # seconds between two looks of a job that are asked for here
# Seconds between two transactions of this: runs that end by the hundred share one.
PAUSE = 0.1
MOST_JOBS = 20_000


class News:
    """Asks for looks, beside the transactions that keep reports; call it from one loop."""

    def __init__(self, store: ports.Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._waiting: set[UUID] = set()
        # The look that was asked for last, which may lie ahead.
        self._asked = recent.Recent[UUID, float](lifetime=2 * EACH, size=MOST_JOBS, clock=clock)
        self._not_before = clock()
        self._work: asyncio.Task[None] | None = None

    def tell(self, cronjob_ids: Iterable[UUID]) -> None:
        """Note that there is news of these jobs."""
        self._waiting.update(cronjob_ids)
        if self._waiting and (self._work is None or self._work.done()):
            self._work = asyncio.create_task(self._ask_all(), name="ingest-news")

    async def close(self) -> None:
        """Wait for what is being asked."""
        if self._work:
            await self._work

    async def _ask_all(self) -> None:
        while self._waiting:
            pause = self._not_before - self._clock()
            if pause > 0:
                await asyncio.sleep(pause)
            jobs, self._waiting = self._waiting, set()
            delays = {job: delay for job in sorted(jobs) if (delay := self._delay(job)) is not None}
            try:
                await self._ask(delays)
            except errors.RollcallError as error:
                text = str(error)
                logger.warning("looks not asked for", extra={"jobs": len(delays), "error": text})
            self._not_before = self._clock() + PAUSE

    def _delay(self, job: UUID) -> float | None:
        """Return in how many seconds to look; None if a look ahead is asked for already."""
        now, last = self._clock(), self._asked.get(job)
        if last is not None and last > now:
            return None
        at = now if last is None else max(now, last + EACH)
        self._asked.put(job, at)
        return at - now

    async def _ask(self, delays: Mapping[UUID, float]) -> None:
        async def work(unit: ports.Transaction) -> None:
            times = {job: unit.now + timedelta(seconds=delay) for job, delay in delays.items()}
            await unit.schedule.look_at(times)

        if delays:
            await self._store.run(work)

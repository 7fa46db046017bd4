"""Every second: which jobs are due for a look? Costs what is due, not what exists."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from rollcall.core import errors
from rollcall.services import ports

logger = logging.getLogger(__name__)

EVERY = 1.0  # seconds
AT_ONCE = 100  # jobs per sweep
# Jobs that share a transaction. Its rows are turned into objects while nothing else runs, and its
# locks are held meanwhile (measured: 0.1 s for 25 jobs with a hundred runs each, on a busy core).
TOGETHER = 25
SIDE_BY_SIDE = 4  # looks of their own
POISONED_FOR = timedelta(minutes=5)


class Looks(Protocol):
    """Who looks at jobs."""

    async def evaluate_all(self, cronjob_ids: Collection[UUID]) -> Collection[UUID]:
        """Take one look at each, together; return those that must be looked at alone."""

    async def evaluate(self, cronjob_id: UUID) -> None:
        """Take one look."""

    async def postpone(self, cronjob_id: UUID, by: timedelta) -> None:
        """Look again later."""


class Beyond(Protocol):
    """Who looks for what is wrong with the cluster as a whole."""

    async def look_if_due(self) -> None:
        """Look every few seconds, also while nothing is seen."""

    def expect(self, due: int) -> None:
        """Hear how many jobs are looked at next."""

    async def gathered(self, *, is_more: bool) -> None:
        """Hear that they were looked at, and whether more are due already."""


class Sweep:
    """Looks at due jobs while we see; `swept_at` is the end of the last sweep that went through."""

    def __init__(
        self,
        *,
        store: ports.Store,
        evaluator: Looks,
        beyond: Beyond,
        cluster: str,
        is_clear: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._evaluator = evaluator
        self._beyond = beyond
        self._cluster = cluster
        self._is_clear = is_clear
        self._clock = clock
        self.swept_at: datetime | None = None

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            is_more = False
            try:
                is_more = await self.sweep()
            except errors.Unavailable as error:
                logger.warning("the sweep waits", extra={"error": str(error)})
            await asyncio.sleep(0 if is_more else EVERY)

    async def sweep(self) -> bool:
        """Look at what is due now, unless we are blind; says whether more may be due already."""
        await self._beyond.look_if_due()
        if not self._is_clear():
            return False
        due = await self._store.run(lambda tx: tx.schedule.due(self._cluster, AT_ONCE))
        self._beyond.expect(len(due))
        is_fine = True
        for start in range(0, len(due), TOGETHER):
            is_fine &= await self._look_at(due[start : start + TOGETHER])
        is_more = len(due) == AT_ONCE and is_fine
        await self._beyond.gathered(is_more=is_more)
        self.swept_at = self._clock()
        return is_more

    async def _look_at(self, cronjob_ids: Sequence[UUID]) -> bool:
        try:
            alone = await self._evaluator.evaluate_all(cronjob_ids)
        except errors.Unavailable:
            alone = cronjob_ids  # each look says for itself whether it is so still
        except Exception as error:
            # Most likely it is one job's, and its own look will say so.
            logger.warning("no look together", extra={"jobs": len(cronjob_ids)}, exc_info=error)
            alone = cronjob_ids
        gate = asyncio.Semaphore(SIDE_BY_SIDE)

        async def look(cronjob_id: UUID) -> bool:
            async with gate:
                return await self._look(cronjob_id)

        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(look(cronjob_id)) for cronjob_id in alone]
        return all(one.result() for one in looks)

    async def _look(self, cronjob_id: UUID) -> bool:
        try:
            await self._evaluator.evaluate(cronjob_id)
        except errors.Unavailable as error:
            logger.warning(
                "look postponed", extra={"cronjob_id": str(cronjob_id), "error": str(error)}
            )
            return False
        except Exception:
            logger.exception("look failed", extra={"cronjob_id": str(cronjob_id)})
            with contextlib.suppress(errors.Unavailable):  # then it is due again
                await self._evaluator.postpone(cronjob_id, POISONED_FOR)
            return False
        return True

"""The leader keeps the store in shape: at its start, and every hour from then on.

The order is that of urgency: without partitions nothing can be recorded, and nothing is removed
before it is rolled up. Each step finds out by itself what is to be done, so that an hour with
nothing to do costs a few small queries, and one that was missed is made up for.
"""

import asyncio
import logging

from rollcall.core import errors
from rollcall.services import ports

logger = logging.getLogger(__name__)

EVERY = 3600.0  # seconds
RETRY = 60.0  # seconds, after a failure


class Upkeep:
    """Partitions, roll-ups and retention."""

    def __init__(self, *, store: ports.Housekeeping, retention_weeks: int) -> None:
        self._store = store
        self._retention_weeks = retention_weeks

    async def run(self) -> None:
        """Do it until cancelled; what fails is tried again."""
        while True:
            try:
                await self.once()
            except errors.RollcallError as error:
                logger.warning("upkeep waits", extra={"error": str(error)})
                await asyncio.sleep(RETRY)
            else:
                await asyncio.sleep(EVERY)

    async def once(self) -> None:
        """Do what is to be done now; raises errors.StoreUnavailable."""
        made = await self._store.make_partitions()
        rolled = await self._store.roll_up()
        gone = await self._store.retire(self._retention_weeks)
        if made or rolled or gone:
            counts = {"made": len(made), "rolled_days": len(rolled), "removed": len(gone)}
            logger.info("upkeep done", extra=counts)

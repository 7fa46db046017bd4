"""Whether we see the cluster well enough to judge.

Our own blindness must not look like somebody's missed run. We see while a small consistent read
went through a moment ago and what was read is written soon. After a longer gap everything is listed
again before anything is judged.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from rollcall.core import errors
from rollcall.services import ports

logger = logging.getLogger(__name__)

PROBE_EVERY = 5.0  # seconds
GAP = timedelta(seconds=15)  # three probes missed
WRITTEN_WITHIN = timedelta(seconds=5)


class Waiting(Protocol):
    """What was seen and is not written yet."""

    def oldest(self) -> datetime | None:
        """Return since when the oldest reading waits."""


class Sight:
    """Probes the API server; `observed_through` is the start of the last good probe."""

    def __init__(
        self,
        *,
        evidence: ports.Evidence,
        inbox: Waiting,
        resync: Callable[[], Awaitable[None]],
        clock: Callable[[], datetime],
        resync_every: timedelta = timedelta(minutes=4),
    ) -> None:
        self._evidence = evidence
        self._inbox = inbox
        self._resync = resync
        self._clock = clock
        self._resync_every = resync_every
        self._listed_at: datetime | None = None
        self.observed_through: datetime | None = None

    def is_clear(self) -> bool:
        """Whether what the store has is what the cluster is."""
        now = self._clock()
        if self.observed_through is None or now - self.observed_through > GAP:
            return False
        oldest = self._inbox.oldest()
        return oldest is None or now - oldest <= WRITTEN_WITHIN

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except errors.RollcallError as error:
                logger.warning("the cluster cannot be seen", extra={"error": str(error)})
            await asyncio.sleep(PROBE_EVERY)

    async def look(self) -> None:
        """Probe once; list everything first if we were away. Raises errors.RollcallError."""
        started_at = self._clock()
        await self._evidence.probe()
        if self._must_list(started_at):
            await self._resync()
            self._listed_at = started_at
        self.observed_through = started_at

    def _must_list(self, now: datetime) -> bool:
        away = self.observed_through is None or now - self.observed_through > GAP
        listed = self._listed_at is not None and now - self._listed_at < self._resync_every
        return away or not listed

"""What is wrong with a cluster as a whole, looked for every few seconds and told once.

1. Jobs that are due together are looked at first. What some of them are about to tell, that a run
   did not start, waits that long: `wait` says so, and the outbox holds it.
2. Then this look: is there one cause of many? In one transaction it opens that cause's incident,
   and lets go what waited. Whoever sends asks once more, and keeps what the cause explains.
3. A process that dies in between holds back nothing: what waits becomes due by itself.
While the cluster is not seen no job is looked at, and this look goes on as long as Postgres
answers. What nobody could say, because that was away too, is said when it is back.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from rollcall.core import errors
from rollcall.services import ports, wide_looks

logger = logging.getLogger(__name__)

EVERY = timedelta(seconds=5)
CROWD = 2  # jobs due at once: one alone never waits
LONGEST_CROWD = timedelta(seconds=7)  # after so long a cause is looked for although more are due
WAIT = timedelta(seconds=10)  # longer than that and a look


class Eyes(Protocol):
    """Whether we see the cluster, and why not."""

    def is_clear(self) -> bool:
        """Whether what the store has is what the cluster is."""

    def why_blind(self) -> str | None:
        """Say what keeps us from seeing, None if nothing is known."""


class Wide:
    """Says when a cluster is looked at as a whole."""

    def __init__(
        self,
        *,
        store: ports.Store,
        looks: wide_looks.Looks,
        eyes: Eyes,
        cluster: str,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._looks = looks
        self._eyes = eyes
        self._cluster = cluster
        self._clock = clock
        self._wake = wake
        self._looked_at: datetime | None = None
        self._was_clear = False
        self._clear_at: datetime | None = None
        self._crowd_since: datetime | None = None

    def wait(self) -> timedelta:
        """Return how long messages wait for a cause beyond their job."""
        return WAIT if self._crowd_since else timedelta()

    def expect(self, due: int) -> None:
        """Hear how many jobs are looked at next."""
        if due >= CROWD and self._crowd_since is None:
            self._crowd_since = self._clock()

    async def gathered(self, *, is_more: bool) -> None:
        """Look once a crowd is through, or if it takes too long. Raises errors.Unavailable."""
        since = self._crowd_since
        if since and not (is_more and self._clock() - since < LONGEST_CROWD):
            await self._try_to_look()

    async def look_if_due(self) -> None:
        """Look every few seconds, and at once when we see again. Raises errors.Unavailable."""
        is_clear = self._eyes.is_clear()
        if is_clear:
            self._clear_at = self._clock()
        last = self._looked_at
        if last is None or is_clear != self._was_clear or self._clock() - last >= EVERY:
            await self._try_to_look()

    async def _try_to_look(self) -> None:
        self._looked_at, self._was_clear = self._clock(), self._eyes.is_clear()
        glance = wide_looks.Glance(
            is_clear=self._was_clear,
            unseen_for=self._clock() - self._clear_at if self._clear_at else None,
            why=self._eyes.why_blind(),
        )
        try:
            is_told = await self._store.run(lambda tx: self._look(tx, glance))
        except errors.Unavailable:
            raise
        except Exception:  # jobs are looked at all the same, and what waits is sent
            logger.exception("no look at the cluster as a whole")
            is_told = False
        if is_told or self._crowd_since:
            self._wake()
        self._crowd_since = None

    async def _look(self, transaction: ports.Transaction, glance: wide_looks.Glance) -> bool:
        is_told = await self._looks.take(transaction, glance)
        if self._crowd_since:
            await transaction.outbox.release(self._cluster)
        return is_told

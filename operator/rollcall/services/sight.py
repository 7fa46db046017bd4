"""Whether we see the cluster well enough to judge, and when we did not.

Our own blindness must not look like somebody's missed run.

- We see while a small consistent read goes through every few seconds, what was read is written
  soon, and the clocks of cluster and database agree.
- After a longer gap, a restart included, everything is listed again, and all of it is written,
  before anything is judged. The gap is kept: deadlines that fell due in it count later, and a slot
  whose Job may have come and gone in it is unknown.
- Times of blindness are the database's; how old the last look is, our own clock says.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from rollcall.core import blindness, durations, errors, health, ids, slots
from rollcall.services import ports

logger = logging.getLogger(__name__)

PROBE_EVERY = 5.0  # seconds
GAP = timedelta(seconds=15)  # three probes missed
WRITTEN_WITHIN = timedelta(seconds=5)
REMEMBERED = timedelta(days=30)  # blindness that ended earlier: no slot is judged so late


class Waiting(Protocol):
    """What was seen and is not written yet."""

    def oldest(self) -> datetime | None:
        """Return since when the oldest reading waits."""


class Sight:
    """Probes the API server; `observed_through` is the database's time of the last good probe."""

    def __init__(
        self,
        *,
        store: ports.Store,
        evidence: ports.Evidence,
        inbox: Waiting,
        resync: Callable[[], Awaitable[None]],
        cluster: str,
        clock: Callable[[], datetime],
        changed: Callable[[UUID], None],
        resync_every: timedelta = timedelta(minutes=4),
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._inbox = inbox
        self._resync = resync
        self._cluster = cluster
        self._clock = clock
        self._changed = changed
        self._resync_every = resync_every
        self._began_at = clock()
        self._looked_at: datetime | None = None  # our clock, as are the next two
        self._listed_at: datetime | None = None
        self._caught_up_at: datetime | None = None  # end of the list after the last gap
        self._listing = asyncio.Lock()
        self._answers = False  # whether the API server answered last
        self._error: str | None = None  # of the last look
        self._is_dim = True  # an earlier process may have left it so
        self._seen = blindness.CLEAR
        self.observed_through: datetime | None = None

    def seen(self) -> blindness.Sight:
        """Return when we were blind and how clocks differ."""
        return self._seen

    def is_clear(self) -> bool:
        """Whether what the store has is what the cluster is."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at > GAP:
            return False
        oldest = self._inbox.oldest()
        if oldest is None:
            return True
        is_of_the_list = self._caught_up_at is not None and oldest <= self._caught_up_at
        return not is_of_the_list and now - oldest <= WRITTEN_WITHIN

    def why_blind(self) -> str | None:
        """Say what keeps us from seeing, None if nothing is known."""
        return self._error

    async def run(self) -> None:
        """Look, and list everything now and then, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_repeat(self.try_to_look))
            group.create_task(_repeat(self._try_to_relist))

    async def try_to_look(self) -> None:
        """Look; if it fails for long, say of jobs that look well that nobody knows."""
        try:
            await self.look()
        except errors.RollcallError as error:
            self._error = str(error)
            logger.warning("the cluster cannot be seen", extra={"error": self._error})
            await self._despair()

    async def look(self) -> None:
        """Probe once; list everything first if we were away. Raises errors.RollcallError."""
        asked_at = self._clock()
        began, last = await self._store.run(self._begin)
        self._answers = False
        server_time = await self._evidence.probe()
        self._answers = True
        self._compare(server_time, began + (self._clock() - asked_at))
        if self._looked_at is None or asked_at - self._looked_at > GAP:
            await self._list()
            asked_at = self._caught_up_at = self._clock()
            began = await self._store.run(lambda tx: self._catch_up(tx, last))
        self._looked_at, self.observed_through = asked_at, began
        self._error = None

    async def relist(self) -> None:
        """List everything again if it is time to; looking goes on meanwhile."""
        if self._listed_at and self._clock() - self._listed_at >= self._resync_every:
            await self._list()

    async def _try_to_relist(self) -> None:
        try:
            await self.relist()
        except errors.RollcallError as error:
            logger.warning("the cluster cannot be listed", extra={"error": str(error)})

    async def _list(self) -> None:
        async with self._listing:
            began_at = self._clock()
            await self._resync()
            self._listed_at = began_at

    async def _begin(self, transaction: ports.Transaction) -> tuple[datetime, datetime | None]:
        """Keep the last good look, and learn of an earlier process'."""
        last = await transaction.sight.mark(self._cluster, self.observed_through)
        return transaction.now, last

    async def _catch_up(self, transaction: ports.Transaction, last: datetime | None) -> datetime:
        """Keep the time of blindness that is over now; none before the very first look."""
        now = transaction.now
        cluster_id = ids.cluster_id(cluster=self._cluster)
        if last and now - last > GAP:
            await transaction.gaps.save(_gap(cluster_id, last, now))
        await transaction.sight.mark(self._cluster, now)
        stored = await transaction.gaps.of(cluster_id, now - REMEMBERED, now)
        self._seen = replace(self._seen, blind=_periods(stored))
        if self._is_dim:
            await transaction.sight.brighten(self._cluster)
            self._is_dim = False
        return now

    def _compare(self, server_time: datetime | None, now: datetime) -> None:
        """Compare the clocks of API server and database; raises errors.ClusterUnavailable."""
        if server_time is None:
            return
        before = self._seen
        # The server cuts to whole seconds: in the middle is where it is most likely.
        difference = server_time + timedelta(seconds=0.5) - now
        self._seen = replace(before, clock_difference=difference)
        if bool(before.widening) != bool(self._seen.widening):
            logger.warning(
                "clocks of API server and database",
                extra={"difference_seconds": round(difference.total_seconds(), 1)},
            )
        if blindness.is_blinding(difference):
            apart = durations.text(abs(difference))
            raise errors.ClusterUnavailable(
                f"the clocks of API server and database are {apart} apart"
            )

    async def _despair(self) -> None:
        since = self._looked_at or self._began_at
        if self._is_dim or self._clock() - since <= health.BLIND_AFTER:
            return
        try:
            dimmed = await self._store.run(lambda tx: tx.sight.dim(self._cluster))
        except errors.RollcallError as error:
            logger.warning("the store does not answer either", extra={"error": str(error)})
            return
        self._is_dim = True
        if self._answers:  # else no status can be written, and the good news may be true again
            for cronjob_id in dimmed:
                self._changed(cronjob_id)


async def _repeat(once: Callable[[], Awaitable[None]]) -> None:
    while True:
        await once()
        await asyncio.sleep(PROBE_EVERY)


def _gap(cluster_id: UUID, last: datetime, until: datetime) -> slots.Gap:
    return slots.Gap(
        cronjob_id=cluster_id,
        from_at=last,
        until_at=until,
        status="blind",
        reason="Blind",
        message=f"Rollcall did not see the cluster for {durations.text(until - last)}",
        count=0,
    )


def _periods(stored: Sequence[slots.Gap]) -> list[blindness.Blind]:
    return [
        blindness.Blind(from_at=gap.from_at, until_at=gap.until_at)
        for gap in stored
        if gap.until_at
    ]

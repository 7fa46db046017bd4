"""Writes the status of TrackedCronJobs: seldom, and only what differs.

A change is looked at a moment later, so that what belongs together is one write, and the same
object at the earliest BETWEEN later again. News is written at once; details (times, counts) with
the next news, or after a while. Nothing is written before the first reconciliation:
observedGeneration never stands without its conditions.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.cluster import (
    client,
    fields,
    inventory,
    outcomes,
    paths,
    status,
    troubles,
    workqueue,
)
from rollcall.core import errors, names
from rollcall.services import gathering, ports

logger = logging.getLogger(__name__)

SETTLE = timedelta(seconds=4)  # a Job, its pod's start and what the rules say are one write
BETWEEN = timedelta(seconds=5)
DETAILS = timedelta(seconds=10)
_WORKERS = 8
GATHER = 0.05  # seconds in which others may come whose summaries are read together
MOST = 500  # of them


class StatusWriter:
    """Touched with the ids of jobs whose status may differ."""

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        store: ports.Store,
        inventory: inventory.Inventory,
        outcomes: Callable[[UUID], outcomes.Outcome | None],
        trouble: Callable[[inventory.Key], troubles.Trouble | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._store = store
        self._summaries = gathering.Gathering(self._read, wait=GATHER, most=MOST)
        self._inventory = inventory
        self._outcomes = outcomes
        self._trouble = trouble
        self._clock = clock
        self._looked_at: dict[UUID, datetime] = {}
        self._details_since: dict[UUID, datetime] = {}
        self._queue: workqueue.WorkQueue[UUID] = workqueue.WorkQueue(
            handle=self.write, workers=_WORKERS, name="status"
        )

    def touch(self, cronjob_id: UUID) -> None:
        """Ask for a look at this job's status."""
        looked_at = self._looked_at.get(cronjob_id)
        left = looked_at + BETWEEN - self._clock() if looked_at else SETTLE
        self._queue.add_after(cronjob_id, min(max(left, SETTLE), BETWEEN))

    async def run(self) -> None:
        """Write until cancelled."""
        await self._queue.run()

    def oldest(self) -> float:
        """Return for how many seconds the longest overdue write has been waiting."""
        return self._queue.oldest()

    async def write(self, cronjob_id: UUID) -> timedelta | None:
        """Write the status if it differs; return when to look again without being asked.

        Raises errors.Unavailable.
        """
        key, outcome = self._inventory.key_of(cronjob_id), self._outcomes(cronjob_id)
        tracked = self._inventory.tracked(key) if key else None
        if key is None or tracked is None or outcome is None:
            self._looked_at.pop(cronjob_id, None)
            self._details_since.pop(cronjob_id, None)
            return None
        self._looked_at[cronjob_id] = self._clock()
        summary = await self._summaries.get(cronjob_id)
        before = fields.mapping(tracked, "status")
        now, trouble = self._clock(), self._trouble(key)
        wanted = status.build(outcome, summary, before=before, now=now, trouble=trouble)
        if status.differs(wanted, before):
            wait = None if status.is_news(wanted, before) else self._details_wait(cronjob_id)
            if wait:
                return wait
            await self._patch(key, tracked, wanted)
        self._details_since.pop(cronjob_id, None)
        return None

    async def _read(self, cronjob_ids: Collection[UUID]) -> Mapping[UUID, ports.Summary | None]:
        found = await self._store.run(lambda transaction: transaction.summaries(cronjob_ids))
        return {cronjob_id: found.get(cronjob_id) for cronjob_id in cronjob_ids}

    def _details_wait(self, cronjob_id: UUID) -> timedelta | None:
        """Return how long a difference in details may still wait, None for no longer."""
        now = self._clock()
        left = self._details_since.setdefault(cronjob_id, now) + DETAILS - now
        return left if left > timedelta() else None

    async def _patch(
        self, key: inventory.Key, tracked: client.Object, wanted: status.Status
    ) -> None:
        body = {"metadata": {"uid": tracked["metadata"]["uid"]}, "status": wanted}
        try:
            written = await self._kube.merge(
                f"{paths.tracked(*key)}/status", body, manager=names.MANAGER
            )
        except errors.NotFound:
            return  # deleted meanwhile
        except errors.Conflict:
            return  # another object of this name by now: its own reconciliation asks again
        except errors.Refused as error:
            logger.error(  # noqa: TRY400 - the server's words say it all
                "a status was refused", extra={"key": str(key), "error": str(error)}
            )
            return
        self._inventory.put(written)

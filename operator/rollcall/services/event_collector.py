"""Asks for the Warning Events of runs that fail or cannot start, and keeps what they say.

Events are forgotten after an hour, and with their objects nobody looks for them. They are read once
for each such run, one run after the other, apart from the writing of runs.
"""

import asyncio
import logging
from typing import NoReturn

from rollcall.core import errors, executions
from rollcall.core.executions import Status
from rollcall.services import observe, ports

logger = logging.getLogger(__name__)

LONGEST_QUEUE = 1000  # runs; more at once are one problem, not a thousand
PODS = 2  # the newest of a run, beside its Job
RETRY = 5.0  # seconds, while the API server or Postgres is away


class EventCollector:
    """Hears of changes, and adds to the story of those that went wrong."""

    def __init__(self, *, store: ports.Store, evidence: ports.Evidence) -> None:
        self._store = store
        self._evidence = evidence
        self._cases: dict[str, observe.Change] = {}  # by Job UID, in order of arrival
        self._arrived = asyncio.Event()

    def hear(self, change: observe.Change) -> None:
        """Remember a run that went wrong; any other is none of ours."""
        if not _goes_wrong(change):
            return
        if len(self._cases) >= LONGEST_QUEUE and change.job.job_uid not in self._cases:
            logger.warning("too many runs go wrong to read all their events")
            return
        self._cases[change.job.job_uid] = change
        self._arrived.set()

    async def run(self) -> NoReturn:
        """Ask until cancelled."""
        while True:
            await self._arrived.wait()
            try:
                await self.ask()
            except errors.Unavailable as error:
                logger.warning("events cannot be read or kept", extra={"error": str(error)})
                await asyncio.sleep(RETRY)

    async def ask(self) -> None:
        """Ask for all that wait. Raises errors.Unavailable; then the rest waits on."""
        while self._cases:
            uid, case = next(iter(self._cases.items()))
            try:
                await self._keep(case)
            except errors.Unavailable:
                raise
            except errors.RollcallError:
                logger.exception("events not kept", extra={"job_uid": uid})
            if self._cases[uid] is case:
                del self._cases[uid]
        self._arrived.clear()

    async def _keep(self, case: observe.Change) -> None:
        newest = case.pods[-PODS:]
        found = [
            executions.Event(
                at=event.last_at, source="kubernetes", reason=event.reason, message=event.message
            )
            for uid in (case.job.job_uid, *(pod.pod_uid for pod in newest))
            for event in await self._evidence.warnings(case.job.namespace, uid)
        ]
        if found:
            await self._store.run(lambda tx: tx.events.record(case.after, found))


def _goes_wrong(change: observe.Change) -> bool:
    before, after = change.before, change.after
    if after.status is Status.FAILED:
        return before.status is not Status.FAILED
    return after.is_open and after.reason is not None and after.reason != before.reason

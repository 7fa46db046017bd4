"""Whose pods are these? Asked of the store in groups: one transaction for all who wait.

As in `batches`, a question goes out as soon as the one before is answered. After a restart of the
api every pod of the cluster is unknown at once.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from rollcall.services import ports

GROUP = 500  # pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the store knows of a pod, None for nothing, and the time by its clock."""

    identity: ports.Identity | None
    at: datetime


class Identities:
    """Works only while somebody waits; call it from one loop."""

    def __init__(self, store: ports.Store) -> None:
        self._store = store
        self._waiting: dict[str, asyncio.Future[Seen]] = {}
        self._work: asyncio.Task[None] | None = None

    async def find(self, pod_uid: str) -> Seen:
        """Look a pod up; raises errors.StoreUnavailable."""
        if pod_uid not in self._waiting:
            self._waiting[pod_uid] = asyncio.get_running_loop().create_future()
        found = self._waiting[pod_uid]
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._ask_all(), name="ingest-identities")
        return await asyncio.shield(found)

    async def _ask_all(self) -> None:
        while self._waiting:
            group = {uid: self._waiting.pop(uid) for uid in list(self._waiting)[:GROUP]}
            try:
                seen = await self._ask(list(group))
            except Exception as error:  # noqa: BLE001 - it is for those who wait
                for found in group.values():
                    found.set_exception(error)
            else:
                for uid, found in group.items():
                    found.set_result(seen[uid])

    async def _ask(self, pod_uids: list[str]) -> dict[str, Seen]:
        async with self._store.transaction() as unit:
            known = await unit.attempts.identify(pod_uids)
            return {uid: Seen(identity=known.get(uid), at=unit.now) for uid in pod_uids}

"""Full lists of everything that is watched, compared with what came in: no event is trusted alone.

- The first run takes everything in as it is listed; it must be over before anything is judged.
- Later runs take in only what the watches have not delivered a moment after the list, and count it:
  the one honest measure of whether they work.
- What was known before a list and is not in it is gone. That is a hint like any other.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from rollcall.cluster import client, fields, intake, inventory, paths
from rollcall.cluster.seen import Kind
from rollcall.core import errors, names
from rollcall.services import ports

logger = logging.getLogger(__name__)

GRACE = 2.0  # seconds in which a watch may still deliver what the list has
Object = client.Object

# In this order a job is reconciled once: when all it needs has come in.
_LISTS: Mapping[Kind, tuple[str, str]] = {
    Kind.NAMESPACE: (paths.NAMESPACES, ""),
    Kind.CHANNEL: (paths.CHANNELS, ""),
    Kind.CRONJOB: (paths.CRONJOBS, names.LABEL_UID),
    Kind.TRACKED: (paths.TRACKED, ""),
    Kind.JOB: (paths.JOBS, names.LABEL_UID),
    Kind.POD: (paths.PODS, names.LABEL_UID),
}


class Inbox(Protocol):
    """Who knows which Jobs are believed to be alive."""

    def known(self) -> Collection[str]:
        """Return their UIDs."""

    def vanished(self, job_uid: str) -> None:
        """Take the hint that a Job is gone."""


class Remembers(Protocol):
    """Who wants to know the rows of the store once."""

    def remember(self, rows: Sequence[ports.JobRow]) -> None:
        """Take them."""


class Resync:
    """Compares; call `run_once` at start, every few minutes, and after blindness."""

    def __init__(
        self,
        *,
        kube: client.KubeClient,
        store: ports.Store,
        cluster: str,
        intake: intake.Intake,
        inventory: inventory.Inventory,
        inbox: Inbox,
        reconciler: Remembers,
        reconcile: Callable[[inventory.Key], None],
        corrected: Callable[[str, int], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._store = store
        self._cluster = cluster
        self._intake = intake
        self._inventory = inventory
        self._inbox = inbox
        self._reconciler = reconciler
        self._reconcile = reconcile
        self._corrected = corrected
        self._sleep = sleep
        self._is_first = True
        self.recalled = asyncio.Event()  # whether the reconciler knows the rows of the store

    async def run_once(self) -> None:
        """List everything once and correct what differs. Raises errors.Unavailable."""
        rows, open_jobs = await self._rows()
        if not self.recalled.is_set():  # later it knows better
            self._reconciler.remember(rows)
            self.recalled.set()
        open_jobs |= set(self._inbox.known())
        known = {kind: self._intake.seen.uids(kind) for kind in Kind}
        listed: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        late: list[tuple[Kind, Object]] = []
        for kind in _LISTS:
            async for body in self._list(kind):
                listed[kind].add(fields.text(body, "metadata", "uid") or "")
                if self._is_first:
                    self._take(kind, body)
                elif not self._intake.seen.has(kind, body):
                    late.append((kind, body))
        await self._take_late(late, {kind: known[kind] - listed[kind] for kind in Kind})
        for uid in open_jobs - listed[Kind.JOB]:
            self._inbox.vanished(uid)
        for row in rows:
            key = inventory.Key(row.job.namespace, row.job.name)
            if key not in self._inventory:
                self._reconcile(key)
        self._is_first = False

    async def _rows(self) -> tuple[list[ports.JobRow], set[str]]:
        """Read what the store believes, before the lists: whatever is newer is in them."""
        rows = await self._store.run(
            lambda transaction: transaction.registry.registered(self._cluster)
        )
        runs = await self._store.run(
            lambda transaction: transaction.history.open_jobs(self._cluster)
        )
        return list(rows), {run.job_uid for run in runs if run.job_uid}

    async def _list(self, kind: Kind) -> AsyncIterator[Object]:
        path, selector = _LISTS[kind]
        query = {"labelSelector": selector} if selector else {}
        try:
            async for body in self._kube.list(path, **query):
                yield body
        except (errors.NotFound, errors.Refused) as error:
            raise errors.ClusterUnavailable(f"{kind} cannot be listed: {error}") from error

    def _take(self, kind: Kind, body: Object) -> None:
        """Take an object in; one that cannot be must not keep the others out."""
        try:
            self._intake.take(kind, body)
        except Exception:
            logger.exception("an object could not be taken in", extra={"kind": kind.value})

    async def _take_late(
        self, late: list[tuple[Kind, Object]], missing: Mapping[Kind, set[str]]
    ) -> None:
        if not late and not any(missing.values()):
            return
        await self._sleep(GRACE)
        corrections = dict.fromkeys(Kind, 0)
        for kind, body in late:
            if not self._intake.seen.has(kind, body):
                self._take(kind, body)
                corrections[kind] += 1
        for kind, uids in missing.items():
            for uid in uids:
                remains: dict[str, Any] | None = self._intake.seen.remains(kind, uid)
                if remains:
                    self._intake.gone(kind, remains)
                    corrections[kind] += 1
        for kind, count in corrections.items():
            if count:
                logger.warning(
                    "a full list found what no watch delivered",
                    extra={"kind": kind.value, "count": count},
                )
                self._corrected(kind.value, count)

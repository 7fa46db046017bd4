"""Reports of sidecars: known by their token, kept in groups, acknowledged after COMMIT.

Invariants:
- Whoever waits for a heartbeat is answered only when its transaction is committed or has failed.
- When the store fails nothing is kept: the sidecars hold the latest state and send it again.
- When a heartbeat came is told by the database's clock, not by ours and not by the sender's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from rollcall.core import errors
from rollcall.services import ports, reporters

logger = logging.getLogger(__name__)

GATHER = 0.05  # seconds; what it adds to an answer is nothing to a pod that reports each 15 s
BATCH = 500  # larger ones gain nothing (see the store)
MOST_WAITING = 10_000  # one report of each pod of a very large cluster
RETRY_AFTER = 5.0  # seconds


def _ignore(*_: object) -> None:
    pass


@dataclass(slots=True)
class _Beat:
    """The newest heartbeat of a pod, and who waits for it to be kept."""

    at: float  # monotonic
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class Batcher:
    """Group commit of heartbeats. It works only while somebody waits; call it from one loop."""

    def __init__(
        self, store: ports.Store, *, on_batch: Callable[[float, int], object] = _ignore
    ) -> None:
        self._store = store
        self._on_batch = on_batch
        self._pending: dict[str, _Beat] = {}
        self._waiting = 0
        self._full = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def hear(self, pod_uid: str) -> None:
        """Keep that the pod was heard now; return after COMMIT.

        Raises errors.Unavailable if it was not kept, or if too many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise errors.StoreUnavailable("too many reports are waiting", retry_after=RETRY_AFTER)
        kept = self._add(pod_uid)
        self._waiting += 1
        try:
            await kept
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Wait until everything that was heard is kept or refused."""
        if self._work:
            await self._work

    def _add(self, pod_uid: str) -> asyncio.Future[None]:
        kept = asyncio.get_running_loop().create_future()
        beat = self._pending.setdefault(pod_uid, _Beat(at=0.0))
        beat.at = time.monotonic()
        beat.waiting.append(kept)
        if len(self._pending) >= BATCH:
            self._full.set()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._flush_all(), name="ingest-batches")
        return kept

    async def _flush_all(self) -> None:
        while self._pending:
            await self._gather()
            batch = dict(list(self._pending.items())[:BATCH])
            for pod_uid in batch:
                del self._pending[pod_uid]
            if len(self._pending) < BATCH:
                self._full.clear()
            await self._flush(batch)

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(GATHER):
                await self._full.wait()
        except TimeoutError:
            pass

    async def _flush(self, batch: Mapping[str, _Beat]) -> None:
        started = time.monotonic()
        try:
            await self._write(batch)
        except errors.Unavailable as error:
            refusal = errors.StoreUnavailable(str(error), retry_after=RETRY_AFTER)
            refusal.__cause__ = error
            _settle(batch, refusal)
            self._refuse_pending(refusal)
        except Exception as error:  # noqa: BLE001 - a row that cannot be kept costs only itself
            await self._isolate(batch, error)
        else:
            self._on_batch(time.monotonic() - started, len(batch))
            _settle(batch)

    async def _isolate(self, batch: Mapping[str, _Beat], error: Exception) -> None:
        if len(batch) == 1:
            logger.error("heartbeat not kept", extra={"pods": list(batch)}, exc_info=error)
            _settle(batch, error)
            return
        beats = list(batch.items())
        middle = len(beats) // 2
        await self._flush(dict(beats[:middle]))
        await self._flush(dict(beats[middle:]))

    async def _write(self, batch: Mapping[str, _Beat]) -> None:
        async def heard(unit: ports.Transaction) -> None:
            now = time.monotonic()
            await unit.attempts.heard(
                [(uid, unit.now - timedelta(seconds=now - beat.at)) for uid, beat in batch.items()]
            )

        await self._store.run(heard)

    def _refuse_pending(self, refusal: errors.Unavailable) -> None:
        """Fail those who came meanwhile: each would wait for the same failure again."""
        waiting, self._pending = self._pending, {}
        self._full.clear()
        _settle(waiting, refusal)


def _settle(batch: Mapping[str, _Beat], error: Exception | None = None) -> None:
    for beat in batch.values():
        for kept in beat.waiting:
            if kept.done():  # its request was given up
                continue
            if error is None:
                kept.set_result(None)
            else:
                kept.set_exception(error)


class Ingest:
    """The use case of the ingest API.

    `on_outcome` hears how each request ended: acknowledged, invalid, too_large, unauthenticated,
    forbidden, unavailable, error. `on_batch` hears the seconds and the size of each transaction.
    """

    def __init__(
        self,
        *,
        store: ports.Store,
        reviewer: reporters.Reviewer,
        lookup: reporters.Lookup,
        cluster: str,
        on_outcome: Callable[[str], object] = _ignore,
        on_batch: Callable[[float, int], object] = _ignore,
    ) -> None:
        self.on_outcome = on_outcome
        self._batcher = Batcher(store, on_batch=on_batch)
        self._reporters = reporters.Reporters(
            store=store, reviewer=reviewer, lookup=lookup, cluster=cluster
        )

    async def report(self, token: str) -> ports.Identity:
        """Take a heartbeat; return whose it is after COMMIT.

        Raises reporters.Unauthenticated, reporters.Forbidden or errors.Unavailable.
        """
        identity = await self._reporters.identify(token)
        await self._batcher.hear(identity.pod_uid)
        return identity

    async def close(self) -> None:
        """Finish what is under way; call it after the last request has been answered."""
        await self._reporters.close()
        await self._batcher.close()

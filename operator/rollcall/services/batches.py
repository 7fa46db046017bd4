"""Group commit of reports: one transaction for many pods, answers only after COMMIT.

Invariants:
- Whoever waits is answered only when its transaction is committed or has failed.
- When the store fails, whoever is told so was not kept: sidecars hold what is not acknowledged and
  send it again. Only where it fails at COMMIT, and where a batch is halved in which a stage was
  entered, heartbeats can be kept all the same, and are counted twice.
- A batch begins as soon as the one before has ended, with what came meanwhile: to wait for more
  costs each sender that time, and saves nothing that could be measured.
- What the store cannot keep costs only itself: batches are halved until it is alone, and of a
  report with items each item is then kept by itself.
- An item is refused for good only where the store says that it will never keep such a value. A
  fault of ours or of the store fails the report: its sidecar keeps it and sends it again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from rollcall.core import errors, reporting
from rollcall.services import limits, ports, reporters
from rollcall.services.told import Entry, Hear, Told, Waiter

logger = logging.getLogger(__name__)

BATCH = 500  # pods; larger ones gain nothing and hold their locks longer
LARGEST_BATCH = 4 * 1024 * 1024  # bytes of reports in one transaction
MOST_WAITING = 10_000  # one report of each pod of a very large cluster
MOST_BYTES = 32 * 1024 * 1024  # of all reports that wait: what the process has memory for
MOST_OF_POD = 1024 * 1024  # bytes; as much as a sidecar holds
RETRY_AFTER = 5.0  # seconds
NOTHING_REFUSED = reporting.Kept()


def _ignore(*_: object) -> None:
    pass


class Batcher:
    """Keeps reports in groups. It works only while there are some; call it from one loop.

    `on_batch` hears the seconds and the pods of each transaction, `on_news` the jobs of which
    something was kept that rules look at.
    """

    def __init__(
        self,
        store: ports.Store,
        *,
        on_batch: Callable[[float, int], object] = _ignore,
        on_news: Callable[[set[UUID]], object] = _ignore,
    ) -> None:
        self._store = store
        self._on_batch = on_batch
        self._on_news = on_news
        self._pending: dict[tuple[str, str | None], Entry] = {}
        self._waiting = 0
        self._bytes = 0
        self._bytes_of: dict[str, int] = {}  # by pod UID
        self._work: asyncio.Task[None] | None = None

    def add(self, identity: ports.Identity, told: Told, hear: Hear) -> None:
        """Keep a report that was heard now; `hear` is told after COMMIT what became of its items.

        It is told errors.Unavailable if it was not kept, reporters.Forbidden if its run is not kept
        any more. Raises errors.Unavailable if too many wait already, limits.TooMany if too much of
        this pod waits.
        """
        if self._waiting >= MOST_WAITING or self._bytes + told.size > MOST_BYTES:
            raise errors.StoreUnavailable("too many reports are waiting", retry_after=RETRY_AFTER)
        self._add(identity, told).waiting.append(hear)
        self._waiting += 1

    def note(self, identity: ports.Identity, boot: str | None) -> None:
        """Keep with the next batch that a pod was heard whose report is refused.

        If it waits already, as started another time, then that is enough: each start of its sidecar
        has a batch of its own, and it could claim any number of them.
        """
        is_new = identity.pod_uid not in self._bytes_of and len(self._pending) < MOST_WAITING
        if is_new or (identity.pod_uid, boot) in self._pending:
            self._add(identity, Told(boot=boot))

    async def close(self) -> None:
        """Wait until everything that was heard is kept or refused."""
        if self._work:
            await self._work

    def _add(self, identity: ports.Identity, told: Told) -> Entry:
        self._make_room(identity.pod_uid, told.size)
        key = (identity.pod_uid, told.boot)
        entry = self._pending.get(key)
        if entry is None:
            entry = self._pending[key] = Entry(identity=identity, boot=told.boot)
        entry.add(told)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._flush_all(), name="ingest-batches")
        return entry

    def _make_room(self, pod_uid: str, size: int) -> None:
        of_pod = self._bytes_of.get(pod_uid, 0) + size
        if size and of_pod > MOST_OF_POD:
            text = f"more than {MOST_OF_POD} bytes of this pod are waiting to be kept"
            raise limits.TooMany(text, retry_after=RETRY_AFTER)
        self._bytes += size
        self._bytes_of[pod_uid] = of_pod

    async def _flush_all(self) -> None:
        while self._pending:
            await self._flush(self._next_batch())

    def _next_batch(self) -> list[Entry]:
        """Take the oldest entries; of a pod whose sidecar was started anew one at a time."""
        keys: list[tuple[str, str | None]] = []
        pods, size = set[str](), 0
        for key, entry in self._pending.items():
            if key[0] in pods:
                continue
            size += entry.size
            if keys and (len(keys) >= BATCH or size > LARGEST_BATCH):
                break
            keys.append(key)
            pods.add(key[0])
        return [self._taken(key) for key in keys]

    def _taken(self, key: tuple[str, str | None]) -> Entry:
        entry = self._pending.pop(key)
        self._waiting -= len(entry.waiting)
        self._bytes -= entry.size
        left = self._bytes_of.pop(key[0], 0) - entry.size
        if left > 0:  # another start of its sidecar waits
            self._bytes_of[key[0]] = left
        return entry

    async def _flush(self, batch: Sequence[Entry]) -> None:
        try:
            await self._write(batch)
        except errors.Unavailable as error:
            self._refuse_all(batch, error)
        except Exception as error:  # noqa: BLE001 - what cannot be kept costs only itself
            await self._isolate(batch, error)

    async def _isolate(self, batch: Sequence[Entry], error: Exception) -> None:
        if len(batch) > 1:
            logger.warning("batch not kept whole", extra={"pods": len(batch)}, exc_info=error)
            middle = len(batch) // 2
            await self._flush(batch[:middle])
            await self._flush(batch[middle:])
            return
        try:
            await self._keep_one_by_one(batch[0], error)
        except errors.Unavailable as unavailable:
            self._refuse_all(batch, unavailable)
        except Exception as refusal:
            logger.exception("report not kept", extra={"pod": batch[0].identity.pod_uid})
            batch[0].settle(refusal)

    async def _keep_one_by_one(self, entry: Entry, error: Exception) -> None:
        """Find the items that cannot be kept; raises what else keeps one from being kept.

        Then it stops there: a later item that is settled would settle those before it, too.
        """
        if not entry.items:
            raise error
        whole, *parts = entry.parts()
        await self._write([whole])
        refused = [one for part in parts for one in await self._try(part)]
        entry.settle(reporting.Kept(refused=refused))

    async def _try(self, part: Entry) -> Sequence[reporting.Refusal]:
        waiter = Waiter()
        part.waiting.append(waiter.hear)
        (seq,) = part.items
        try:
            await self._write([part])
        except errors.Unstorable as error:
            extra = {"pod": part.identity.pod_uid, "seq": seq}
            logger.warning("item not kept", extra=extra, exc_info=error)
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            detail = "the database cannot keep it"
            return [reporting.Refusal(seq=seq, status=status, detail=detail)]
        return (await waiter.kept).refused

    async def _write(self, batch: Sequence[Entry]) -> None:
        """Keep these in one transaction and answer who waits for them."""
        started = time.monotonic()

        def reports(now: datetime) -> list[reporting.Report]:
            clock = time.monotonic()
            return [entry.report(now, clock) for entry in batch]

        async def keep(unit: ports.Transaction) -> Mapping[str, reporting.Kept]:
            return await unit.reports.keep(reports(unit.now))

        is_short = all(entry.is_short() for entry in batch)
        kept = await (self._store.beat(reports) if is_short else self._store.run(keep))
        self._on_batch(time.monotonic() - started, len(batch))
        for entry in batch:
            entry.settle(_outcome(entry, kept))
        news = {entry.identity.cronjob_id for entry in batch
                if (one := kept.get(entry.identity.pod_uid)) and one.is_news}  # fmt: skip
        self._on_news(news)

    def _refuse_all(self, batch: Sequence[Entry], error: errors.Unavailable) -> None:
        """Fail these and those who came meanwhile: each would wait for the same failure again."""
        refusal = errors.StoreUnavailable(str(error), retry_after=RETRY_AFTER)
        refusal.__cause__ = error
        waiting, self._pending = self._pending, {}
        self._waiting = self._bytes = 0
        self._bytes_of.clear()
        for entry in (*batch, *waiting.values()):
            entry.settle(refusal)


def _outcome(entry: Entry, kept: Mapping[str, reporting.Kept]) -> reporting.Kept | Exception:
    found = kept.get(entry.identity.pod_uid)
    if found is None and (entry.items or entry.lost):
        return reporters.Forbidden("the pod's run is not kept any more")
    return found or NOTHING_REFUSED

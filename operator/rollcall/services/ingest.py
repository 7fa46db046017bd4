"""Reports of sidecars: known by their token, kept in groups, acknowledged after COMMIT.

Invariants:
- Nothing that a report says can address another run: whose it is follows from the token alone.
- An item that cannot be kept is refused by itself, with the reason; no other pays for it.
- A pod over its limit is refused, and was heard all the same.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

import msgspec

from rollcall.core import errors, expectations, reporting
from rollcall.services import batches, limits, news, outlook, ports, reporters, runs
from rollcall.services.told import Hear, Told, Waiter

logger = logging.getLogger(__name__)

# A sidecar sends each second or two while its program has much to say.
REPORTS_PER_SECOND = 20
BURST = 50
MOST_PODS = 20_000  # whose rate is known at a time
TELL_WITHIN = 1.5  # seconds; what is kept must be acknowledged in time


def _ignore(*_: object) -> None:
    pass


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is told because its sidecar asked; UNSET is what it did not ask for."""

    run: reporting.Run | msgspec.UnsetType = msgspec.UNSET
    expected_end: expectations.Expected | msgspec.UnsetType | None = msgspec.UNSET


NOTHING = Telling()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a report led to."""

    identity: ports.Identity
    refused: Sequence[reporting.Refusal] = ()
    telling: Telling = NOTHING


class Ingest:
    """The use case of the ingest API.

    `on_outcome` hears how each request ended: acknowledged, invalid, too_large, too_many,
    unauthenticated, forbidden, unavailable, error. `on_batch` hears the seconds and the size of
    each transaction.
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
        self._store = store
        self._telling: set[asyncio.Task[Telling]] = set()
        self._news = news.News(store)
        self._batcher = batches.Batcher(store, on_batch=on_batch, on_news=self._news.tell)
        self._limiter = limits.Limiter(rate=REPORTS_PER_SECOND, burst=BURST, size=MOST_PODS)
        self._reporters = reporters.Reporters(
            store=store, reviewer=reviewer, lookup=lookup, cluster=cluster
        )

    def known(self, token: str) -> ports.Identity | None:
        """Return whose token it is if nobody has to be asked."""
        return self._reporters.known(token)

    def submit(self, identity: ports.Identity, told: Told, hear: Hear) -> None:
        """Take a report of a pod; `hear` is told after COMMIT what became of it.

        Raises limits.TooMany, errors.Unavailable.
        """
        try:
            self._limiter.take(identity.pod_uid)
            self._batcher.add(identity, told, hear)
        except limits.TooMany:
            self._batcher.note(identity, told.boot)
            raise

    async def report(
        self, token: str, told: Told, wants: Collection[reporting.Want] = ()
    ) -> Answer:
        """Take a report of somebody; return after COMMIT what became of it.

        Raises reporters.Unauthenticated, reporters.Forbidden, limits.TooMany, errors.Unavailable,
        errors.Unstorable.
        """
        identity = await self._reporters.identify(token)
        waiter = Waiter()
        self.submit(identity, told, waiter.hear)
        kept = await waiter.kept
        return answer(identity, told, kept, await self._tell(identity, wants) if wants else NOTHING)

    async def close(self) -> None:
        """Finish what is under way; call it after the last request has been answered."""
        await self._reporters.close()
        await self._batcher.close()
        await self._news.close()
        await asyncio.gather(*self._telling)

    async def _tell(self, identity: ports.Identity, wants: Collection[reporting.Want]) -> Telling:
        """Tell the run of itself; nothing if that takes too long, for the sidecar asks again.

        Its report is acknowledged all the same. What is begun ends, also when nobody waits for it
        any more: a statement that is cut off would cost the connection.
        """
        telling = asyncio.create_task(self._told(identity, wants), name="ingest-run")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        try:
            async with asyncio.timeout(TELL_WITHIN):
                return await asyncio.shield(telling)
        except TimeoutError:
            return NOTHING

    async def _told(self, identity: ports.Identity, wants: Collection[reporting.Want]) -> Telling:
        """Tell each in a transaction of its own: that of the run holds locks."""
        told = NOTHING
        try:
            if reporting.Want.RUN in wants:
                run = await self._store.run(lambda unit: runs.told(unit, identity))
                told = Telling(run=run)
            if reporting.Want.EXPECTED_END in wants:
                end = await self._store.run(lambda unit: outlook.of_pod(unit, identity))
                told = msgspec.structs.replace(told, expected_end=end)
        except errors.Unavailable as error:
            logger.warning("run not told", extra={"error": str(error)})
        except Exception:
            logger.exception("run not told", extra={"execution": str(identity.execution_id)})
        return told


def answer(
    identity: ports.Identity, told: Told, kept: reporting.Kept, telling: Telling = NOTHING
) -> Answer:
    """Put together what a report led to."""
    refused = _own(told, kept) if kept.refused else ()
    return Answer(identity=identity, refused=refused, telling=telling)


def _own(told: Told, kept: reporting.Kept) -> Sequence[reporting.Refusal]:
    """Return the refusals of this request's items; others may have been kept with it."""
    own = {item.seq for item in told.items}
    return [refusal for refusal in kept.refused if refusal.seq in own]

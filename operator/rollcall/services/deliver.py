"""Send what the outbox holds: at least once, in order, no channel waiting for another.

1. A round claims due rows under a lease, lets `dispatch` choose which go now and how, and hands
   each to its channel's lane. The outbox gives out only the oldest pending row of an incident and
   channel, so the next one cannot overtake it.
2. A lane sends one message after another and records each outcome before it sends the next.
3. An outcome that could not be recorded is kept and recorded before anything more is claimed.
4. A process that dies between sending and recording leaves a lease that runs out; then the message
   is sent again, with the same key.
5. A channel that fails rests, and its waiting messages with it, without using up their tries.
Due times are the database's; the process measures leases and rests on its monotonic clock.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from rollcall.core import errors
from rollcall.services import dispatch, lanes, ports, records

logger = logging.getLogger(__name__)

BATCH = 50  # rows of one claim; more gains little (measured: 227 rows/s for 1, 2,074 for 50)
LEASE = timedelta(seconds=60)
# A try takes at most 20 s and its record a few more: one begun in the first half of the lease is
# over before anybody else may claim the row.
BEGIN_WITHIN = LEASE / 2
LONGEST_TRY = timedelta(seconds=20)  # reading a Secret and sending
POLL = timedelta(seconds=1)
# Whoever writes to the outbox wakes us: an outbox that was empty so long is looked at less often.
QUIET_AFTER = timedelta(minutes=1)
QUIET_POLL = timedelta(seconds=5)
GRACE = timedelta(seconds=5)  # for messages under way when the process stops

LONGEST_STORE_BACKOFF = timedelta(seconds=30)
LOOK_AGAIN = timedelta(seconds=30)  # at a channel that a person must mend
CLUSTER_BACKOFF = timedelta(seconds=5)

SUSPENDED = "Suspended"  # the reason of errors.InvalidSpec for a channel that is switched off
GONE = "ChannelGone"


class Deliver:
    """Drains the outbox of one cluster; `clock` dates what channels report."""

    def __init__(
        self,
        *,
        store: ports.Store,
        senders: ports.Senders,
        clock: Callable[[], datetime],
        cluster: str,
        holder: str,
        dispatch: dispatch.Dispatch | None = None,
        on_outcome: Callable[[str, str], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._senders = senders
        self._clock = clock
        self._cluster = cluster
        self._holder = holder
        self._dispatch = dispatch
        self._monotonic = monotonic
        self._jitter = jitter
        self._sleep = sleep
        self._lanes: dict[str, lanes.Lane] = {}
        self._records = records.Records(store, on_outcome)
        self._woken = asyncio.Event()
        self._busy_at = monotonic()  # when there was something last
        self._stopping = False
        self.drained_at: datetime | None = None  # when the outbox was last asked

    def wake(self) -> None:
        """Look at once: something was just written to the outbox."""
        self._busy_at = self._monotonic()
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled; messages under way then get a moment to end."""
        failures = 0
        try:
            while True:
                try:
                    more = await self.round()
                    failures = 0
                except Exception as error:  # noqa: BLE001 - the loop must outlive every fault
                    failures += 1
                    _log_round(error, failures)
                    await self._sleep(_pause_after(failures))
                    continue
                if not more:
                    await self._await_work()
        finally:
            await self._stop()

    async def round(self) -> bool:
        """Record what is left over, claim, hand out; return whether more may be due.

        Raises errors.StoreUnavailable.
        """
        await self._records.catch_up()
        begin_by = self._monotonic() + BEGIN_WITHIN.total_seconds()
        async with self._store.transaction() as transaction:
            outbox = transaction.outbox
            claimed = await outbox.claim(self._holder, BATCH, LEASE, cluster=self._cluster)
            to_send = await self._choose(transaction, claimed)
        self.drained_at = self._clock()
        if claimed or self._lanes:
            self._busy_at = self._monotonic()
        for notification in to_send:
            self._hand_out(notification, begin_by)
        return len(claimed) == BATCH

    async def _choose(
        self, transaction: ports.Transaction, claimed: Sequence[ports.Notification]
    ) -> Sequence[ports.Notification]:
        if self._dispatch is None or not claimed:
            return claimed
        claim = dispatch.Claim(holder=self._holder, lease=LEASE, is_full=len(claimed) == BATCH)
        return await self._dispatch.choose(transaction, claimed, claim, self._state_of)

    def _state_of(self, channel: str) -> lanes.State:
        lane = self._lanes.get(channel)
        return lane.state if lane else lanes.State.WELL

    async def idle(self) -> None:
        """Wait until every lane has dealt with what it was handed."""
        tasks = self._tasks()
        if tasks:
            await asyncio.gather(*tasks)

    def _hand_out(self, notification: ports.Notification, begin_by: float) -> None:
        lane = self._lanes.get(notification.channel)
        if lane is None:
            lane = self._lanes[notification.channel] = lanes.Lane(
                clock=self._clock, monotonic=self._monotonic, jitter=self._jitter
            )
        if len(lane.waiting) >= BATCH:
            return  # a slow channel; the lease runs out and the row comes again
        lane.waiting.append((begin_by, notification))
        if lane.task is None or lane.task.done():
            lane.task = asyncio.create_task(self._work(notification.channel, lane))

    async def _work(self, channel: str, lane: lanes.Lane) -> None:
        while lane.waiting and not self._stopping:
            rest = lane.resting
            if rest > 0:
                await self._postpone(lane, timedelta(seconds=rest))
                continue
            begin_by, notification = lane.waiting.popleft()
            if self._monotonic() > begin_by:
                continue  # the lease may end under the send; the row comes again
            verdict = await self._try(lane, notification)
            self._records.tell(verdict)
            if not await self._records.record([verdict]):
                lane.waiting.clear()  # nothing more is sent that could not be recorded
        if lane.is_well:
            self._lanes.pop(channel, None)

    async def _postpone(self, lane: lanes.Lane, rest: timedelta) -> None:
        rows = [notification for _, notification in lane.waiting]
        lane.waiting.clear()
        await self._records.record(
            [
                lanes.Verdict(notification=row, result=lanes.Result.POSTPONED, delay=rest)
                for row in rows
            ]
        )

    async def _try(self, lane: lanes.Lane, notification: ports.Notification) -> lanes.Verdict:
        try:
            delivery = await self._send(notification)
        except errors.InvalidSpec as error:
            if error.reason == SUSPENDED:
                return lanes.dead(notification, SUSPENDED, is_loss=False)
            return lane.rest(notification, LOOK_AGAIN, f"{error.reason}: {error}")
        except errors.ClusterUnavailable as error:
            return lane.rest(notification, CLUSTER_BACKOFF, str(error))
        if delivery is None:
            return lanes.dead(notification, GONE, is_loss=False)
        self._senders.report(notification.channel, delivery, self._clock())
        return lane.judge(notification, delivery)

    async def _send(self, notification: ports.Notification) -> ports.Delivery | None:
        """Send, None if the channel does not exist.

        Raises errors.InvalidSpec and errors.ClusterUnavailable.
        """
        limit = LONGEST_TRY.total_seconds()
        try:
            async with asyncio.timeout(limit):
                sender = await self._senders.sender(notification.channel)
                return await sender.send(notification) if sender else None
        except TimeoutError:
            return ports.Delivery(delivered=False, error=f"not sent within {limit:g}s")
        except (errors.InvalidSpec, errors.ClusterUnavailable):
            raise
        except Exception as error:
            logger.exception("A channel failed to send", extra=records.fields(notification))
            return ports.Delivery(delivered=False, error=f"internal error: {type(error).__name__}")

    async def _await_work(self) -> None:
        is_quiet = self._monotonic() - self._busy_at > QUIET_AFTER.total_seconds()
        poll = QUIET_POLL if is_quiet else POLL
        try:
            async with asyncio.timeout(poll.total_seconds()):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _stop(self) -> None:
        self._stopping = True
        tasks = self._tasks()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [lane.task for lane in self._lanes.values() if lane.task and not lane.task.done()]


def _pause_after(failures: int) -> float:
    return min(lanes.backoff(failures, 1.0), LONGEST_STORE_BACKOFF).total_seconds()


def _log_round(error: Exception, failures: int) -> None:
    """Say once per outage that Postgres is away; anything else is ours, and said every time."""
    if not isinstance(error, errors.StoreUnavailable):
        logger.error("Delivery round failed", exc_info=error)
    elif failures == 1:
        logger.warning("Delivery waits for Postgres", extra={"error": str(error)})

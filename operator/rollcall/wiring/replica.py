"""An operator process: which loops run while it leads, and how well it is."""

import asyncio
from datetime import datetime, timedelta

from rollcall import clock
from rollcall.core import errors
from rollcall.store import engine
from rollcall.wiring import lifecycle, parts

STALLED = timedelta(minutes=2)  # a loop that did not come round for so long needs a restart


class Replica:
    """One operator process: a follower until it leads."""

    def __init__(self, made_of: parts.Parts) -> None:
        self._parts = made_of
        self._led_since: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the lease, lead until `stop`, give the lease back."""
        if not await lifecycle.first(self._parts.elector.acquire(), stop):
            return
        self._led_since = clock.now()
        holding = asyncio.create_task(self._parts.elector.hold(), name="hold")
        tasks = [holding, *self._start()]

        def let_go() -> None:
            for task in tasks:
                task.cancel()

        try:
            await self._parts.watch.run(stop, closing=let_go)
        finally:
            let_go()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._parts.elector.release()

    async def _work(self) -> None:
        """Reconcile as soon as the rows are known: a job without one costs a transaction."""
        await self._parts.resync.recalled.wait()
        await self._parts.work.run()

    def _start(self) -> list[asyncio.Task[None]]:
        made = self._parts
        loops = {
            "reconcile": self._work,
            "status": made.writer.run,
            "fallback": made.fallback.run,
            "channels": made.channels.run,
            "observe": made.observer.run,
            "obstacles": made.obstacles.run,
            "events": made.event_collector.run,
            "sight": made.sight.run,
            "sweep": made.sweep.run,
            "deliver": made.deliver.run,
            "repeat": made.repeat.run,
            "upkeep": made.upkeep.run,
        }
        if made.deadman:
            loops["deadman"] = made.deadman.run
        return [
            asyncio.create_task(lifecycle.guard(name, loop), name=name)
            for name, loop in loops.items()
        ]

    async def live(self) -> str | None:
        """Say which loop stands still although its dependencies answer."""
        if self._led_since is None or clock.now() - self._led_since < STALLED:
            return None
        if await _away(self._parts.store):
            return None  # a restart would not bring Postgres back
        last = self._parts.sweep.swept_at or self._led_since
        if self._parts.sight.is_clear() and clock.now() - last > STALLED:
            return f"no sweep since {last.isoformat()}"
        return None

    async def ready(self) -> str | None:
        """Say what is missing: Postgres, or a leader's first full list."""
        wrong = await _away(self._parts.store)
        if wrong:
            return wrong
        if self._led_since and self._parts.sight.observed_through is None:
            return "leading, and the first full list of the cluster is not through yet"
        return None

    def gauges(self) -> None:
        """Bring the gauges up to date."""
        now, made, metrics = clock.now(), self._parts, self._parts.metrics
        metrics.leader.set(made.elector.is_leader)
        if made.sight.observed_through:
            metrics.observed_through.set(made.sight.observed_through.timestamp())
        apart = made.sight.seen().clock_difference
        metrics.clock_difference.set(apart.total_seconds())
        if self._led_since:
            last = made.sweep.swept_at or self._led_since
            metrics.sweep_lag.set((now - last).total_seconds())
            asked = made.deliver.drained_at or self._led_since
            metrics.outbox_lag.set((now - asked).total_seconds())
            metrics.knows_channels(made.channels.readiness())
        oldest = made.inbox.oldest()
        metrics.observations_waiting.set((now - oldest).total_seconds() if oldest else 0)


async def _away(store: engine.Database) -> str | None:
    try:
        await store.ping()
    except errors.RollcallError as error:
        return f"Postgres: {error}"
    return None

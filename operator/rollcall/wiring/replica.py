"""What an operator process is made of, and which loops run while it leads."""

import asyncio
import functools
from datetime import datetime, timedelta
from uuid import UUID

from rollcall import clock, config
from rollcall.cluster import (
    channels,
    client,
    election,
    events,
    evidence,
    fallback,
    handlers,
    intake,
    inventory,
    reconcile,
    resync,
    status_writer,
    troubles,
    workqueue,
)
from rollcall.core import errors
from rollcall.metrics import names
from rollcall.notify import http, pings, registry
from rollcall.services import (
    deadman,
    deliver,
    dispatch,
    evaluate,
    event_collector,
    inbox,
    obstacles,
    quiet,
    repeat,
    sight,
    sweep,
    upkeep,
    wide,
    wide_looks,
    writer,
)
from rollcall.store import engine, housekeeping
from rollcall.wiring import lifecycle

RECONCILERS = 8
STALLED = timedelta(minutes=2)  # a loop that did not come round for so long needs a restart


class Replica:
    """One operator process: a follower until it leads."""

    def __init__(
        self,
        settings: config.Settings,
        kube: client.KubeClient,
        store: engine.Database,
        metrics: names.Metrics,
    ) -> None:
        self.metrics = metrics
        self.store = store
        self.http = http.Client(now=clock.now, allowed=settings.allowed_targets)
        self.inventory = inventory.Inventory(cluster=settings.cluster)
        self.inbox = inbox.Inbox(clock.now)
        self.channels = channels.Channels(
            api=kube,
            namespace=settings.namespace,
            factories=registry.factories(self.http, clock.now),
            clock=clock.now,
        )
        self.elector = election.Elector(
            kube=kube,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.identity,
            on_lost=lifecycle.exit_at_once,
            clock=clock.now,
        )
        self._wire_cluster(settings, kube)
        self._wire_services(settings, kube)

    def _wire_cluster(self, settings: config.Settings, kube: client.KubeClient) -> None:
        posts = events.Events(kube=kube, clock=clock.now, identity=settings.identity)
        self.work: workqueue.WorkQueue[inventory.Key] = workqueue.WorkQueue(
            handle=self._reconcile, workers=RECONCILERS, name="reconcile"
        )
        server_now = functools.partial(kube.now, clock.now)
        self.troubles = troubles.Troubles(changed=self._retell, clock=server_now)
        self.fallback = fallback.Fallback(
            kube=kube,
            image=settings.sidecar.fallback_image,
            events=posts,
            troubles=self.troubles,
            reconcile=self.work.add,
            reconcile_all=self._reconcile_all,
            clock=server_now,
        )
        self.reconciler = reconcile.Reconciler(
            kube=kube,
            store=self.store,
            inventory=self.inventory,
            settings=settings,
            refused_channels=self.channels.refused,
            forget=self._forget,
            changed=self._changed,
            events=posts,
            withheld=self.troubles.withheld,
            clock=clock.now,
        )
        self.writer = status_writer.StatusWriter(
            kube=kube,
            store=self.store,
            inventory=self.inventory,
            outcomes=self.reconciler.outcome,
            trouble=self.troubles.told,
            clock=clock.now,
        )
        self.intake = intake.Intake(
            inventory=self.inventory,
            inbox=self.inbox,
            reconcile=self.work.add,
            channels=self.channels,
            pod_seen=self.fallback.pod_seen,
            tracked_seen=self.troubles.recall,
        )
        self.watch = handlers.Watch(intake=self.intake, context=settings.kube_context)

    def _wire_services(self, settings: config.Settings, kube: client.KubeClient) -> None:
        reads = evidence.Evidence(kube=kube)
        self.quiet = quiet.Quiet(
            directory=self.channels,
            cluster=settings.cluster,
            defaults=settings.defaults,
            recurring=settings.maintenance,
            suppressed=self.metrics.kept_quiet,
        )
        self.deliver = deliver.Deliver(
            store=self.store,
            senders=self.channels,
            clock=clock.now,
            cluster=settings.cluster,
            holder=self.elector.identity,
            dispatch=dispatch.Dispatch(
                paces=self.channels.pace,
                sift=self.quiet.sift,
                cluster=settings.cluster,
                suppressed=self.metrics.kept_quiet,
            ),
            on_outcome=self.metrics.sent,
        )
        self.repeat = repeat.Repeat(
            store=self.store,
            senders=self.channels,
            channels=lambda: self.channels.of_kinds(registry.REPEATED),
            clock=clock.now,
            cluster=settings.cluster,
        )
        self.resync = resync.Resync(
            kube=kube,
            store=self.store,
            cluster=settings.cluster,
            intake=self.intake,
            inventory=self.inventory,
            inbox=self.inbox,
            reconciler=self.reconciler,
            reconcile=self.work.add,
            corrected=self.metrics.corrected,
        )
        self.sight = sight.Sight(
            store=self.store,
            evidence=reads,
            inbox=self.inbox,
            resync=self.resync.run_once,
            cluster=settings.cluster,
            clock=clock.now,
            changed=self._changed,
        )
        self.wide = wide.Wide(
            store=self.store,
            looks=wide_looks.Looks(
                directory=self.channels,
                quiet=self.quiet,
                cluster=settings.cluster,
                defaults=settings.defaults,
            ),
            eyes=self.sight,
            cluster=settings.cluster,
            clock=clock.now,
            wake=self.deliver.wake,
        )
        self.evaluator = evaluate.Evaluator(
            store=self.store,
            evidence=reads,
            directory=self.channels,
            quiet=self.quiet,
            cluster=settings.cluster,
            defaults=settings.defaults,
            changed=self._changed,
            wake=self.deliver.wake,
            is_leaving=self._is_leaving,
            sight=self.sight.seen,
            suppressed=self.metrics.kept_quiet,
            wait=self.wide.wait,
        )
        self.event_collector = event_collector.EventCollector(store=self.store, evidence=reads)
        self.observer = writer.Writer(
            store=self.store,
            evidence=reads,
            inbox=self.inbox,
            cluster=settings.cluster,
            clock=clock.now,
            changed=self._changed,
            recorded=self.event_collector.hear,
        )
        self.obstacles = obstacles.Obstacles(evidence=reads, inbox=self.inbox, clock=clock.now)
        self.sweep = sweep.Sweep(
            store=self.store,
            evaluator=self.evaluator,
            beyond=self.wide,
            cluster=settings.cluster,
            is_clear=self.sight.is_clear,
            clock=clock.now,
        )
        self.upkeep = upkeep.Upkeep(
            store=housekeeping.Housekeeping(self.store), retention_weeks=settings.retention_weeks
        )
        self.deadman = self._wire_deadman(settings)
        self.led_since: datetime | None = None

    def _wire_deadman(self, settings: config.Settings) -> deadman.DeadMan | None:
        if settings.deadman_url is None:
            return None
        asks = pings.Pings(ingest_url=settings.sidecar.ingest_url, deadman_url=settings.deadman_url)
        return deadman.DeadMan(
            ping=asks.deadman,
            canary=asks.canary,
            signs=lambda: {"sweep": self.sweep.swept_at, "outbox": self.deliver.drained_at},
            clock=clock.now,
            on_word=self.metrics.gave_word,
        )

    def _changed(self, cronjob_id: UUID) -> None:
        self.writer.touch(cronjob_id)

    def _retell(self, key: inventory.Key) -> None:
        body = self.inventory.tracked(key)
        if body:
            self._changed(self.inventory.id_of(body))

    def _is_leaving(self, namespace: str, name: str) -> bool:
        """Whether the job, or all of its namespace, is being deleted."""
        body = self.inventory.tracked(inventory.Key(namespace, name))
        leaving = bool(body and body["metadata"].get("deletionTimestamp"))
        return leaving or self.channels.is_terminating(namespace)

    async def _forget(self, cronjob_id: UUID) -> None:
        await self.evaluator.forget(cronjob_id)

    async def _reconcile(self, key: inventory.Key) -> timedelta | None:
        again = await self.reconciler.reconcile(key)
        if key not in self.inventory:
            self.troubles.forget(key)
        return again

    def _reconcile_all(self) -> None:
        for key in self.inventory.tracked_keys():
            self.work.add(key)

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the lease, lead until `stop`, give the lease back."""
        if not await lifecycle.first(self.elector.acquire(), stop):
            return
        self.led_since = clock.now()
        holding = asyncio.create_task(self.elector.hold(), name="hold")
        tasks = [holding, *self._start()]

        def let_go() -> None:
            for task in tasks:
                task.cancel()

        try:
            await self.watch.run(stop, closing=let_go)
        finally:
            let_go()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.elector.release()

    async def _work(self) -> None:
        """Reconcile as soon as the rows are known: a job without one costs a transaction."""
        await self.resync.recalled.wait()
        await self.work.run()

    def _start(self) -> list[asyncio.Task[None]]:
        loops = {
            "reconcile": self._work,
            "status": self.writer.run,
            "fallback": self.fallback.run,
            "channels": self.channels.run,
            "observe": self.observer.run,
            "obstacles": self.obstacles.run,
            "events": self.event_collector.run,
            "sight": self.sight.run,
            "sweep": self.sweep.run,
            "deliver": self.deliver.run,
            "repeat": self.repeat.run,
            "upkeep": self.upkeep.run,
        }
        if self.deadman:
            loops["deadman"] = self.deadman.run
        return [
            asyncio.create_task(lifecycle.guard(name, loop), name=name)
            for name, loop in loops.items()
        ]

    async def live(self) -> str | None:
        """Say which loop stands still although its dependencies answer."""
        if self.led_since is None or clock.now() - self.led_since < STALLED:
            return None
        if await _away(self.store):
            return None  # a restart would not bring Postgres back
        last = self.sweep.swept_at or self.led_since
        if self.sight.is_clear() and clock.now() - last > STALLED:
            return f"no sweep since {last.isoformat()}"
        return None

    async def ready(self) -> str | None:
        """Say what is missing: Postgres, or a leader's first full list."""
        wrong = await _away(self.store)
        if wrong:
            return wrong
        if self.led_since and self.sight.observed_through is None:
            return "leading, and the first full list of the cluster is not through yet"
        return None

    def gauges(self) -> None:
        """Bring the gauges up to date."""
        now = clock.now()
        self.metrics.leader.set(self.elector.is_leader)
        if self.sight.observed_through:
            self.metrics.observed_through.set(self.sight.observed_through.timestamp())
        apart = self.sight.seen().clock_difference
        self.metrics.clock_difference.set(apart.total_seconds())
        if self.led_since:
            last = self.sweep.swept_at or self.led_since
            self.metrics.sweep_lag.set((now - last).total_seconds())
            asked = self.deliver.drained_at or self.led_since
            self.metrics.outbox_lag.set((now - asked).total_seconds())
            self.metrics.knows_channels(self.channels.readiness())
        oldest = self.inbox.oldest()
        self.metrics.observations_waiting.set((now - oldest).total_seconds() if oldest else 0)


async def _away(store: engine.Database) -> str | None:
    try:
        await store.ping()
    except errors.RollcallError as error:
        return f"Postgres: {error}"
    return None

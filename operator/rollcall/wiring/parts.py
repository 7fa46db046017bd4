"""What an operator process is made of, and who is given what of it."""

import functools
from datetime import timedelta
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


class Parts:
    """All parts of one operator process. Nothing runs yet: `replica` says what does, and when."""

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

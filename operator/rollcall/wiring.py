"""Who is given what: one function per process role, and nothing else."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import uvicorn

from rollcall import clock, config
from rollcall.api import app
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
    lookup,
    reconcile,
    resync,
    status_writer,
    tokens,
    workqueue,
)
from rollcall.core import errors
from rollcall.metrics import names, server
from rollcall.notify import http, registry
from rollcall.services import deliver, evaluate, ingest, observe, sight, sweep
from rollcall.store import engine

logger = logging.getLogger(__name__)

RECONCILERS = 8
STALLED = timedelta(minutes=2)  # a loop that did not come round for so long needs a restart
UPKEEP_EVERY = 24 * 3600.0  # seconds


def database(settings: config.Settings, *, role: str) -> engine.Database:
    """Return the store of a process; it connects at its first use."""
    return engine.Database(
        settings.database_dsn,
        password=config.database_password(),
        application_name=f"rollcall-{role}",
    )


class Operator:
    """The operator process: a follower until it leads."""

    def __init__(
        self, settings: config.Settings, kube: client.KubeClient, store: engine.Database
    ) -> None:
        self.metrics = names.Metrics()
        self.store = store
        self.http = http.Client(now=clock.now)
        self.inventory = inventory.Inventory(cluster=settings.cluster)
        self.inbox = observe.Inbox(clock.now)
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
            on_lost=_exit_at_once,
            clock=clock.now,
        )
        self._wire_cluster(settings, kube)
        self._wire_services(settings, kube)

    def _wire_cluster(self, settings: config.Settings, kube: client.KubeClient) -> None:
        posts = events.Events(kube=kube, clock=clock.now, identity=settings.identity)
        self.work: workqueue.WorkQueue[inventory.Key] = workqueue.WorkQueue(
            handle=self._reconcile, workers=RECONCILERS, name="reconcile"
        )
        self.fallback = fallback.Fallback(
            kube=kube,
            image=settings.sidecar.fallback_image,
            events=posts,
            clock=clock.now,
            stopped=self._reconcile_all,
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
            image_unavailable=self.fallback.unavailable,
            clock=clock.now,
        )
        self.writer = status_writer.StatusWriter(
            kube=kube,
            store=self.store,
            inventory=self.inventory,
            outcomes=self.reconciler.outcome,
            clock=clock.now,
        )
        self.intake = intake.Intake(
            inventory=self.inventory,
            inbox=self.inbox,
            reconcile=self.work.add,
            channels=self.channels,
            pod_seen=self.fallback.pod_seen,
        )
        self.watch = handlers.Watch(intake=self.intake, context=settings.kube_context)

    def _wire_services(self, settings: config.Settings, kube: client.KubeClient) -> None:
        reads = evidence.Evidence(kube=kube)
        self.deliver = deliver.Deliver(
            store=self.store,
            senders=self.channels,
            clock=clock.now,
            cluster=settings.cluster,
            holder=self.elector.identity,
            on_outcome=self.metrics.sent,
        )
        self.evaluator = evaluate.Evaluator(
            store=self.store,
            evidence=reads,
            directory=self.channels,
            cluster=settings.cluster,
            defaults=settings.defaults,
            changed=self._changed,
            wake=self.deliver.wake,
            is_leaving=self._is_leaving,
        )
        self.observer = observe.Writer(
            store=self.store,
            evidence=reads,
            inbox=self.inbox,
            cluster=settings.cluster,
            changed=self._changed,
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
            evidence=reads, inbox=self.inbox, resync=self.resync.run_once, clock=clock.now
        )
        self.sweep = sweep.Sweep(
            store=self.store,
            evaluator=self.evaluator,
            cluster=settings.cluster,
            is_clear=self.sight.is_clear,
            clock=clock.now,
        )
        self.led_since: datetime | None = None

    def _changed(self, cronjob_id: UUID) -> None:
        self.writer.touch(cronjob_id)

    def _is_leaving(self, namespace: str, name: str) -> bool:
        """Whether the job, or all of its namespace, is being deleted."""
        body = self.inventory.tracked(inventory.Key(namespace, name))
        leaving = bool(body and body["metadata"].get("deletionTimestamp"))
        return leaving or self.channels.is_terminating(namespace)

    async def _forget(self, cronjob_id: UUID) -> None:
        await self.evaluator.forget(cronjob_id)

    async def _reconcile(self, key: inventory.Key) -> timedelta | None:
        return await self.reconciler.reconcile(key)

    def _reconcile_all(self) -> None:
        for key in self.inventory.tracked_keys():
            self.work.add(key)

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the lease, lead until `stop`, give the lease back."""
        if not await _first(self.elector.acquire(), stop):
            return
        self.led_since = clock.now()
        holding = asyncio.create_task(self.elector.hold(), name="hold")
        tasks = [holding, *self._start()]
        try:
            await self.watch.run(stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.elector.release()

    def _start(self) -> list["asyncio.Task[None]"]:
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "reconcile": self.work.run,
            "status": self.writer.run,
            "fallback": self.fallback.run,
            "channels": self.channels.run,
            "observe": self.observer.run,
            "sight": self.sight.run,
            "sweep": self.sweep.run,
            "deliver": self.deliver.run,
            "upkeep": self._upkeep,
        }
        return [asyncio.create_task(_guard(name, loop), name=name) for name, loop in loops.items()]

    async def _upkeep(self) -> None:
        while True:
            try:
                await self.store.partitions.ensure()
            except errors.RollcallError as error:
                logger.warning("partitions wait", extra={"error": str(error)})
                await asyncio.sleep(60)
                continue
            await asyncio.sleep(UPKEEP_EVERY)

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
        if self.led_since:
            last = self.sweep.swept_at or self.led_since
            self.metrics.sweep_lag.set((now - last).total_seconds())
        oldest = self.inbox.oldest()
        self.metrics.observations_waiting.set((now - oldest).total_seconds() if oldest else 0)


async def operator(settings: config.Settings) -> None:
    """Run `rollcall operator` until a signal comes."""
    async with (
        _stopping() as stop,
        await client.KubeClient.connect(context=settings.kube_context) as kube,
    ):
        store = database(settings, role="operator")
        process = Operator(settings, kube, store)
        health = server.HealthServer(
            port=settings.health_port,
            registry=process.metrics.registry,
            live=process.live,
            ready=process.ready,
            before_metrics=process.gauges,
        )
        await health.start()
        try:
            await process.run(stop)
        finally:
            await health.close()
            await process.http.close()
            await store.close()


async def api(settings: config.Settings) -> None:
    """Run `rollcall api` until a signal comes."""
    async with await client.KubeClient.connect(context=settings.kube_context) as kube:
        store = database(settings, role="api")
        metrics = names.Metrics()
        reports = ingest.Ingest(
            store=store,
            reviewer=tokens.Tokens(kube=kube),
            lookup=lookup.Lookup(kube=kube),
            cluster=settings.cluster,
            on_outcome=metrics.reported,
            on_batch=metrics.batched,
        )

        # Ready also while Postgres is away: a sidecar that is told 503 and when to come back is
        # better off than one that finds nobody behind the Service.
        health = server.HealthServer(
            port=settings.health_port, registry=metrics.registry, live=_fine, ready=_fine
        )
        await health.start()
        try:
            await _uvicorn(settings, reports).serve()
        finally:
            await reports.close()
            await health.close()
            await store.close()


def _uvicorn(settings: config.Settings, reports: ingest.Ingest) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app.ingest_app(reports),
            host="0.0.0.0",  # noqa: S104 - pods of all namespaces report here
            port=settings.ingest_port,
            log_config=None,
            access_log=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=5,
            limit_concurrency=12_000,
            server_header=False,
        )
    )


async def _fine() -> str | None:
    """Answering at all is what liveness asks of a process without loops of its own."""
    return None


async def _away(store: engine.Database) -> str | None:
    try:
        await store.ping()
    except errors.RollcallError as error:
        return f"Postgres: {error}"
    return None


async def _guard(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """End the process when a loop ends: kubelet starts a whole one."""
    try:
        await loop()
    except asyncio.CancelledError:
        raise
    except BaseException:
        logger.exception("a loop failed", extra={"loop": name})
    logger.error("a loop ended", extra={"loop": name})
    os._exit(1)


def _exit_at_once() -> None:
    """Leave without a word to anybody: another process leads already."""
    os._exit(1)


async def _first(work: Awaitable[None], stop: asyncio.Event) -> bool:
    """Wait for `work`; False if `stop` came first."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task
        return True
    task.cancel()
    return False


@contextlib.asynccontextmanager
async def _stopping() -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    yield stop

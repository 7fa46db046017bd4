"""Who is given what: one function per process role, and nothing else."""

import asyncio
from collections.abc import Awaitable

from rollcall import config
from rollcall.api import app
from rollcall.cluster import client, lookup, tokens
from rollcall.metrics import names, server
from rollcall.services import canary, ingest, vitals
from rollcall.serving import server as serving
from rollcall.store import engine
from rollcall.wiring import lifecycle


async def operator(settings: config.Settings) -> None:
    """Run `rollcall operator` until a signal comes."""
    # Only here: the api process has no use for kopf and the reconcilers, and saves 12 MB.
    from rollcall.wiring import parts, replica

    metrics = names.Metrics()
    async with (
        lifecycle.stopping() as stop,
        await client.KubeClient.connect(
            context=settings.kube_context, on_request=metrics.requested
        ) as kube,
    ):
        store = _database(settings, role="operator")
        made_of = parts.Parts(settings, kube, store, metrics)
        process = replica.Replica(made_of)
        health = server.HealthServer(
            port=settings.health_port,
            registry=metrics.registry,
            live=process.live,
            ready=process.ready,
            before_metrics=process.gauges,
        )
        await health.start()
        watching = _watching(store, settings, metrics)
        try:
            await process.run(stop)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            await health.close()
            await made_of.http.close()
            await store.close()


async def api(settings: config.Settings) -> None:
    """Run `rollcall api` until a signal comes."""
    metrics = names.Metrics()
    async with (
        lifecycle.stopping() as stop,
        await client.KubeClient.connect(
            context=settings.kube_context, on_request=metrics.requested
        ) as kube,
    ):
        store = _database(settings, role="api")
        reports = ingest.Ingest(
            store=store,
            reviewer=tokens.Tokens(kube=kube),
            lookup=lookup.Lookup(kube=kube),
            cluster=settings.cluster,
            on_outcome=metrics.reported,
            on_batch=metrics.batched,
        )

        ingesting = serving.Server(app.IngestApp(reports), app.LIMITS)

        # Also while Postgres is away: a sidecar that is told 503 and when to come back is better
        # off than one that finds nobody behind the Service.
        async def ready() -> str | None:
            is_listening = ingesting.is_listening
            return None if is_listening else "no reports are taken: the process begins or ends"

        health = server.HealthServer(
            port=settings.health_port, registry=metrics.registry, live=_fine, ready=ready
        )
        await health.start()
        # Where it ends no run is ever silent: better a new process.
        singing = asyncio.create_task(
            lifecycle.guard("canary", lambda: canary.sing(store, settings.cluster)), name="canary"
        )
        watching = _watching(store, settings, metrics)
        lifecycle.settle()
        try:
            await ingesting.listen(settings.ingest_port)
            await stop.wait()
        finally:
            await ingesting.close()
            singing.cancel()
            watching.cancel()
            await asyncio.wait([singing, watching])
            await reports.close()
            await health.close()
            await store.close()


def _watching(
    store: engine.Database, settings: config.Settings, metrics: names.Metrics
) -> asyncio.Task[None]:
    def watch() -> Awaitable[None]:
        return vitals.watch(store, settings.cluster, metrics.saw_store)

    return asyncio.create_task(lifecycle.guard("vitals", watch), name="vitals")


def _database(settings: config.Settings, *, role: str) -> engine.Database:
    """Return the store of a process; it connects at its first use."""
    return engine.Database(
        settings.database_dsn,
        password=config.database_password(),
        application_name=f"rollcall-{role}",
    )


async def _fine() -> str | None:
    """Answering at all is what liveness asks of a process without loops of its own."""
    return None

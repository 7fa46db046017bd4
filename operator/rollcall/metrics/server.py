"""The port of /metrics, /livez and /readyz.

`/livez` fails when a restart would help, `/readyz` when the process cannot do its work now; both
say why in plain text.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Probe = Callable[[], Awaitable[str | None]]  # None: fine; else what is wrong


class HealthServer:
    """Serves until closed."""

    def __init__(
        self,
        *,
        port: int,
        registry: CollectorRegistry,
        live: Probe,
        ready: Probe,
        before_metrics: Callable[[], None] = lambda: None,
    ) -> None:
        self._port = port
        self._registry = registry
        self._before_metrics = before_metrics
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", _probe(live))
        app.router.add_get("/readyz", _probe(ready))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        """Listen on all addresses: kubelet and Prometheus come from outside the pod."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        self._before_metrics()
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


def _probe(check: Probe) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        wrong = await check()
        return web.Response(text=(wrong or "ok") + "\n", status=503 if wrong else 200)

    return answer

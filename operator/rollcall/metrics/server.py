"""The port of /metrics, /livez and /readyz.

`/livez` fails when a restart would help, `/readyz` when the process cannot do its work now; both
say why in plain text.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.serving import limits, messages, server

logger = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[str | None]]  # None: fine; else what is wrong
_METHODS = {b"GET", b"HEAD"}


class HealthServer(messages.Application):
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
        self._probes = {"/livez": live, "/readyz": ready}
        self._asking: set[asyncio.Task[None]] = set()
        self._server = server.Server(self, limits.Limits())

    async def start(self) -> None:
        """Listen on all addresses: kubelet and Prometheus come from outside the pod."""
        await self._server.listen(self._port)

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    @override
    def answer(self, exchange: messages.Exchange) -> None:
        """Answer, a probe when it has ended."""
        work = asyncio.create_task(self._answer(exchange), name="health")
        self._asking.add(work)
        work.add_done_callback(self._asking.discard)

    async def _answer(self, exchange: messages.Exchange) -> None:
        try:
            response = await self._response(exchange)
        except Exception:
            logger.exception("no answer", extra={"path": exchange.path})
            response = _text(HTTPStatus.INTERNAL_SERVER_ERROR, "failed; the log says why")
        exchange.answer(response)

    async def _response(self, exchange: messages.Exchange) -> messages.Response:
        probe = self._probes.get(exchange.path)
        if exchange.fault:
            return _text(exchange.fault.status, exchange.fault.detail)
        if probe is None and exchange.path != "/metrics":
            return _text(HTTPStatus.NOT_FOUND, "there is /metrics, /livez and /readyz")
        if exchange.method not in _METHODS:
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "it is read with GET", Allow="GET, HEAD")
        return await _probed(probe) if probe else self._metrics()

    def _metrics(self) -> messages.Response:
        self._before_metrics()
        content = generate_latest(self._registry)
        return messages.Response(body=content, media_type=CONTENT_TYPE_LATEST)


async def _probed(probe: Probe) -> messages.Response:
    wrong = await probe()
    return _text(HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK, wrong or "ok")


def _text(status: HTTPStatus, text: str, **headers: str) -> messages.Response:
    body = f"{text}\n".encode()
    return messages.Response(body=body, status=status, media_type=messages.TEXT, headers=headers)

"""A server of the product's own, for a test's client."""

import asyncio
import tempfile
from pathlib import Path

import httpx
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.serving import limits, messages, server

LIMITS = limits.Limits(largest_body=256 * 1024)


class Transport(httpx.AsyncBaseTransport):
    """Serves an application from the first request on until it is closed."""

    def __init__(self, application: messages.Application, limits: limits.Limits = LIMITS) -> None:
        self._server = server.Server(application, limits)
        self._folder = tempfile.TemporaryDirectory(prefix="rollcall-")
        self._path = str(Path(self._folder.name) / "socket")
        # No TLS here: to read the authorities for it took most of a test's time.
        self._http = httpx.AsyncHTTPTransport(uds=self._path, verify=False)
        self._starting: asyncio.Task[None] | None = None

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._starting is None:
            self._starting = asyncio.create_task(self._server.listen_at(self._path))
        await self._starting
        return await self._http.handle_async_request(request)

    @override
    async def aclose(self) -> None:
        await self._http.aclose()
        await self._server.close()
        self._folder.cleanup()

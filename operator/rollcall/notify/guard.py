"""Connections to addresses that others chose: the address that is judged is the one connected to.

A name is resolved once. Were it asked again to connect, it could lead elsewhere by then. Which
addresses may be told is decided by `core.targets`.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore
import httpx
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.core import targets


class ForbiddenTarget(OSError):
    """A name led to an address that may not be told."""


class Guard:
    """Finds the addresses of names, and lets through those that may be told."""

    def __init__(self, allowed: targets.Allowed) -> None:
        self._allowed = allowed

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Resolve a name; raises OSError if it has none, or one of its addresses is forbidden."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # a name that DNS cannot have
            raise OSError(f"{host[:60]}: no name that there can be") from error
        addresses = [str(address) for *_, (address, *_) in found]
        for address in addresses:
            refused = targets.refusal(host, address, self._allowed)
            if refused:
                raise ForbiddenTarget(f"not allowed: {refused}")
        return addresses

    async def connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that answers; raises OSError."""
        failed: OSError | None = None
        for address in await self.addresses(host, port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(0)  # as asyncio wants it
            try:
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
            except OSError as error:
                connection.close()
                failed = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failed or OSError(f"{host} has no address")


class Transport(httpx.AsyncHTTPTransport):
    """Requests over connections that the guard lets through, never by a proxy."""

    def __init__(self, guard: Guard, limits: httpx.Limits) -> None:
        # SSL_CERT_FILE counts. A proxy of the environment would be a mount, and there is none.
        tls = httpx.create_ssl_context(trust_env=True)
        super().__init__(verify=tls)
        # httpx hands on no network backend, so that the pool is one of httpcore's own.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(guard),
        )


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failed: Exception | None = None
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError(f"{host} has no address")

    @override
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("alerts are sent over TCP only")

    @override
    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)

"""Where the API server is, and how to connect to it: directly, or through a proxy.

A proxy is that of a kubeconfig (`proxy-url`), HTTP with or without TLS. To an API server with TLS
it is asked for a tunnel, to one without for each request.
"""

import asyncio
import base64
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import connections, credentials, http11
from rollcall.core import errors

HEAD_START = 0.25  # seconds that one address of a name has before the next is tried too (RFC 8305)
_PORTS = {"http": 80, "https": 443}

Protocol = TypeVar("Protocol", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server; `tls` is None without, `name` is what its certificate says."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    name: str

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way to a server. Requests are for paths below `base`, and carry `headers`."""

    server: Endpoint
    proxy: Endpoint | None
    base: str
    headers: str
    login: str  # the header that shows the proxy who we are, empty for none

    @classmethod
    def of(cls, access: credentials.Credentials) -> Self:
        """Read the addresses; raises errors.InvalidSpec for one that leads nowhere."""
        url = _split(access.host, "the API server's address")
        server = _endpoint(url, access.tls, access.server_name)
        proxy, login = None, ""
        if access.proxy:
            through = _split(access.proxy, "proxy-url")
            # With the context of the API server, as kubectl does.
            proxy, login = _endpoint(through, access.tls), _login(through)
        is_forwarded = proxy is not None and server.tls is None
        path = url.path.rstrip("/")
        return cls(
            server=server,
            proxy=proxy,
            base=f"http://{server}{path}" if is_forwarded else path,
            headers=f"Host: {server}\r\n" + (login if is_forwarded else ""),
            login=login,
        )

    async def connect(self) -> connections.Connection:
        """Open a connection; raises http11.Broken with what went wrong."""
        first = self.proxy or self.server
        what = f"the proxy {first}" if self.proxy else str(first)
        try:
            if self.proxy and self.server.tls:
                return await self._through(await _open(first, _Tunnel()), self.server.tls)
            return await _open(first, connections.Connection())
        except (OSError, UnicodeError) as error:  # the latter: a name that can be none
            # Without words: in the middle of a TLS handshake.
            text = str(error) or "it hung up"
            raise http11.Broken(f"cannot connect to {what}: {text}") from error

    async def _through(self, tunnel: "_Tunnel", tls: ssl.SSLContext) -> connections.Connection:
        connection = connections.Connection()
        try:
            await tunnel.ask(self.server, self.login)
            transport = await asyncio.get_running_loop().start_tls(
                tunnel.transport, connection, tls, server_hostname=self.server.name
            )
        except BaseException:
            tunnel.transport.abort()
            raise
        if transport is None:
            raise http11.Broken("it hung up")
        connection.connection_made(transport)
        return connection


class _Tunnel(asyncio.Protocol):
    """Waits for what a proxy answers to CONNECT; the tunnel begins after its head."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._reader = http11.Reader()
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(self, server: Endpoint, login: str) -> None:
        """Ask for the way to a server; raises http11.Broken if there is none."""
        head = f"CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{login}\r\n"
        self.transport.write(head.encode())
        status = await self._status
        if status != HTTPStatus.OK:
            raise http11.Broken(f"it answered HTTP {status}")

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = connections.stream(transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._status.done():
            return
        try:
            self._reader.feed(data)
        except http11.Broken as error:
            self._status.set_exception(error)
        else:
            if self._reader.status:
                self._status.set_result(self._reader.status)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self._status.done():
            self._status.set_exception(http11.Broken(f"it hung up{f': {exc}' if exc else ''}"))


async def _open(server: Endpoint, protocol: Protocol) -> Protocol:
    loop = asyncio.get_running_loop()
    # uvloop tries the addresses of a name one after the other.
    hurry: dict[str, Any] = (
        {"happy_eyeballs_delay": HEAD_START} if isinstance(loop, asyncio.BaseEventLoop) else {}
    )
    await loop.create_connection(
        lambda: protocol,
        server.host,
        server.port,
        ssl=server.tls,
        server_hostname=server.name if server.tls else None,
        **hurry,
    )
    return protocol


def _split(address: str, what: str) -> SplitResult:
    try:
        url = urlsplit(address)
        is_good = url.scheme in _PORTS and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is none, brackets without an address
        url, is_good = SplitResult("", "", "", "", ""), False
    if not (is_good and address.isascii() and address.isprintable() and " " not in address):
        # Not the address itself: it can hold a password.
        raise errors.InvalidSpec("InvalidSetting", f"{what} is not http://HOST or https://HOST")
    return url


def _endpoint(url: SplitResult, tls: ssl.SSLContext | None, name: str | None = None) -> Endpoint:
    host = url.hostname or ""
    return Endpoint(
        host=host,
        port=url.port or _PORTS[url.scheme],
        tls=(tls or ssl.create_default_context()) if url.scheme == "https" else None,
        name=name or host,
    )


def _login(url: SplitResult) -> str:
    if url.username is None:
        return ""
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"

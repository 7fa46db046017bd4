"""An HTTP server that says exactly what a test tells it to, byte for byte."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from rollcall.cluster import credentials
from support import certificates, nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked; names of headers are in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """A connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def request(self) -> Request | None:
        """Return the next request, None when the client hung up."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = line.split(" ")
        return Request(method=method, target=target, headers=headers, body=body)

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces, each as one of its own."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0.001 if len(pieces) > 1 else 0)

    def close(self) -> None:
        """Hang up when all is sent."""
        self._writer.close()

    def abort(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()


Handler = Callable[[Peer], Awaitable[object]]


@dataclass(kw_only=True)
class Server:
    """A running one, and what it saw."""

    port: int
    scheme: str
    peers: list[Peer] = field(default_factory=list)

    def access(self, tls: ssl.SSLContext | None = None, **more: str) -> credentials.Credentials:
        """Lead a client here."""
        return credentials.Credentials(
            host=f"{self.scheme}://localhost:{self.port}",
            tls=tls,
            authorization=nowhere.nobody,
            **more,
        )


@contextlib.asynccontextmanager
async def serving(handle: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Let `handle` serve each connection until the block ends; what it raises is raised here."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        server.peers.append(peer)
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await handle(peer)
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server = Server(port=port, scheme="https" if tls else "http")
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0.01)  # sockets are closed in the loop's next rounds
    for task in tasks:
        task.result()


def always(answer: bytes) -> Handler:
    """Give each request this answer."""

    async def handle(peer: Peer) -> None:
        while await peer.request():
            await peer.send(answer)

    return handle


def ok(body: bytes = b"{}", *headers: str) -> bytes:
    """Return a whole answer."""
    head = ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate for `localhost`, as the server shows it and as a client trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    certificate: Path


def identity(folder: Path) -> Identity:
    """Make one."""
    certificate, key = certificates.make(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=certificate)
    return Identity(server=server, client=client, certificate=certificate)

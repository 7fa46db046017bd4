"""Bytes of HTTP over a connection, also such as no client would send."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from support import apiprocess, reporting

PATIENCE = 20.0  # seconds; what is to be quicker is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON, which is an object."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def is_last(self) -> bool:
        """Whether the connection is closed after it."""
        return self.headers.get("connection") == "close"


class Line:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes; none are sent to who does not listen any more."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def flush(self) -> None:
        """Wait until the other side has taken most of what was sent."""
        await self._writer.drain()

    async def answer(self) -> Answer:
        """Read one answer; raises EOFError or OSError if none comes."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status=int(first.split()[1]), headers=headers, body=body)

    async def drip(self, data: bytes, each: float = 1.0) -> Answer:
        """Send a byte a second, until there is an answer."""
        answer = asyncio.create_task(self.answer())
        for number in range(len(data)):
            self.send(data[number : number + 1])
            await asyncio.wait([answer], timeout=each)
            if answer.done():
                break
        return await answer


@contextlib.asynccontextmanager
async def line(port: int, host: str = "127.0.0.1") -> AsyncIterator[Line]:
    """Open a connection for the block."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def post(pod: str, body: bytes | None = None, *headers: str, number: int = 0) -> bytes:
    """Write a report of a pod, a heartbeat if there is no body."""
    content = json.dumps(reporting.report()).encode() if body is None else body
    return head(pod, f"Content-Length: {len(content)}", *headers, number=number) + content


def head(pod: str, *headers: str, number: int = 0) -> bytes:
    """Write the head of a report."""
    bearer = f"Authorization: Bearer {apiprocess.token(pod, number)}"
    lines = (f"POST {reporting.PATH} HTTP/1.1", "Host: api", bearer, *headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def ask(port: int, data: bytes, host: str = "127.0.0.1") -> Answer:
    """Send something over a connection of its own, and read the answer."""
    async with line(port, host) as one:
        one.send(data)
        return await one.answer()


async def get(port: int, path: str, host: str = "127.0.0.1") -> Answer:
    """Read a page."""
    return await ask(port, f"GET {path} HTTP/1.1\r\nHost: api\r\n\r\n".encode(), host)


class Witness:
    """A pod that reports all along as it should; it keeps how long each answer took."""

    def __init__(self, port: int, pod: str) -> None:
        self._port = port
        self._request = post(pod)
        self.seconds: list[float] = []
        self.statuses: set[int] = set()

    async def report(self) -> None:
        """Report some times a second until it is cancelled."""
        async with line(self._port) as one:
            while True:
                started = time.monotonic()
                one.send(self._request)
                self.statuses.add((await one.answer()).status)
                self.seconds.append(time.monotonic() - started)
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def unaffected(port: int, pod: str, *, within: float = 1.0) -> AsyncIterator[None]:
    """See that another pod is acknowledged in time all along the block."""
    witness = Witness(port, pod)
    task = asyncio.create_task(witness.report())
    try:
        yield
        await asyncio.sleep(0.2)
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), f"the other pod: {ended!r}"
    assert witness.statuses == {200}
    assert max(witness.seconds) < within

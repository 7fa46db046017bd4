"""A server on a socket: many connections, slow ones, and the end of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.serving import limits, messages, server
from support import wire

GET = b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n"
LATER = GET.replace(b"/a", b"/later")
PATIENCE = 10.0  # seconds that anything may take on a slow machine
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Asked(wire.Echo):
    """Says that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()

    @override
    def answer(self, exchange: messages.Exchange) -> None:
        super().answer(exchange)
        self.is_asked.set()


class Place:
    """A running server and who is connected."""

    def __init__(self, path: str, application: Asked, limits: limits.Limits) -> None:
        self.path = path
        self.application = application
        self.server = server.Server(application, limits)
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Streams:
        reader, writer = await asyncio.open_unix_connection(self.path)
        self._writers.append(writer)
        return reader, writer

    async def until_asked(self) -> messages.Exchange:
        async with asyncio.timeout(PATIENCE):
            await self.application.is_asked.wait()
        return self.application.seen[-1]

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await self.server.close()


@contextlib.asynccontextmanager
async def place(
    folder: Path, application: Asked | None = None, **limit: float
) -> AsyncIterator[Place]:
    values = {"largest_body": 1_000_000, "look_every": 0.02, **limit}
    one = Place(str(folder / "s"), application or Asked(), limits.Limits(**values))  # type: ignore[arg-type]
    await one.server.listen_at(one.path)
    yield one
    await one.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes."""
    async with asyncio.timeout(PATIENCE):
        return await reader.read()


async def test_a_connection_serves_many_requests(tmp_path: Path) -> None:
    async with place(tmp_path) as one:
        reader, writer = await one.connect()
        for _ in range(3):
            writer.write(GET)
            assert (await reader.readuntil(b"GET /a ")).startswith(b"HTTP/1.1 200 OK\r\ndate: ")


async def test_who_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    async with place(tmp_path, idle=0.1) as one:
        reader, _ = await one.connect()
        assert await rest(reader) == b""


async def test_who_is_slow_is_told_so(tmp_path: Path) -> None:
    async with place(tmp_path, read_within=0.1) as one:
        reader, writer = await one.connect()
        writer.write(GET[:-2])
        assert wire.answers(await rest(reader)) == [(408, b"TOO_SLOW")]


async def test_a_refusal_reaches_who_goes_on_sending(tmp_path: Path) -> None:
    async with place(tmp_path, largest_body=10) as one:
        reader, writer = await one.connect()
        writer.write(b"POST /a HTTP/1.1\r\nHost: here\r\nContent-Length: 5000000\r\n\r\n")
        for _ in range(50):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert wire.answers(await rest(reader)) == [(413, b"BODY_TOO_LARGE")]


async def test_who_does_not_fetch_its_answers_is_given_up(tmp_path: Path) -> None:
    async with place(tmp_path, read_within=0.3) as one:
        _, writer = await one.connect()
        body = b"x" * 900_000
        post = b"POST /a HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
            await flood(writer, post)
        assert len(one.application.seen) < 100


async def flood(writer: asyncio.StreamWriter, post: bytes) -> None:
    for _ in range(100):
        writer.write(post)
        await writer.drain()


async def test_one_too_many_is_told_so(tmp_path: Path) -> None:
    async with place(tmp_path, most_connections=2) as one:
        links = [await one.connect() for _ in range(3)]
        for _, writer in links:
            writer.write(GET)
        assert wire.answers(await rest(links[2][0])) == [(503, b"CROWDED")]
        for reader, _ in links[:2]:
            assert (await reader.readuntil(b"GET /a ")).startswith(b"HTTP/1.1 200 OK")


async def test_beyond_those_that_are_told_connections_are_closed_unheard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_TOLD", 1)
    async with place(tmp_path, most_connections=10) as one:
        links = [await one.connect() for _ in range(12)]
        with contextlib.suppress(ConnectionError):
            assert await rest(links[11][0]) == b""
        links[10][1].write(GET)
        assert wire.answers(await rest(links[10][0])) == [(503, b"CROWDED")]


class Failing(Asked):
    """Breaks its promise never to raise."""

    @override
    def answer(self, exchange: messages.Exchange) -> None:
        super().answer(exchange)
        raise ValueError


async def test_its_clock_goes_on_whatever_the_application_does(tmp_path: Path) -> None:
    async with place(tmp_path, Failing(), read_within=0.1) as one:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        _, writer = await one.connect()
        writer.write(GET[:-2])
        await one.until_asked()
        before = one.server.now
        await asyncio.sleep(0.2)
        assert one.server.now > before


async def test_stopping_waits_for_what_has_begun_and_takes_nothing_new(tmp_path: Path) -> None:
    async with place(tmp_path) as one:
        busy, idle = await one.connect(), await one.connect()
        busy[1].write(LATER)
        exchange = await one.until_asked()
        closing = asyncio.create_task(one.server.close())
        assert await rest(idle[0]) == b""
        with pytest.raises(OSError):  # noqa: PT011 - refused, or no such socket
            await one.connect()
        assert not closing.done()
        one.application.reply(exchange)
        answer = await rest(busy[0])
        assert b"connection: close\r\n" in answer
        assert wire.answers(answer) == [(200, b"GET /later ")]
        idle[1].close()
        busy[1].close()
        async with asyncio.timeout(PATIENCE):
            await closing


async def test_it_listens_from_the_start_to_the_wish_to_stop(tmp_path: Path) -> None:
    assert not server.Server(Asked(), limits.Limits()).is_listening
    async with place(tmp_path) as one:
        assert one.server.is_listening
        _, writer = await one.connect()
        writer.write(LATER)
        exchange = await one.until_asked()
        closing = asyncio.create_task(one.server.close())
        await asyncio.sleep(0)
        assert not one.server.is_listening, "already while the last one is waited for"
        one.application.reply(exchange)
        writer.close()
        await closing


async def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with place(tmp_path, stop_within=0.1) as one:
        reader, writer = await one.connect()
        writer.write(LATER)
        exchange = await one.until_asked()
        await one.server.close()
        assert await rest(reader) == b""
        one.application.reply(exchange)  # nobody hears it


async def test_a_burst_of_connections_finds_room(tmp_path: Path) -> None:
    async with place(tmp_path) as one:
        links = await asyncio.gather(*(one.connect() for _ in range(300)))
        for _, writer in links:
            writer.write(GET.replace(b"Host", b"Connection: close\r\nHost"))
        answers = await asyncio.gather(*(rest(reader) for reader, _ in links))
        assert {wire.answers(answer)[0][0] for answer in answers} == {200}

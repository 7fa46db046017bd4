"""What attackers send, at the socket of the process that is run in production."""

import asyncio
import contextlib
import gzip
import json
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from support import apiprocess, lines, reporting

MEGABYTE = 1024 * 1024
MOST_CONNECTIONS = 12_000
SOON = 10.0  # seconds until anybody has an answer
MORE_MEMORY = 20 * MEGABYTE
GET = b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n"


def nested() -> bytes:
    return json.dumps(reporting.report()).encode()[:-1] + b',"items":[' + b"[" * 5_000


def with_keys(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":1' % number for number in range(count)) + b"}"


# Bodies that are to cost more than they weigh; they are made when their test runs.
BODIES: dict[str, tuple[Callable[[], bytes], int]] = {
    "deep": (lambda: nested() + b"]" * 5_001 + b"}", 400),
    "deep and cut off": (nested, 400),
    "a million keys": (lambda: with_keys(1_000_000), 413),
    "as many keys as fit": (lambda: with_keys(25_000), 422),
    "no JSON": (lambda: b"\xff" * 200_000, 400),
}


@pytest.fixture(scope="module", autouse=True)
def files() -> Iterator[int]:
    """Let us, and the api that is started later, have all that we may; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(autouse=True)
async def warm(api: apiprocess.Api) -> None:
    """Let the api make what it keeps for good."""
    assert (await lines.ask(api.port, lines.post("pod-1"))).status == 200


@contextlib.contextmanager
def little_memory(api: apiprocess.Api) -> Iterator[None]:
    before = api.forget_peak()
    yield
    assert api.peak() - before < MORE_MEMORY, f"{(api.peak() - before) / MEGABYTE:.0f} MiB more"


@pytest.mark.parametrize(("make", "status"), BODIES.values(), ids=BODIES)
async def test_a_hostile_body_is_refused_soon_and_others_go_on(
    api: apiprocess.Api, make: Callable[[], bytes], status: int
) -> None:
    body = make()
    started = time.monotonic()
    with little_memory(api):
        async with lines.unaffected(api.port, "pod-2"):
            answer = await lines.ask(api.port, lines.post("pod-1", body))
    assert answer.status == status
    assert answer.json["status"] == status
    assert time.monotonic() - started < SOON


async def test_a_body_that_is_said_to_be_10_mb_is_refused_before_any_of_it_comes(
    api: apiprocess.Api,
) -> None:
    answer = await lines.ask(api.port, lines.head("pod-1", "Content-Length: 10000000"))
    assert (answer.status, answer.is_last) == (413, True)


async def test_a_body_without_an_end_is_refused_once_it_is_too_large(api: apiprocess.Api) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with little_memory(api):
        async with lines.line(api.port) as line, lines.unaffected(api.port, "pod-2"):
            line.send(lines.head("pod-1", "Transfer-Encoding: chunked"))
            for _ in range(640):  # 10 MB
                line.send(chunk)
            answer = await line.answer()
    assert (answer.status, answer.is_last) == (413, True)


async def test_a_compressed_body_is_refused_as_such_and_not_unpacked(api: apiprocess.Api) -> None:
    bomb = gzip.compress(b" " * 100 * MEGABYTE)
    with little_memory(api):
        async with lines.unaffected(api.port, "pod-2"):
            answer = await lines.ask(api.port, lines.post("pod-1", bomb, "Content-Encoding: gzip"))
    assert answer.status == 415
    assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "head",
    [
        lines.head("pod-1", "X-Long: " + "x" * MEGABYTE),
        lines.head("x" * MEGABYTE),
        lines.head("pod-1", *(f"X-{number}: 1" for number in range(MEGABYTE // 10))),
        b"GET /" + b"x" * MEGABYTE + b" HTTP/1.1\r\nHost: api\r\n\r\n",
    ],
    ids=["a header", "a token", "many headers", "a path"],
)
async def test_a_head_of_a_megabyte_is_refused(api: apiprocess.Api, head: bytes) -> None:
    with little_memory(api):
        async with lines.unaffected(api.port, "pod-2"):
            answer = await lines.ask(api.port, head)
    assert (answer.status, answer.is_last) == (431, True)


async def test_what_comes_a_byte_a_second_is_given_up(api: apiprocess.Api) -> None:
    async def dripped(first: bytes, drops: bytes) -> tuple[int, float]:
        started = time.monotonic()
        async with lines.line(api.port) as line:
            line.send(first)
            answer = await line.drip(drops)
        assert answer.is_last
        return answer.status, time.monotonic() - started

    async with lines.unaffected(api.port, "pod-2"):
        ended = await asyncio.gather(
            dripped(b"", lines.post("pod-1")),
            dripped(lines.head("pod-1", "Content-Length: 1000"), b" " * 1000),
            dripped(lines.head("pod-1", "Transfer-Encoding: chunked"), b"1\r\n \r\n" * 100),
        )
    assert [status for status, _ in ended] == [408, 408, 408]
    assert max(seconds for _, seconds in ended) < SOON


@pytest.mark.timeout(180)
async def test_ten_thousand_idle_connections_cost_others_nothing(
    api: apiprocess.Api, files: int
) -> None:
    count = _possible(10_000, files)
    with little_memory(api):
        async with lines.unaffected(api.port, "pod-2"):
            crowd = await asyncio.to_thread(_crowd, api.port, count)
            ended = await asyncio.to_thread(_ended, crowd)
    assert ended < SOON


@pytest.mark.timeout(300)
async def test_connections_beyond_the_most_are_told_so_at_once(
    api: apiprocess.Api, files: int
) -> None:
    count = _possible(MOST_CONNECTIONS, files)
    async with lines.line(api.port) as inside:
        crowd: list[socket.socket] = []
        refusal = None
        for _ in range(5):  # idle ones are closed after five seconds, on a slow machine too soon
            coming = asyncio.create_task(asyncio.to_thread(_crowd, api.port, count))
            while not coming.done():  # else it would be one of the idle ones
                await asyncio.sleep(0.5)
                inside.send(GET)
                assert (await inside.answer()).status == 200
            crowd += await coming
            refusal = await lines.ask(api.port, GET)
            if refusal.status == 503:
                break
        await asyncio.to_thread(_ended, crowd)
    assert refusal
    assert (refusal.status, refusal.is_last) == (503, True)
    assert re.fullmatch(r"[1-9]\d*", refusal.headers["retry-after"])
    assert (await lines.ask(api.port, GET)).status == 200


def _possible(wanted: int, files: int) -> int:
    if files < wanted + 200:
        pytest.skip(f"this machine allows a process {files} connections")
    return wanted


def _crowd(port: int, count: int) -> list[socket.socket]:
    """Open connections and say nothing."""
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]


def _ended(crowd: list[socket.socket]) -> float:
    """Wait until the other side has closed all; return the seconds."""
    started = time.monotonic()
    for one in crowd:
        one.settimeout(SOON)
        with contextlib.suppress(ConnectionError):
            assert one.recv(1) == b""
        one.close()
    return time.monotonic() - started

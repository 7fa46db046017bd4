"""When the api listens, where, and how it ends."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import apiprocess, kube, lines

PODS = [f"pod-{number}" for number in range(6)]
LOOPBACK = ("127.0.0.1", "::1")


@pytest.fixture
def one_api(api_dsn: str, reviews: apiprocess.Reviews, tmp_path: Path) -> Iterator[apiprocess.Api]:
    """Run an api for a case that ends it."""
    with apiprocess.running(api_dsn, tmp_path, reviews) as running:
        yield running
    reviews.seconds = 0


@pytest.mark.parametrize("host", LOOPBACK)
async def test_both_ports_are_reached_by_ipv4_and_by_ipv6(api: apiprocess.Api, host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    assert (await lines.get(api.port, "/healthz", host)).status == 200
    for page in ("/livez", "/readyz", "/metrics"):
        assert (await lines.get(api.health_port, page, host)).status == 200


async def test_reports_under_way_are_answered_at_the_end_and_new_ones_go_elsewhere(
    one_api: apiprocess.Api, reviews: apiprocess.Reviews
) -> None:
    reviews.seconds, asked = 2.0, reviews.asked

    async def all_asked() -> int:
        return reviews.asked - asked

    async with contextlib.AsyncExitStack() as stack:
        idle = await stack.enter_async_context(lines.line(one_api.port))
        used = [await stack.enter_async_context(lines.line(one_api.port)) for _ in PODS]
        for pod, line in zip(PODS, used, strict=True):
            line.send(lines.post(pod))
        is_all = len(PODS).__eq__
        await kube.eventually(all_asked, 10, what="reports under way", good=is_all)

        started = time.monotonic()
        one_api.stop()
        await _refused(one_api.port)
        unready = await lines.get(one_api.health_port, "/readyz")
        assert unready.status == 503
        assert b"no reports are taken" in unready.body

        answers = await asyncio.gather(*(line.answer() for line in used))
        assert [(one.status, one.is_last) for one in answers] == [(200, True)] * len(PODS)
        with pytest.raises((EOFError, ConnectionError)):
            await idle.answer()
        assert await asyncio.to_thread(one_api.process.wait, 20) == 0
        assert time.monotonic() - started < 5


async def test_a_request_that_never_comes_whole_holds_nothing_up(one_api: apiprocess.Api) -> None:
    async with lines.line(one_api.port) as line:
        line.send(lines.head("pod-1", "Content-Length: 1000") + b"{")
        assert (await lines.get(one_api.port, "/healthz")).status == 200
        started = time.monotonic()
        one_api.stop()
        assert await asyncio.to_thread(one_api.process.wait, 20) == 0
        assert time.monotonic() - started < 7


async def _refused(port: int) -> None:
    async def look() -> bool:
        try:
            await lines.get(port, "/healthz")
        except (OSError, EOFError):
            return True
        return False

    await kube.eventually(look, 3, what="no new connections")


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False

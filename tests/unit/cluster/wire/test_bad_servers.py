"""The client against servers that answer wrongly, slowly, too much or not at all."""

import asyncio

import pytest

from rollcall.cluster import client, http11
from rollcall.core import errors
from support import rawserver
from support.rawserver import ok


async def test_a_trickle_does_not_make_the_time_longer() -> None:
    async def trickle(peer: rawserver.Peer) -> None:
        await peer.request()
        while True:
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(0.02)

    async with rawserver.serving(trickle) as server, client.KubeClient(server.access()) as kube:
        with pytest.raises(errors.ClusterUnavailable, match=r"no answer within 0\.2 s"):
            await kube.request("GET", "/a", within=0.2)


async def _hang_up_at_once(peer: rawserver.Peer) -> None:
    await peer.request()


async def _hang_up_in_the_body(peer: rawserver.Peer) -> None:
    await peer.request()
    await peer.send(ok(b"{}")[:-1])


async def _reset_in_the_head(peer: rawserver.Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nCon")
    await asyncio.sleep(0.01)
    peer.abort()


async def _garbage(peer: rawserver.Peer) -> None:
    await peer.request()
    await peer.send(b"220 mail.example.com ESMTP\r\n")


async def _large_head(peer: rawserver.Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n")


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("handle", "text"),
    [
        (_hang_up_at_once, "hung up without an answer"),
        (_hang_up_in_the_body, "hung up in the middle"),
        (_reset_in_the_head, "hung up in the middle"),
        (_garbage, "not HTTP/1.1"),
        (_large_head, "head of its answer is larger"),
    ],
)
async def test_a_server_that_misbehaves_is_unavailable_and_says_why(
    identity: rawserver.Identity,
    handle: rawserver.Handler,
    text: str,
    is_tls: bool,
) -> None:
    ours, theirs = (identity.client, identity.server) if is_tls else (None, None)
    async with (
        rawserver.serving(handle, tls=theirs) as server,
        client.KubeClient(server.access(ours)) as kube,
    ):
        with pytest.raises(errors.ClusterUnavailable, match=rf"^GET /a: .*{text}"):
            await kube.get("/a")
        assert len(server.peers) == 1  # nobody asks twice on a new connection


async def test_interim_answers_are_passed_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok(b'{"a": 1}')
    async with (
        rawserver.serving(rawserver.always(answer)) as server,
        client.KubeClient(server.access()) as kube,
    ):
        assert [await kube.get("/a") for _ in range(3)] == [{"a": 1}] * 3
        assert len(server.peers) == 1


@pytest.mark.parametrize("answer", [ok(b"{}", "Connection: close"), ok() + ok()])
async def test_a_connection_in_doubt_is_not_used_again(answer: bytes) -> None:
    async with (
        rawserver.serving(rawserver.always(answer)) as server,
        client.KubeClient(server.access()) as kube,
    ):
        for _ in range(3):
            assert await kube.get("/a") == {}
        assert len(server.peers) == 3


async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    async def chatty(peer: rawserver.Peer) -> None:
        while await peer.request():
            await peer.send(ok())
            await asyncio.sleep(0.01)
            await peer.send(ok(b'{"of": "nobody"}'))

    async with rawserver.serving(chatty) as server, client.KubeClient(server.access()) as kube:
        for _ in range(3):
            assert await kube.get("/a") == {}
            await asyncio.sleep(0.03)
        assert len(server.peers) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.0 503 Busy\r\nConnection: close\r\n\r\n<html>", errors.ClusterUnavailable),
        (
            b"HTTP/1.1 307 Moved\r\nLocation: http://a/b\r\nContent-Length: 0\r\n\r\n",
            errors.Refused,
        ),
    ],
)
async def test_an_answer_of_a_proxy_before_the_server_is_understood(
    answer: bytes, error: type[Exception]
) -> None:
    async def handle(peer: rawserver.Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async with rawserver.serving(handle) as server, client.KubeClient(server.access()) as kube:
        with pytest.raises(error, match=r"<html>|not followed, and HTTP 307 leads to http://a/b"):
            await kube.get("/a")


async def test_a_body_beyond_all_bounds_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http11, "LARGEST", 100_000)
    async with (
        rawserver.serving(rawserver.always(ok(b"x" * 1_000_000))) as server,
        client.KubeClient(server.access()) as kube,
    ):
        with pytest.raises(errors.ClusterUnavailable, match="larger than 100000 bytes"):
            await kube.get("/a")

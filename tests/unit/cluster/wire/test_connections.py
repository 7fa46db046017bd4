"""The client against real servers: what it keeps, shares, gives up and repeats."""

import asyncio
import contextlib

import pytest

from rollcall.cluster import client, connections, route, tokens
from rollcall.core import errors
from support import rawserver
from support.rawserver import ok

PATIENCE = 5.0


async def test_a_connection_is_kept_for_the_next_request(identity: rawserver.Identity) -> None:
    async with (
        rawserver.serving(rawserver.always(ok(b'{"a": 1}')), tls=identity.server) as server,
        client.KubeClient(server.access(identity.client)) as kube,
    ):
        for _ in range(5):
            assert await kube.get("/api") == {"a": 1}
        assert len(server.peers) == 1


async def test_a_large_body_goes_there_and_comes_back(identity: rawserver.Identity) -> None:
    async def echo(peer: rawserver.Peer) -> None:
        while request := await peer.request():
            await peer.send(ok(request.body))

    body = {"text": "x" * 3_000_000}
    async with (
        rawserver.serving(echo, tls=identity.server) as server,
        client.KubeClient(server.access(identity.client)) as kube,
    ):
        assert await kube.create("/api", body) == body
        assert await kube.create("/api", body) == body


async def test_a_body_may_come_in_chunks_and_pieces() -> None:
    chunked = (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n'
    )

    async def slowly(peer: rawserver.Peer) -> None:
        while await peer.request():
            await peer.send(*(chunked[i : i + 7] for i in range(0, len(chunked), 7)))

    async with (
        rawserver.serving(slowly) as server,
        client.KubeClient(server.access()) as kube,
    ):
        assert await kube.get("/api") == {"a": 1}
        assert await kube.get("/api") == {"a": 1}
        assert len(server.peers) == 1


async def test_requests_beyond_the_limit_wait_in_order() -> None:
    order: list[str] = []
    busy = most = 0

    async def handle(peer: rawserver.Peer) -> None:
        nonlocal busy, most
        while request := await peer.request():
            order.append(request.target)
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0.002)
            busy -= 1
            await peer.send(ok())

    async with rawserver.serving(handle) as server, client.KubeClient(server.access()) as kube:
        await asyncio.gather(*(kube.get(f"/{number}") for number in range(100)))
        assert len(server.peers) == most == connections.LIMIT
    seen = [int(target[1:]) for target in order]
    assert sorted(seen) == list(range(100))
    # Those of one wave may overtake each other on their ways, none those of a wave before.
    assert all(abs(place - number) < 2 * connections.LIMIT for place, number in enumerate(seen))


async def test_the_wait_for_a_free_connection_is_part_of_the_time_that_a_request_has() -> None:
    async def never(peer: rawserver.Peer) -> None:
        if len(server.peers) == connections.LIMIT:
            are_busy.set()
        await peer.reader.read()

    are_busy = asyncio.Event()
    async with rawserver.serving(never) as server, client.KubeClient(server.access()) as kube:
        busy = [asyncio.create_task(kube.get("/a")) for _ in range(connections.LIMIT)]
        async with asyncio.timeout(PATIENCE):
            await are_busy.wait()
        with pytest.raises(errors.ClusterUnavailable, match=r"^GET /b: no answer within 0\.2 s$"):
            await kube.request("GET", "/b", within=0.2)
        assert len(server.peers) == connections.LIMIT
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def test_a_request_that_is_given_up_takes_its_connection_along() -> None:
    async def handle(peer: rawserver.Peer) -> None:
        while request := await peer.request():
            if request.target == "/slow":
                await asyncio.sleep(0.05)
            await peer.send(ok(f'{{"of": "{request.target}"}}'.encode()))

    async with rawserver.serving(handle) as server, client.KubeClient(server.access()) as kube:
        await kube.get("/a")
        slow = asyncio.create_task(kube.get("/slow"))
        await asyncio.sleep(0.02)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        await asyncio.sleep(0.05)
        assert await kube.get("/b") == {"of": "/b"}
        assert len(server.peers) == 2


def _closing_after(answers: int) -> rawserver.Handler:
    async def handle(peer: rawserver.Peer) -> None:
        for _ in range(answers):
            await peer.request()
            await peer.send(ok())
        await peer.request()  # and hangs up without a word

    return handle


async def test_a_kept_connection_that_turns_out_to_be_closed_is_replaced_for_a_read() -> None:
    async with (
        rawserver.serving(_closing_after(1)) as server,
        client.KubeClient(server.access()) as kube,
    ):
        for _ in range(5):
            assert await kube.get("/a") == {}
        assert len(server.peers) == 5


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_is_never_sent_twice(method: str) -> None:
    async with (
        rawserver.serving(_closing_after(1)) as server,
        client.KubeClient(server.access()) as kube,
    ):
        await kube.get("/a")
        with pytest.raises(errors.ClusterUnavailable, match="hung up without an answer"):
            await kube.request(method, "/a", body={})
        assert len(server.peers) == 1


async def test_a_review_changes_nothing_and_is_sent_again() -> None:
    async with (
        rawserver.serving(_closing_after(1)) as server,
        client.KubeClient(server.access()) as kube,
    ):
        for _ in range(2):
            with contextlib.suppress(errors.ClusterUnavailable):
                await kube.get("/a")
        assert await tokens.Tokens(kube=kube).review("a.b.c") is None
        assert len(server.peers) == 3


async def test_a_server_that_is_gone_without_a_word_is_waited_for_once() -> None:
    is_gone = False

    async def handle(peer: rawserver.Peer) -> None:
        while await peer.request():
            if is_gone and peer in old:
                await peer.reader.read()
            await asyncio.sleep(0.02)
            await peer.send(ok())

    async with rawserver.serving(handle) as server, client.KubeClient(server.access()) as kube:
        await asyncio.gather(*(kube.get("/a") for _ in range(5)))
        old, is_gone = list(server.peers), True
        with pytest.raises(errors.ClusterUnavailable, match="no answer within"):
            await kube.request("GET", "/a", within=0.2)
        assert await kube.request("GET", "/a", within=PATIENCE) == {}
        assert len(server.peers) == 6


async def test_a_connection_that_was_closed_while_idle_costs_no_write() -> None:
    async with (
        rawserver.serving(rawserver.always(ok())) as server,
        client.KubeClient(server.access()) as kube,
    ):
        for number in range(3):
            assert await kube.create("/a", {}) == {}
            server.peers[number].close()
            await asyncio.sleep(0.02)


async def test_a_server_that_closes_just_as_it_is_asked_never_fails_a_read() -> None:
    async def handle(peer: rawserver.Peer) -> None:
        for _ in range(2):
            if await peer.request():
                await peer.send(ok())
        peer.close()

    async with rawserver.serving(handle) as server, client.KubeClient(server.access()) as kube:
        for number in range(300):
            assert await kube.get("/a") == {}
            await asyncio.sleep(number % 3 * 0.0001)


async def test_idle_connections_are_closed_after_a_while() -> None:
    gone = asyncio.Event()

    async def handle(peer: rawserver.Peer) -> None:
        while await peer.request():
            await peer.send(ok())
        gone.set()

    async with rawserver.serving(handle) as server:
        way = route.Route.of(server.access())
        pool = connections.Pool(way.connect, idle=0.05)
        request = f"GET / HTTP/1.1\r\n{way.headers}\r\n".encode()
        for _ in range(2):
            for _ in range(3):
                await pool.exchange(request, is_safe=True)
            async with asyncio.timeout(PATIENCE):
                await gone.wait()
            gone.clear()
        assert len(server.peers) == 2
        await pool.close()


async def test_closing_ends_what_is_under_way_and_all_that_comes_later() -> None:
    async with rawserver.serving(lambda peer: peer.reader.read()) as server:
        kube = client.KubeClient(server.access())
        waiting = asyncio.create_task(kube.get("/a"))
        await asyncio.sleep(0.02)
        await kube.close()
        with pytest.raises(errors.ClusterUnavailable, match="hung up"):
            await waiting
        with pytest.raises(errors.ClusterUnavailable, match="the client is closed"):
            await kube.get("/a")

"""The way to the API server: addresses, certificates, proxies."""

import asyncio
import base64
import ssl

import pytest

from rollcall.cluster import client, credentials, route
from rollcall.core import errors
from support import nowhere, rawserver
from support.rawserver import Identity, Peer, ok


def access(host: str, **more: str) -> credentials.Credentials:
    return credentials.Credentials(host=host, tls=None, authorization=nowhere.nobody, **more)


async def proxied(peer: Peer, request: rawserver.Request) -> None:
    """Do what a proxy does for CONNECT: pass on all bytes in both directions."""
    host, _, port = request.target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def back() -> None:
        while data := await reader.read(65536):
            await peer.send(data)
        peer.close()

    task = asyncio.create_task(back())
    while data := await peer.reader.read(65536):
        writer.write(data)
    writer.close()
    await task


@pytest.mark.parametrize("is_tls", [False, True], ids=["http proxy", "https proxy"])
async def test_a_server_with_tls_is_reached_through_a_tunnel(
    identity: Identity, is_tls: bool
) -> None:
    asked: list[rawserver.Request] = []

    async def proxy(peer: Peer) -> None:
        if request := await peer.request():
            asked.append(request)
            await proxied(peer, request)

    tls = identity.server if is_tls else None
    async with (
        rawserver.serving(rawserver.always(ok(b'{"a": 1}')), tls=identity.server) as server,
        rawserver.serving(proxy, tls=tls) as through,
    ):
        way = f"{through.scheme}://me:p%40ss@localhost:{through.port}"
        async with client.KubeClient(server.access(identity.client, proxy=way)) as kube:
            for _ in range(3):
                assert await kube.get("/api") == {"a": 1}
        await asyncio.sleep(0.02)
    assert [(one.method, one.target) for one in asked] == [("CONNECT", f"localhost:{server.port}")]
    login = base64.b64encode(b"me:p@ss").decode()
    assert asked[0].headers["proxy-authorization"] == f"Basic {login}"
    assert "authorization" not in asked[0].headers


async def test_a_server_without_tls_is_asked_by_the_proxy() -> None:
    asked: list[rawserver.Request] = []

    async def proxy(peer: Peer) -> None:
        while request := await peer.request():
            asked.append(request)
            await peer.send(ok())

    async with rawserver.serving(proxy) as through:
        way = f"http://me:secret@localhost:{through.port}"
        async with client.KubeClient(access("http://there/below/", proxy=way)) as kube:
            await kube.get("/api", limit=1)
    assert [one.target for one in asked] == ["http://there:80/below/api?limit=1"]
    assert asked[0].headers["host"] == "there:80"
    assert asked[0].headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it answered HTTP 407"),
        (b"", "it hung up"),
        (b"SSH-2.0-OpenSSH\r\n", r"not HTTP/1\.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "head of its answer is larger"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "it hung up"),
    ],
    ids=["refused", "hung up", "garbage", "large head", "nothing behind it"],
)
async def test_a_proxy_that_leads_nowhere_is_named(answer: bytes, text: str) -> None:
    async def proxy(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        peer.close()

    async with rawserver.serving(proxy) as through:
        way = f"http://me:secret@localhost:{through.port}"
        lead = access("https://there:6443", proxy=way)
        async with client.KubeClient(lead) as kube:
            with pytest.raises(errors.ClusterUnavailable, match=text) as raised:
                await kube.get("/api")
    assert f"cannot connect to the proxy localhost:{through.port}: " in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_a_proxy_that_does_not_answer_takes_no_longer_than_the_request_may() -> None:
    async with rawserver.serving(lambda peer: peer.reader.read()) as through:
        way = f"http://localhost:{through.port}"
        async with client.KubeClient(access("https://there", proxy=way)) as kube:
            with pytest.raises(errors.ClusterUnavailable, match=r"no answer within 0\.2 s"):
                await kube.request("GET", "/api", within=0.2)


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:secret@localhost:1080",
        "localhost:3128",
        "http://:3128",
        "http://a:x",
        "http://[",
    ],
)
def test_a_proxy_of_another_kind_is_refused_without_telling_its_password(proxy: str) -> None:
    with pytest.raises(errors.InvalidSpec, match="proxy-url is not http://HOST") as raised:
        client.KubeClient(access("https://there", proxy=proxy))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "host",
    [
        "there:6443",
        "ftp://there",
        "",
        "http://",
        "https://a:99999",
        "https://a b",
        "https://\u00e4",
    ],
)
def test_an_address_that_leads_nowhere_is_refused(host: str) -> None:
    with pytest.raises(errors.InvalidSpec, match="the API server's address is not"):
        client.KubeClient(access(host))


@pytest.mark.parametrize(
    ("host", "endpoint", "base"),
    [
        ("https://there", "there:443", ""),
        ("http://there/", "there:80", ""),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", ""),
        ("https://there:1/k8s/clusters/c-1/", "there:1", "/k8s/clusters/c-1"),
    ],
)
def test_an_address_is_host_port_and_a_path_that_all_requests_go_below(
    host: str, endpoint: str, base: str
) -> None:
    way = route.Route.of(access(host))
    assert (str(way.server), way.base) == (endpoint, base)
    assert way.headers == f"Host: {endpoint}\r\n"


async def test_nobody_listens() -> None:
    async with client.KubeClient(nowhere.access()) as kube:
        with pytest.raises(errors.ClusterUnavailable) as raised:
            await kube.get("/api")
    assert "GET /api: cannot connect to 127.0.0.1:1: " in str(raised.value)
    assert "111" in str(raised.value)  # refused; the loops have different words


@pytest.mark.parametrize("name", ["rollcall.invalid", "a" * 64 + ".example"])
async def test_a_name_that_nobody_knows(name: str) -> None:
    async with client.KubeClient(access(f"http://{name}")) as kube:
        with pytest.raises(errors.ClusterUnavailable, match=f"cannot connect to {name}:80: "):
            await kube.request("GET", "/api", within=5)


async def test_a_certificate_that_is_not_trusted_or_of_another_name(identity: Identity) -> None:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with rawserver.serving(rawserver.always(ok()), tls=identity.server) as server:
        strange = server.access(identity.client, server_name="kubernetes.example")
        for lead, text in ((server.access(nobody), "verify failed"), (strange, "mismatch")):
            async with client.KubeClient(lead) as kube:
                with pytest.raises(errors.ClusterUnavailable, match=text):
                    await kube.get("/api")


async def test_a_name_may_be_given_that_the_certificate_is_for(identity: Identity) -> None:
    async with rawserver.serving(rawserver.always(ok()), tls=identity.server) as server:
        lead = credentials.Credentials(
            host=f"https://127.0.0.1:{server.port}",
            tls=identity.client,
            authorization=nowhere.nobody,
            server_name="localhost",
        )
        async with client.KubeClient(lead) as kube:
            assert await kube.get("/api") == {}


async def test_a_server_that_speaks_no_tls_is_told_apart(identity: Identity) -> None:
    async def plain(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.send(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent TLS to an HTTP server.\n")

    async with rawserver.serving(plain) as server:
        lead = credentials.Credentials(
            host=f"https://localhost:{server.port}",
            tls=identity.client,
            authorization=nowhere.nobody,
        )
        async with client.KubeClient(lead) as kube:
            with pytest.raises(errors.ClusterUnavailable, match="WRONG_VERSION"):
                await kube.get("/api")

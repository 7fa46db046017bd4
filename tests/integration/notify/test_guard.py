"""No connection is opened to what may not be told; a listener looks whether one was."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import targets
from rollcall.notify import http, registry
from rollcall.services import ports
from support import payloads, receiver
from support.delivering import now

INTERNET = targets.Allowed()
MESSAGE = payloads.notification(payloads.payload())


class Listener:
    """Listens on loopback in both families, and knows whether anybody connected."""

    def __init__(self) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self._sockets[0].getsockname()[1])
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))

    def was_connected_to(self) -> bool:
        for one in self._sockets:
            one.setblocking(False)  # noqa: FBT003 - its only way
            with contextlib.suppress(BlockingIOError):
                one.accept()[0].close()
                return True
        return False

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
async def client() -> AsyncIterator[http.Client]:
    async with http.Client(now=now, allowed=INTERNET, timeout=timedelta(seconds=2)) as client:
        yield client


async def send(client: http.Client, url: str) -> ports.Delivery:
    return await registry.factories(client, now)["webhook"]({"url": url}).send(MESSAGE)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",  # noqa: S104 - it leads to this machine too
        "[::1]",
        "[::ffff:127.0.0.1]",
        "user:word@127.0.0.1",
    ],
)
async def test_this_machine_is_never_connected_to_however_it_is_written(
    client: http.Client, listener: Listener, host: str
) -> None:
    delivery = await send(client, f"http://{host}:{listener.port}/")
    assert (delivery.delivered, delivery.permanent) == (False, False)
    assert not listener.was_connected_to()


async def test_why_is_said(client: http.Client, listener: Listener) -> None:
    delivery = await send(client, f"http://localhost:{listener.port}/")
    assert delivery.error is not None
    assert delivery.error.startswith("localhost: not allowed: ")
    assert delivery.error.endswith("is of this machine or its link, which no alert may reach")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "10.0.0.1", "100.100.100.200", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"],
)
async def test_a_name_is_judged_by_where_it_leads(
    client: http.Client, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    _resolve(monkeypatch, "1.1.1.1", address)
    delivery = await send(client, "http://hooks.test/")
    assert delivery.error is not None
    assert delivery.error.startswith(f"hooks.test: not allowed: {address} ")


async def test_a_name_is_asked_for_once_and_what_was_judged_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = _resolve(monkeypatch, "127.0.0.1")
    with receiver.running() as hook:
        async with http.Client(now=now, allowed=receiver.LOOPBACK) as client:
            assert (await send(client, f"http://rebinding.test:{hook.port}/")).delivered
        assert hook.requests[0].headers["host"] == f"rebinding.test:{hook.port}"
    assert asked == ["rebinding.test"]


async def test_of_several_addresses_the_one_that_answers_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve(monkeypatch, "127.0.0.2", "127.0.0.1")
    with receiver.running() as hook:
        async with http.Client(now=now, allowed=receiver.LOOPBACK) as client:
            assert (await send(client, f"http://two.test:{hook.port}/")).delivered


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver.running() as hook, receiver.running() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with http.Client(now=now, allowed=receiver.LOOPBACK) as client:
            assert (await send(client, hook.url)).delivered
        assert (len(hook.requests), len(proxy.requests)) == (1, 0)


async def test_a_mail_server_is_judged_alike(client: http.Client, listener: Listener) -> None:
    config = {
        "host": "localhost",
        "port": str(listener.port),
        "from": "rollcall@example.com",
        "to": "team@example.com",
    }
    delivery = await registry.factories(client, now)["email"](config).send(MESSAGE)
    assert (delivery.delivered, delivery.permanent) == (False, False)
    assert delivery.error is not None
    assert delivery.error.startswith("localhost: not allowed: ")
    assert not listener.was_connected_to()


def _resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead to these addresses, once; return the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        assert not asked, "asked again"
        asked.append(host)
        return [(None, None, None, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked

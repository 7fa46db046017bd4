"""The demo's receiver as a process of its own, fed by the real channels and by strangers."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO
from uuid import UUID

import httpx
import pytest

from rollcall.core import incidents, messages
from rollcall.notify import http, registry
from rollcall.notify.webhook import channel
from rollcall.services import ports
from support import builders, receiver
from support.delivering import now

PROGRAM = Path(__file__).parents[3] / "demo" / "receiver" / "receiver.py"
SECRET = "whsec_cm9sbGNhbGwtZGVtbw=="


@dataclass
class Receiver:
    output: IO[str]
    url: str

    def line(self) -> str:
        """Return the next line without its time."""
        return self.output.readline().partition(" ")[2].rstrip("\n")

    def alerts(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = httpx.get(f"{self.url}/alerts").json()
        return found


@pytest.fixture
def demo() -> Iterator[Receiver]:
    with subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM)],
        env=os.environ | {"PORT": "0", "SIGNING_SECRET": SECRET},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().rsplit(" ", 1)[1].strip()
            yield Receiver(process.stdout, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            assert process.wait(10) == 0


@pytest.fixture
async def client() -> AsyncIterator[http.Client]:
    async with http.Client(now=now, allowed=receiver.LOOPBACK) as client:
        yield client


def message(text: str = "1 slot was missed") -> ports.Notification:
    payload = messages.payload(
        step=builders.step(message=text),
        transition=incidents.Transition.OPENED,
        at=builders.SLOT_AT,
        cluster="demo",
        subject=messages.Subject(namespace="demo", name="backup", uid="u", group=None),
        alerts=builders.alerts(),
        execution=None,
    )
    return ports.Notification(
        id=1,
        incident_id=UUID(int=1),
        channel="demo",
        key="key.1",
        type="incident.opened",
        payload=payload,
        attempts=0,
        created_at=builders.SLOT_AT,
    )


async def test_each_alert_is_one_readable_line_and_kept(
    demo: Receiver, client: http.Client
) -> None:
    kinds = registry.factories(client, now)
    webhook = kinds["webhook"]({"url": demo.url, "signing": SECRET})
    slack = kinds["slack"]({"webhookURL": f"{demo.url}/slack"})
    sent = message("1 slot\nwas \x1b[31mmissed")
    assert (await webhook.send(sent)).delivered
    assert demo.line() == "WARNING opened demo/backup failing: 1 slot was [31mmissed"
    assert (await webhook.send(dataclasses.replace(sent, type="x"))).delivered
    assert demo.line().endswith("(received before)")
    assert (await slack.send(message())).delivered
    assert demo.line() == "SLACK 🟠 WARNING: demo/backup is failing: 1 slot was missed"
    first, second, third = demo.alerts()
    assert first["payload"] == sent.payload
    assert (first["key"], first["repeated"], second["repeated"]) == ("key.1", False, True)
    assert (third["path"], third["key"]) == ("/slack", None)


async def test_a_wrong_secret_is_refused(demo: Receiver, client: http.Client) -> None:
    for config in ({"url": demo.url, "signing": "wrong"}, {"url": demo.url}):
        answer = await registry.factories(client, now)["webhook"](config).send(message())
        assert answer.permanent
        assert answer.error == (
            "127.0.0.1 answered 401 Unauthorized: webhook-signature is not the one of this body"
        )
    assert demo.alerts() == []


def test_a_replay_is_refused(demo: Receiver) -> None:
    body = http.encode(message().payload)
    key = channel.read({"url": demo.url, "signing": SECRET}).key
    headers = channel.sign(key, "key.1", now() - timedelta(minutes=6), body)
    assert httpx.post(demo.url, content=body, headers=headers).status_code == 401
    assert demo.alerts() == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/slack", b"{", 400, id="not-json"),
        pytest.param("/slack", b"\xff", 400, id="not-text"),
        pytest.param("/slack", b"[]", 400, id="not-an-object"),
        pytest.param("/slack", b"{}", 400, id="no-text"),
        pytest.param("/slack", b"[" * 100_000, 400, id="deep"),
        pytest.param("/slack", b"x" * (1024 * 1024 + 1), 413, id="huge"),
        pytest.param("/", b"{}", 401, id="unsigned"),
    ],
)
def test_what_is_no_alert_is_refused_and_stops_nothing(
    demo: Receiver, path: str, body: bytes, status: int
) -> None:
    assert post(demo, path, body) == status
    assert post(demo, "/slack", b'{"text": "still here"}') == 200
    assert [alert["line"] for alert in demo.alerts()] == ["SLACK still here"]


def test_it_says_that_it_lives_and_what_it_knows(demo: Receiver) -> None:
    assert httpx.get(f"{demo.url}/healthz").text == "ok"
    assert httpx.get(f"{demo.url}/nothing").status_code == 404


def post(demo: Receiver, path: str, body: bytes) -> int:
    """Post; a refusal before the whole body was read may cut the connection first."""
    for _ in range(20):
        try:
            return httpx.post(demo.url + path, content=body).status_code
        except (httpx.WriteError, httpx.ReadError):
            time.sleep(0.05)
    raise AssertionError("no answer")

"""The channels against a real HTTP receiver on loopback, good and bad."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

import rollcall
from rollcall.core import incidents, messages
from rollcall.notify import http, registry
from rollcall.services import ports
from support import builders, loopback, receiver
from support.delivering import now
from support.receiver import Answer

SECRET = b"a key with \0 in it"
TIMEOUT = timedelta(seconds=1)  # stands for the ten seconds of production
PAYLOAD = messages.payload(
    step=builders.step(message="1 run failed: ü <!channel>"),
    transition=incidents.Transition.OPENED,
    at=builders.SLOT_AT,
    cluster="test",
    subject=messages.Subject(namespace="shop", name="backup", uid="u", group=None),
    alerts=builders.alerts(),
    execution=None,
)
NOTIFICATION = ports.Notification(
    id=1,
    incident_id=UUID(int=1),
    channel="team",
    key="3f1c.1",
    type="incident.opened",
    payload=PAYLOAD,
    attempts=0,
    created_at=builders.SLOT_AT,
)


@pytest.fixture
async def client() -> AsyncIterator[http.Client]:
    async with http.Client(now=now, allowed=receiver.LOOPBACK, timeout=TIMEOUT) as client:
        yield client


async def post(client: http.Client, url: str, kind: str = "webhook", **more: str) -> ports.Delivery:
    setting = {"webhook": "url", "slack": "webhookURL"}[kind]
    sender = registry.factories(client, now)[kind]({setting: url, **more})
    return await sender.send(NOTIFICATION)


async def test_a_webhook_gets_the_payload_and_its_headers(
    hook: receiver.Receiver, client: http.Client
) -> None:
    assert (await post(client, hook.url)).delivered
    (request,) = hook.requests
    assert json.loads(request.body) == PAYLOAD
    assert request.path == "/hook"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"rollcall/{rollcall.__version__}"
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == "3f1c.1"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 5
    assert "webhook-signature" not in request.headers


async def test_the_signature_verifies_over_the_bytes_that_arrived(
    hook: receiver.Receiver, client: http.Client
) -> None:
    secret = "whsec_" + base64.b64encode(SECRET).decode()
    await post(client, hook.url, signing=secret)
    (request,) = hook.requests
    identifier, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    signed = b".".join([identifier.encode(), timestamp.encode(), request.body])
    expected = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


async def test_slack_gets_blocks_and_a_text(hook: receiver.Receiver, client: http.Client) -> None:
    assert (await post(client, hook.url, "slack")).delivered
    message = json.loads(hook.requests[0].body)
    assert message["text"].startswith("🟠 WARNING: shop/backup is failing: 1 run failed: ü &lt;!")
    assert {"blocks", "attachments", "text"} == message.keys()


@pytest.mark.parametrize(
    ("status", "word"),
    [
        pytest.param(400, "invalid_payload", id="invalid_payload"),
        pytest.param(403, "action_prohibited", id="action_prohibited"),
        pytest.param(404, "no_service", id="no_service"),
        pytest.param(410, "channel_is_archived", id="channel_is_archived"),
    ],
)
async def test_a_refusal_of_slack_is_permanent_and_repeats_its_word(
    hook: receiver.Receiver, client: http.Client, status: int, word: str
) -> None:
    hook.answers(Answer(status=status, body=word.encode()))
    answer = await post(client, hook.url, "slack")
    assert answer.permanent
    assert answer.error is not None
    assert answer.error.endswith(f": {word}")


async def test_a_limit_of_slack_is_a_pause(hook: receiver.Receiver, client: http.Client) -> None:
    hook.answers(Answer(status=429, headers={"Retry-After": "30"}, body=b"rate_limited"))
    answer = await post(client, hook.url, "slack")
    assert (answer.permanent, answer.retry_after) == (False, timedelta(seconds=30))


async def test_a_redirect_is_not_followed(hook: receiver.Receiver, client: http.Client) -> None:
    with receiver.running() as other:
        hook.answers(Answer(status=307, headers={"Location": other.url}))
        answer = await post(client, hook.url)
        assert other.requests == []
    assert answer.permanent
    assert answer.error == (
        "127.0.0.1 answered 307 Temporary Redirect: redirects are not followed, "
        "write the final address"
    )


async def test_a_server_that_never_answers_costs_the_time_limit(
    hook: receiver.Receiver, client: http.Client
) -> None:
    hook.answers(Answer(hang=True))
    began = time.monotonic()
    answer = await post(client, hook.url)
    assert 0.9 < time.monotonic() - began < 5
    assert (answer.permanent, answer.error) == (False, "127.0.0.1: no answer within 1s")


@pytest.mark.slow  # waits for a time limit
async def test_a_status_counts_even_if_its_body_never_comes(hook: receiver.Receiver) -> None:
    hook.answers(Answer(status=200, trickle=True), Answer(status=404, trickle=True, body=b"no"))
    async with http.Client(
        now=now, allowed=receiver.LOOPBACK, timeout=timedelta(seconds=8)
    ) as client:
        assert (await post(client, hook.url)).delivered
        answer = await post(client, hook.url)
    assert answer.permanent
    assert answer.error == "127.0.0.1 answered 404 Not Found: no"


async def test_an_endless_reply_is_cut_off(hook: receiver.Receiver, client: http.Client) -> None:
    hook.answers(Answer(status=500, endless=True, body=b"y" * 100))
    began = time.monotonic()
    answer = await post(client, hook.url)
    assert time.monotonic() - began < 1
    assert answer.error is not None
    assert len(answer.error) < 300
    hook.stopping.wait(0.3)
    stopped_at = hook.sent
    hook.stopping.wait(0.3)
    assert hook.sent == stopped_at < 32 * 1024 * 1024


async def test_a_compressed_reply_is_not_unpacked(
    hook: receiver.Receiver, client: http.Client
) -> None:
    hook.answers(Answer(status=500, headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b garbage"))
    assert (await post(client, hook.url)).error == (
        "127.0.0.1 answered 500 Internal Server Error: � garbage"
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="not-http"),
        pytest.param(b"HTTP/1.1 200\xff\xfe OK\r\n\r\n", id="broken-status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", id="broken-header"),
        pytest.param(b"HTTP/1.1 200 OK\r\na: " + b"x" * 200_000, id="huge-header"),
    ],
)
async def test_garbage_is_tried_again(
    hook: receiver.Receiver, client: http.Client, raw: bytes
) -> None:
    hook.answers(Answer(raw=raw))
    answer = await post(client, hook.url)
    assert (answer.delivered, answer.permanent, answer.retry_after) == (False, False, None)
    assert answer.error is not None
    assert answer.error.startswith("127.0.0.1: ")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"http://127.0.0.1:{loopback.free_port()}/", id="nobody-listens"),
        pytest.param("http://does-not-exist.invalid/", id="no-such-host"),
        pytest.param(f"http://{'a' * 64}.test/", id="a-name-that-dns-cannot-have"),
    ],
)
async def test_a_receiver_that_cannot_be_reached_is_tried_again(url: str) -> None:
    async with http.Client(now=now, allowed=receiver.LOOPBACK) as client:
        answer = await post(client, url)
    assert (answer.delivered, answer.permanent) == (False, False)
    assert answer.error is not None


async def test_a_plain_receiver_behind_https_is_tried_again(
    hook: receiver.Receiver, client: http.Client
) -> None:
    answer = await post(client, hook.url.replace("http:", "https:"))
    assert (answer.delivered, answer.permanent) == (False, False)


async def test_no_part_of_a_secret_address_is_repeated(
    hook: receiver.Receiver, client: http.Client
) -> None:
    secret = "/services/T00000000/B00000000/q7Rk2mZpsecret?token=hunter2hunter2"
    url = hook.url.replace("/hook", secret).replace("//", "//someone:password1@")
    login = base64.b64encode(b"someone:password1").decode()  # of the header Authorization
    echo = f"no {secret} at {url}, nor q7Rk2mZpsecret, hunter2hunter2 or password1, {login}"
    hook.answers(Answer(status=404, body=echo.encode()))
    error = (await post(client, url, "slack")).error
    assert error is not None
    assert error.startswith("127.0.0.1 answered 404 Not Found: no *** at ***")
    for word in ("q7Rk2mZp", "hunter2", "T00000000", "password1", "someone", login):
        assert word not in error


async def test_a_reply_cannot_forge_a_log_line(
    hook: receiver.Receiver, client: http.Client
) -> None:
    hook.answers(Answer(status=500, body=b"a\r\n\x1b[31mERROR\0 all is lost"))
    assert (await post(client, hook.url)).error == (
        "127.0.0.1 answered 500 Internal Server Error: a [31mERROR all is lost"
    )


async def test_cookies_are_not_kept(hook: receiver.Receiver, client: http.Client) -> None:
    hook.answers(Answer(headers={"Set-Cookie": "a=b"}))
    await post(client, hook.url)
    await post(client, hook.url)
    assert "cookie" not in hook.requests[1].headers


@pytest.mark.slow  # waits for a time limit
async def test_many_hanging_servers_do_not_keep_another_waiting(hook: receiver.Receiver) -> None:
    hook.answers(*[Answer(hang=True)] * 110)  # more than a pool of connections usually has
    async with http.Client(
        now=now, allowed=receiver.LOOPBACK, timeout=timedelta(seconds=4)
    ) as client:
        stuck = [asyncio.create_task(post(client, hook.url)) for _ in range(110)]
        await asyncio.to_thread(hook.wait_for, 110)
        with receiver.running() as other:
            assert (await post(client, other.url)).delivered
        assert not any(task.done() for task in stuck)
        assert not any(answer.delivered for answer in await asyncio.gather(*stuck))

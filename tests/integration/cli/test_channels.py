"""`rollcall channel test` against receivers on loopback, and an API server in memory."""

import base64
import json
from collections.abc import Iterator

import pytest

from rollcall.cluster import client, paths
from support import commands, fakekube, pagerduty, receiver
from support.receiver import Answer

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> fakekube.FakeKube:
    monkeypatch.setenv("ROLLCALL_ALLOWED_TARGETS", "127.0.0.0/8")
    fake = fakekube.FakeKube()

    async def connect(**_: object) -> client.KubeClient:
        return fake

    monkeypatch.setattr(client.KubeClient, "connect", connect)
    return fake


@pytest.fixture
def hook() -> Iterator[receiver.Receiver]:
    with receiver.running() as running:
        yield running


def put(kube: fakekube.FakeKube, **spec: object) -> None:
    body = {"metadata": {"name": "team", "uid": "u", "generation": 1}, "spec": spec}
    kube.put(f"{paths.CHANNELS}/team", body)


def secret(kube: fakekube.FakeKube, **values: str) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    kube.put("/api/v1/namespaces/rollcall-system/secrets/team", {"metadata": {}, "data": data})


def test_a_message_that_was_taken_is_said_and_says_what_it_is(
    command: commands.Command, kube: fakekube.FakeKube, hook: receiver.Receiver
) -> None:
    put(kube, webhook={"url": hook.url})
    hook.answers(Answer(status=204))
    said = command("channel", "test", "team")
    assert said == "AlertChannel team works: the message was taken, it answered 204\n"
    (request,) = hook.requests
    body = json.loads(request.body)
    assert body["type"] == "test"
    assert body["incident"]["message"] == "somebody tries AlertChannel team; nothing is wrong"


def test_a_chat_is_told_in_words_that_worry_nobody(
    command: commands.Command, kube: fakekube.FakeKube, hook: receiver.Receiver
) -> None:
    put(kube, slack={"webhookURLSecretRef": {"name": "team", "key": "url"}})
    secret(kube, url=hook.url)
    command("channel", "test", "team")
    text = json.loads(hook.requests[0].body)["text"]
    assert "TEST: somebody tries AlertChannel team; nothing is wrong" in text


def test_a_channel_with_templates_is_told_in_its_own_words(
    command: commands.Command, kube: fakekube.FakeKube, hook: receiver.Receiver
) -> None:
    put(
        kube,
        webhook={"url": hook.url, "format": "slack"},
        templates={"title": "[{{ cluster }}] {{ headline }}", "body": "It is a {{ type }}."},
    )
    command("channel", "test", "team")
    text = json.loads(hook.requests[0].body)["text"]
    assert text.endswith(
        "[test] TEST: somebody tries AlertChannel team; nothing is wrong: It is a test."
    )


def test_broken_templates_are_said_and_the_message_sent_without_them(
    command: commands.Command, kube: fakekube.FakeKube, hook: receiver.Receiver
) -> None:
    put(
        kube,
        webhook={"url": hook.url, "format": "slack"},
        templates={"title": "a\n{{ headlin }}"},
    )
    said = command("channel", "test", "team", code=2)
    assert said == (
        "rollcall: the message was taken, but templates.title, line 2: 'headlin' is undefined"
        " (incident.opened); the built-in text is sent instead\n"
    )
    (request,) = hook.requests
    assert "TEST: somebody tries AlertChannel team" in json.loads(request.body)["text"]


def test_whoever_keeps_what_it_is_told_hears_at_once_that_it_is_over(
    command: commands.Command, kube: fakekube.FakeKube, hook: receiver.Receiver
) -> None:
    service = pagerduty.PagerDuty(routing_key=KEY)
    hook.otherwise = service.answer
    put(kube, pagerDuty={"url": hook.url, "routingKeySecretRef": {"name": "team", "key": "key"}})
    secret(kube, key=KEY)
    command("channel", "test", "team")
    (alert,) = service.alerts
    assert (alert.status, alert.payload["severity"]) == ("resolved", "info")


def test_a_refusal_is_said_with_the_receivers_words_and_without_the_address(
    command: commands.Command, kube: fakekube.FakeKube, hook: receiver.Receiver
) -> None:
    put(kube, webhook={"url": f"{hook.url}/secret-part"})
    hook.answers(Answer(status=404, body=b"no_service"))
    said = command("channel", "test", "team", code=1)
    assert said == "rollcall: 127.0.0.1 answered 404 Not Found: no_service\n"


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        pytest.param(None, 1, "AlertChannel team does not exist", id="absent"),
        pytest.param({}, 2, "spec: write exactly one of", id="invalid"),
        pytest.param(
            {"slack": {"webhookURLSecretRef": {"name": "team", "key": "url"}}},
            2,
            "Secret team in namespace rollcall-system does not exist",
            id="no-secret",
        ),
        pytest.param(
            {"webhook": {"url": "https://a.test"}, "suspend": True},
            2,
            "AlertChannel team is suspended",
            id="suspended",
        ),
    ],
)
def test_what_keeps_it_from_sending_is_said(
    command: commands.Command,
    kube: fakekube.FakeKube,
    spec: dict[str, object] | None,
    code: int,
    words: str,
) -> None:
    if spec is not None:
        put(kube, **spec)
    assert words in command("channel", "test", "team", code=code)

"""Channels that cannot send say why, and keep nobody else from being told."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from rollcall.cluster import client
from rollcall.core import errors
from support import kube as kubes

CHANNELS = "/apis/rollcall.dev/v1alpha1/alertchannels"
Create = Callable[[kubes.Object], Awaitable[str]]


@pytest.fixture
async def create(kube: client.KubeClient, namespace: kubes.Place) -> AsyncIterator[Create]:
    """Create channels for the test's namespace only; they go when the test ends."""
    created: list[str] = []

    async def make(spec: kubes.Object) -> str:
        name = f"e2e-{uuid.uuid4().hex[:10]}"
        only = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
        body = {
            "apiVersion": "rollcall.dev/v1alpha1",
            "kind": "AlertChannel",
            "metadata": {"name": name},
            "spec": {"namespaceSelector": only, **spec},
        }
        await kube.create(CHANNELS, body)
        created.append(name)
        return name

    yield make
    for name in created:
        with suppress(errors.NotFound):
            await kube.request("DELETE", f"{CHANNELS}/{name}")


async def _wait(
    kube: client.KubeClient, name: str, what: str, good: Callable[[kubes.Object], object], s: float
) -> kubes.Object:
    async def look() -> kubes.Object:
        return await kube.get(f"{CHANNELS}/{name}")

    return await kubes.eventually(look, s, what=what, good=good)


async def test_a_channel_without_its_secret_says_so_until_the_secret_is_there(
    kube: client.KubeClient, create: Create
) -> None:
    secret = f"e2e-{uuid.uuid4().hex[:10]}"
    name = await create(
        {
            "webhook": {
                "url": "http://receiver.rollcall-e2e.svc:8080/",
                "signingSecretRef": {"name": secret, "key": "signing"},
            }
        }
    )
    found = await _wait(
        kube,
        name,
        "Ready=False for want of the Secret",
        lambda channel: kubes.condition(channel, "Ready").get("reason") == "SecretNotFound",
        60,
    )
    ready = kubes.condition(found, "Ready")
    assert ready["status"] == "False"
    assert secret in ready["message"]

    secrets = f"/api/v1/namespaces/{kubes.SYSTEM}/secrets"
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret},
        "stringData": {"signing": "whsec_YSBzZWNyZXQgb2YgdGVzdHMgb25seSE="},
    }
    await kube.create(secrets, body)
    try:
        await _wait(
            kube,
            name,
            "Ready=True with the Secret",
            lambda channel: kubes.condition(channel, "Ready").get("status") == "True",
            120,
        )
    finally:
        await kube.request("DELETE", f"{secrets}/{secret}")


async def test_a_host_that_does_not_resolve_is_told_and_harms_no_other_channel(
    kube: client.KubeClient,
    create: Create,
    namespace: kubes.Place,
    receiver: kubes.Receiver,
) -> None:
    name = await create({"webhook": {"url": "http://nobody.rollcall-e2e.invalid/"}})
    await namespace.apply_job("broken", "exit 1")
    await receiver.first(namespace, "broken", "failing", "opened", 180)
    found = await _wait(
        kube,
        name,
        "the failure in the status",
        lambda channel: (channel.get("status") or {}).get("failed", 0) >= 1,
        60,
    )
    assert found["status"]["lastError"]["message"]
    assert not found["status"].get("delivered")
    assert kubes.opened(await receiver.of(namespace)) == [("broken", "failing")]


async def test_slack_gets_the_same_alert_as_a_sentence(
    kube: client.KubeClient,
    create: Create,
    namespace: kubes.Place,
    receiver: kubes.Receiver,
) -> None:
    secrets = f"/api/v1/namespaces/{kubes.SYSTEM}/secrets"
    secret = f"e2e-{uuid.uuid4().hex[:10]}"
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret},
        "stringData": {"url": "http://receiver.rollcall-e2e.svc:8080/slack"},
    }
    await kube.create(secrets, body)
    try:
        await create({"slack": {"webhookURLSecretRef": {"name": secret, "key": "url"}}})
        await namespace.apply_job("broken", "exit 4")
        await receiver.first(namespace, "broken", "failing", "opened", 180)

        async def texts() -> list[str]:
            told = [one["payload"] for one in await receiver.all() if one["path"] == "/slack"]
            return [one["text"] for one in told if namespace.name in one["text"]]

        found = await kubes.eventually(texts, 30, what="the message for Slack")
        assert len(found) == 1
        assert "broken" in found[0]
    finally:
        await kube.request("DELETE", f"{secrets}/{secret}")

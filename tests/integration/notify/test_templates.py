"""AlertChannels with templates, from the API server in memory to what a receiver gets."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from rollcall.cluster import channels, paths
from rollcall.core import incidents, messages, policies
from rollcall.notify import http, registry
from rollcall.services import ports
from support import builders, clocks, fakekube, payloads, receiver, slack
from support.delivering import now

TOKEN = "xoxb-0123456789-abcdef"
KEY = "0123456789abcdef0123456789abcdef"
SECRET = {"name": "team", "key": "key"}
TEMPLATES = {
    "title": "[{{ cluster }}] {{ headline }}",
    "body": "{{ incident.kind }} of {{ cronjob.name }}: {{ output | default('no words') }}",
}
BROKEN = {"title": "fine", "body": "{{ story }}\n{{ incident.sevrity }}"}
HOSTILE = "<!channel> *bold* {{ 7 * 7 }} [a](https://evil.test)"
TITLE = "[prod] WARNING: shop/backup is failing"
BUILT_IN = "WARNING: shop/backup is failing"


def kinds(url: str) -> dict[str, dict[str, Any]]:
    mail = {"from": "rollcall@example.com", "to": ["team@example.com"]}
    return {
        "slack": {"slack": {"webhookURLSecretRef": {"name": "team", "key": "url"}}},
        "slack-bot": {"slack": {"botTokenSecretRef": SECRET, "channel": "#alerts", "url": url}},
        "pagerduty": {"pagerDuty": {"routingKeySecretRef": SECRET, "url": url}},
        "email": {"email": mail | {"resendKeySecretRef": SECRET, "resendURL": url}},
        "discord": {"webhook": {"url": url, "format": "discord"}},
        "teams": {"webhook": {"url": url, "format": "teams"}},
        "slacks-format": {"webhook": {"url": url, "format": "slack"}},
    }


KINDS = tuple(kinds(""))


@dataclass
class World:
    kube: fakekube.FakeKube
    hook: receiver.Receiver
    clock: clocks.Clock
    channels: channels.Channels

    async def apply(
        self, spec: dict[str, Any], templates: dict[str, str], generation: int = 1
    ) -> None:
        path = f"{paths.CHANNELS}/team"
        body: dict[str, Any] = {"metadata": {"name": "team", "uid": "u", "generation": generation}}
        body["spec"] = spec | {"templates": templates}
        self.channels.put(self.kube.put(path, body))
        self.clock.advance(timedelta(minutes=1))
        await self.channels.tick()

    def ready(self) -> tuple[str, str, str]:
        (condition,) = self.kube.objects[f"{paths.CHANNELS}/team"]["status"]["conditions"]
        return condition["status"], condition["reason"], condition["message"]

    async def send(
        self, body: dict[str, Any], thread: Mapping[str, Any] | None = None
    ) -> ports.Delivery:
        sender = await self.channels.sender("team")
        assert sender is not None
        delivery = await sender.send(payloads.notification(body, thread=thread))
        self.channels.report("team", delivery, self.clock())
        return delivery

    async def told(self, body: dict[str, Any]) -> list[str]:
        """Send a message and return all texts that arrived."""
        await self.send(body)
        return list(_texts(json.loads(self.hook.requests[-1].body)))


@pytest.fixture
def world(hook: receiver.Receiver, client: http.Client) -> World:
    kube, clock = fakekube.FakeKube(), clocks.Clock()
    secret = {"key": KEY, "url": hook.url, "token": TOKEN}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in secret.items()}
    kube.put("/api/v1/namespaces/rollcall-system/secrets/team", {"metadata": {}, "data": data})
    known = channels.Channels(
        api=kube,
        namespace="rollcall-system",
        factories=registry.factories(client, now),
        clock=clock,
        monotonic=lambda: clock().timestamp(),
    )
    return World(kube, hook, clock, known)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_receiver_is_told_in_the_channels_words(world: World, kind: str) -> None:
    await world.apply(kinds(world.hook.url)[kind], templates=TEMPLATES)
    assert world.ready() == ("True", "Configured", "settings and Secrets are readable")
    said = await world.told(payloads.payload(execution=payloads.failed("disk full")))
    plain = [text.replace("\\", "") for text in said]
    assert any(text.endswith(TITLE) for text in plain), said
    assert any("failing of backup: disk full" in text for text in plain), said
    assert not any("1 run failed" in text for text in plain)


@pytest.mark.parametrize("kind", KINDS)
async def test_with_a_broken_template_it_is_told_in_the_built_in_words_and_not_ready(
    world: World, kind: str
) -> None:
    await world.apply(kinds(world.hook.url)[kind], templates=BROKEN)
    status, reason, message = world.ready()
    assert (status, reason) == ("False", "InvalidTemplates")
    assert message.startswith("templates.body, line 2: there is no 'sevrity', but id, kind, sev")
    assert message.endswith("; the built-in text is sent instead")
    said = await world.told(payloads.payload())
    assert any("shop/backup is failing" in text for text in said)
    assert any("1 run failed" in text for text in said)
    assert "fine" not in said


async def test_once_they_are_mended_they_are_used(world: World) -> None:
    spec = kinds(world.hook.url)["discord"]
    await world.apply(spec, templates=BROKEN)
    await world.apply(spec, templates=TEMPLATES, generation=2)
    assert world.ready()[:2] == ("True", "Configured")
    assert TITLE.replace("[", r"\[").replace("]", r"\]") in await world.told(payloads.payload())


@pytest.mark.parametrize(
    "spec",
    [{"webhook": {"url": ""}}, {"alertmanager": {"url": ""}}],
    ids=["webhook", "alertmanager"],
)
async def test_programs_are_told_as_always(world: World, spec: dict[str, Any]) -> None:
    (kind,) = spec
    await world.apply({kind: {"url": world.hook.url}}, templates=TEMPLATES)
    assert world.ready()[:2] == ("False", "InvalidTemplates")
    said = await world.told(payloads.payload())
    assert "1 run failed" in said
    assert not [text for text in said if text.startswith("[prod]")]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_program_says_is_text_in_a_template_too(world: World, kind: str) -> None:
    await world.apply(kinds(world.hook.url)[kind], templates=TEMPLATES | {"title": "{{ output }}"})
    said = await world.told(payloads.payload(execution=payloads.failed(HOSTILE)))
    assert any("{{ 7 * 7 }}" in text.replace("\\", "") for text in said)
    if kind not in {"email", "pagerduty"}:  # they have no markup, but for the HTML of a mail
        assert not any("<!channel>" in text and "\\" not in text for text in _marked(said))
    if kind == "email":
        assert "&lt;!channel&gt; *bold*" in "".join(said)


def _marked(said: list[str]) -> list[str]:
    """Return the texts in which markup would apply: a header of Slack has none."""
    return [text for text in said if not text.startswith("🟠 ")]


async def test_messages_of_the_cluster_and_of_several_alerts_are_told_by_them_too(
    world: World,
) -> None:
    await world.apply(
        kinds(world.hook.url)["slack"],
        templates=TEMPLATES | {"body": "{{ incidents | length }} {{ story }}"},
    )
    step = builders.step(kind=policies.Kind.MISSED_WIDELY, message="30 of 40 did not start")
    wide = messages.of_cluster(
        step.incident, incidents.Transition.OPENED, at=builders.SLOT_AT, cluster="prod"
    )
    said = await world.told(wide)
    assert "🟠 [prod] WARNING: cluster prod has many jobs that do not start" in said
    assert "0 30 of 40 did not start" in said
    said = await world.told(messages.together([payloads.payload(), wide]))
    assert "🟠 [prod] 2 alerts: 2 warning" in said
    assert any(text.startswith("2 WARNING: shop/backup is failing: 1 run") for text in said)


async def test_a_digest_is_listed_as_always_by_templates_of_single_alerts(world: World) -> None:
    await world.apply(kinds(world.hook.url)["slack"], templates=TEMPLATES)
    late = payloads.payload(found=builders.finding(policies.Kind.LATE))
    said = await world.told(messages.together([payloads.payload(), late]))
    assert "🟠 [prod] 2 alerts: 2 warning" in said
    assert any(text.startswith("• WARNING: shop/backup is failing: 1 run") for text in said)


async def test_a_bots_first_message_is_edited_in_the_channels_words(world: World) -> None:
    workspace = slack.Slack(token=KEY)
    world.hook.otherwise = workspace.answer
    await world.apply(kinds(world.hook.url)["slack-bot"], templates=TEMPLATES)
    story = payloads.Timeline()
    begun = await world.send(story.problem())
    await world.send(story.problem(timedelta(hours=7)), thread=begun.thread)
    (first,) = [one for one in workspace.messages if one.thread_ts is None]
    assert first.header == f"🟠 {TITLE}"
    assert workspace.said(first.ts) == ["🟠 [prod] STILL WARNING: shop/backup is failing"]
    await world.send(story.solved(timedelta(hours=1)), thread=begun.thread)
    assert first.header == "✅ [prod] RESOLVED: shop/backup (was failing)"


async def test_a_template_that_fails_with_a_message_shows_as_the_last_error(world: World) -> None:
    fragile = "{% if incident.reason == 'Odd' %}{{ odd }}{% endif %}mine"
    await world.apply(kinds(world.hook.url)["teams"], templates={"body": fragile})
    assert world.ready()[0] == "True"
    said = await world.told(payloads.payload(found=builders.finding(reason="Odd")))
    assert "1 run failed" in said
    world.clock.advance(timedelta(minutes=1))
    await world.channels.tick()
    status = world.kube.objects[f"{paths.CHANNELS}/team"]["status"]
    assert (status["delivered"], status["failed"]) == (1, 0)
    assert status["lastError"]["message"].startswith("templates.body, line 1: 'odd' is undefined")


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]

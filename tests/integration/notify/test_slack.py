"""An incident, told by a bot to a receiver that behaves as Slack's documentation says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from rollcall.core import errors, messages, policies
from rollcall.notify import http, registry
from rollcall.services import ports, trial
from support import builders, payloads, receiver, slack
from support.delivering import now
from support.receiver import Answer

TOKEN = "xoxb-0123456789-abcdef"
HOUR = timedelta(hours=1)
OPENED = "🟠 WARNING: shop/backup is failing"
REMINDED = "🟠 STILL WARNING: shop/backup is failing"


@pytest.fixture
def workspace(hook: receiver.Receiver) -> slack.Slack:
    workspace = slack.Slack(token=TOKEN)
    hook.otherwise = workspace.answer
    return workspace


@pytest.fixture
def channel(hook: receiver.Receiver, client: http.Client) -> "Channel":
    return Channel(make(hook, client))


def make(
    hook: receiver.Receiver, client: http.Client, token: str = TOKEN, channel: str = "#alerts"
) -> ports.Sender:
    config = {"botToken": token, "channel": channel, "url": f"{hook.url}/api"}
    return registry.factories(client, now)["slack"](config)


@dataclass
class Channel:
    """A sender and what is recorded of its deliveries, as the outbox does."""

    sender: ports.Sender
    thread: Mapping[str, Any] | None = None

    async def send(self, body: dict[str, Any], attempts: int = 0) -> ports.Delivery:
        row = payloads.notification(body, thread=self.thread, attempts=attempts)
        delivery = await self.sender.send(row)
        if delivery.delivered and delivery.thread:
            self.thread = delivery.thread
        return delivery


async def test_an_incident_is_one_thread_below_a_message_that_shows_how_it_stands(
    workspace: slack.Slack, channel: Channel
) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem(execution=payloads.failed("disk full")))
    (first,) = workspace.messages
    assert first.header == OPENED
    await channel.send(story.problem(HOUR, severity=policies.Severity.CRITICAL))
    assert first.header == "🔴 CRITICAL: shop/backup is failing"
    reminder = story.problem(6 * HOUR, severity=policies.Severity.CRITICAL)
    await channel.send(reminder)
    acknowledged = reminder | {"type": "incident.acknowledged"}
    acknowledged["incident"] |= {"acknowledged": {"by": "ada", "at": "", "reason": None}}
    await channel.send(acknowledged)
    assert first.header == "🔴 ACKNOWLEDGED CRITICAL: shop/backup is failing"
    await channel.send(story.solved(HOUR))
    assert workspace.said() == ["✅ RESOLVED: shop/backup (was failing)"]
    assert workspace.said(first.ts) == [
        "🔴 NOW CRITICAL: shop/backup is failing",
        "🔴 STILL CRITICAL: shop/backup is failing",
        "🔴 ACKNOWLEDGED CRITICAL: shop/backup is failing",
        "✅ RESOLVED: shop/backup (was failing)",
    ]
    shown = [one.body.get("reply_broadcast", False) for one in workspace.messages]
    assert shown == [False, True, True, False, False]


async def test_a_digest_stands_by_itself_and_leaves_first_messages_as_they_are(
    workspace: slack.Slack, channel: Channel
) -> None:
    story = payloads.Timeline()
    opened = story.problem()
    await channel.send(opened)
    late = payloads.payload(found=builders.finding(policies.Kind.LATE))
    told = await channel.send(messages.together([story.solved(HOUR), late]))
    assert told.thread is None
    first, digest = workspace.messages
    assert first.header == OPENED
    assert digest.header == "🟠 2 alerts: 1 warning, 1 solved"
    assert workspace.said(first.ts) == []


async def test_a_name_and_an_id_are_both_a_channel(
    workspace: slack.Slack, hook: receiver.Receiver, client: http.Client
) -> None:
    for named in ("alerts", "C0ALERTS"):
        channel, story = Channel(make(hook, client, channel=named)), payloads.Timeline()
        assert (await channel.send(story.problem())).delivered
        assert (await channel.send(story.solved(HOUR))).delivered
    assert len(workspace.said()) == 2


async def test_a_message_that_was_sent_and_not_recorded_is_doubled_and_its_thread_goes_on(
    workspace: slack.Slack, channel: Channel
) -> None:
    story = payloads.Timeline()
    opened = story.problem()
    await channel.sender.send(payloads.notification(opened))  # the process died here
    await channel.send(opened)
    await channel.send(story.solved(HOUR))
    assert workspace.said() == [OPENED, "✅ RESOLVED: shop/backup (was failing)"]
    assert workspace.said(workspace.messages[1].ts) == ["✅ RESOLVED: shop/backup (was failing)"]


async def test_an_edit_is_repeated_without_harm_when_its_message_is_tried_again(
    workspace: slack.Slack, channel: Channel
) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem())
    workspace.refuse["chat.postMessage"] = ["internal_error"]
    reminder = story.problem(6 * HOUR)
    assert not (await channel.send(reminder)).delivered
    assert (await channel.send(reminder, attempts=1)).delivered
    first, answer = workspace.messages
    assert (first.edits, answer.header) == (2, REMINDED)


@pytest.mark.parametrize("gone", ["message_not_found", "channel_not_found"])
async def test_a_first_message_that_is_gone_is_followed_by_a_new_one(
    workspace: slack.Slack, channel: Channel, gone: str
) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem())
    workspace.messages.clear()
    workspace.refuse["chat.update"] = [gone]
    await channel.send(story.problem(6 * HOUR))
    await channel.send(story.solved(HOUR))
    (first, answer) = workspace.messages
    assert (first.thread_ts, first.edits, answer.thread_ts) == (None, 1, first.ts)


async def test_where_threads_are_not_allowed_it_is_told_in_the_channel(
    workspace: slack.Slack, channel: Channel
) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem())
    workspace.refuse["chat.postMessage"] = ["restricted_action_non_threadable_channel"]
    assert (await channel.send(story.problem(6 * HOUR))).delivered
    assert workspace.said()[1] == REMINDED


async def test_an_incident_moves_with_its_alert_channel(
    workspace: slack.Slack, hook: receiver.Receiver, client: http.Client, channel: Channel
) -> None:
    workspace.channels["pager"] = "C0PAGER"
    story = payloads.Timeline()
    await channel.send(story.problem())
    channel.sender = make(hook, client, channel="#pager")
    await channel.send(story.problem(6 * HOUR))
    await channel.send(story.solved(HOUR))
    assert [one.channel for one in workspace.messages] == ["C0ALERTS", "C0PAGER", "C0PAGER"]


@pytest.mark.parametrize("word", ["cant_update_message", "edit_window_closed", "is_inactive"])
async def test_a_message_that_may_not_be_edited_is_answered_all_the_same(
    workspace: slack.Slack, channel: Channel, word: str
) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem())
    workspace.refuse["chat.update"] = [word] * 3
    delivery = await channel.send(story.solved(HOUR), attempts=2)
    assert delivery.delivered
    assert delivery.error is not None
    assert delivery.error.startswith(f"the first message was not edited: 127.0.0.1 answered {word}")


async def test_an_edit_that_fails_is_tried_again_twice_and_holds_no_message_back_after_that(
    workspace: slack.Slack, channel: Channel
) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem())
    workspace.refuse["chat.update"] = ["update_failed"] * 3
    body = story.solved(HOUR)
    tries = [await channel.send(body, attempts=attempts) for attempts in range(3)]
    assert [one.delivered for one in tries] == [False, False, True]


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
async def test_a_limit_is_a_pause(workspace: slack.Slack, channel: Channel, method: str) -> None:
    story = payloads.Timeline()
    await channel.send(story.problem())
    workspace.refuse[method] = ["ratelimited"]
    delivery = await channel.send(story.problem(6 * HOUR), attempts=9)
    assert (delivery.delivered, delivery.retry_after) == (False, timedelta(seconds=7))
    assert (
        delivery.error
        == '127.0.0.1 answered 429 Too Many Requests: {"ok":false,"error":"ratelimited"}'
    )


async def test_a_limit_that_is_told_by_a_word_alone_is_a_pause_too(
    workspace: slack.Slack, channel: Channel
) -> None:
    workspace.refuse["chat.postMessage"] = ["rate_limited"]
    delivery = await channel.send(payloads.Timeline().problem())
    assert delivery.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("channel_not_found", "write the channel's ID, and invite the app"),
        ("not_in_channel", "invite the app to the channel"),
        ("is_archived", "write another channel"),
        ("token_revoked", "write a new bot token into the Secret"),
        ("restricted_action", ""),
    ],
)
async def test_what_a_person_must_mend_is_refused_for_good_and_says_how(
    workspace: slack.Slack, channel: Channel, word: str, advice: str
) -> None:
    workspace.refuse["chat.postMessage"] = [word]
    delivery = await channel.send(payloads.Timeline().problem())
    assert (delivery.delivered, delivery.permanent) == (False, True)
    assert delivery.error is not None
    assert delivery.error.startswith(
        f"127.0.0.1 answered {word}" + (f": {advice}" if advice else "")
    )


async def test_a_wrong_token_is_refused_and_shown_nowhere(
    workspace: slack.Slack, hook: receiver.Receiver, client: http.Client
) -> None:
    sender = make(hook, client, token="xoxb-wrong")
    delivery = await sender.send(payloads.notification(payloads.Timeline().problem()))
    assert delivery.permanent
    assert workspace.messages == []
    hook.answers(Answer(status=403, body=b"no xoxb-wrong here"))
    refused = await sender.send(payloads.notification(payloads.Timeline().problem()))
    assert refused.error == "127.0.0.1 answered 403 Forbidden: no *** here"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(body=b'{"ok": false, "error": "fatal_error"}'), id="trouble"),
        pytest.param(Answer(body=b'{"ok": false, "error": "brand_new_word"}'), id="unknown"),
        pytest.param(Answer(body=b'{"ok": false}'), id="no-word"),
        pytest.param(Answer(body=b"<html>a proxy</html>"), id="no-json"),
        pytest.param(Answer(body=b"[" * 60_000), id="nested"),
        pytest.param(Answer(body=b"\xff\x00"), id="bytes"),
        pytest.param(Answer(body=b'"ok"'), id="a-string"),
        pytest.param(Answer(status=503), id="down"),
    ],
)
async def test_what_can_pass_is_tried_again(
    hook: receiver.Receiver, channel: Channel, answer: Answer
) -> None:
    hook.answers(answer)
    delivery = await channel.send(payloads.Timeline().problem())
    assert (delivery.delivered, delivery.permanent, delivery.retry_after) == (False, False, None)
    assert delivery.error


@pytest.mark.parametrize("word", ["msg_too_long", "msg_blocks_too_long", "invalid_blocks"])
async def test_a_message_that_slack_cannot_show_arrives_as_plain_text(
    workspace: slack.Slack, channel: Channel, word: str
) -> None:
    workspace.refuse["chat.postMessage"] = [word]
    assert (await channel.send(payloads.Timeline().problem())).delivered
    (message,) = workspace.messages
    assert message.body["text"] == f"{OPENED}: 1 run failed"
    assert "blocks" not in message.body


async def test_the_longest_messages_are_taken(workspace: slack.Slack, channel: Channel) -> None:
    body = payloads.Timeline().problem(
        execution=payloads.failed("ü\0\ud800" * 50_000), message="🔴" * 50_000
    )
    assert (await channel.send(body)).delivered
    assert len(workspace.messages) == 1


async def test_a_trial_is_one_message_and_begins_no_thread(
    workspace: slack.Slack, channel: Channel
) -> None:
    body = messages.trial(
        channel="team",
        cluster="prod",
        namespace="rollcall",
        identifier=UUID(int=1),
        at=builders.SLOT_AT,
    )
    delivery = await channel.send(body)
    assert (delivery.delivered, delivery.thread) == (True, None)
    assert workspace.said() == ["🔵 TEST: somebody tries AlertChannel team; nothing is wrong"]


async def test_a_trial_that_is_refused_says_what_to_do(
    workspace: slack.Slack, channel: Channel
) -> None:
    workspace.refuse["chat.postMessage"] = ["not_in_channel"]
    with pytest.raises(errors.Undelivered, match="not_in_channel: invite the app"):
        await trial.send(
            channel.sender,
            channel="team",
            cluster="prod",
            namespace="rollcall",
            identifier=UUID(int=1),
            now=now(),
            stays=False,
        )


async def test_links_are_not_unfolded_and_the_body_is_json(
    hook: receiver.Receiver, workspace: slack.Slack, channel: Channel
) -> None:
    await channel.send(payloads.Timeline().problem())
    (request,) = hook.requests
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    sent = json.loads(request.body)
    assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)
    assert workspace.messages[0].channel == "C0ALERTS"

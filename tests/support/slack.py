"""A receiver that behaves as Slack documents the methods of its Web API that we use.

https://docs.slack.dev/reference/methods/chat.postMessage and …/chat.update: a call that is refused
is answered with 200 and `{"ok": false, "error": …}`; a message may be posted to a name or an ID,
and edited by ID and `ts` alone, by the app that posted it. Limits: 429 with Retry-After. A message
has at most 50 blocks; a text beyond 40,000 characters is too long.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from support.receiver import Answer, Request

LONGEST_TEXT = 40_000
MOST_BLOCKS = 50


@dataclass
class Message:
    """One message, as a person sees it in Slack."""

    channel: str
    ts: str
    body: dict[str, Any]
    thread_ts: str | None = None
    edits: int = 0

    @property
    def header(self) -> str:
        """What stands in bold above it, or its text."""
        blocks = self.body.get("blocks") or ()
        return str(blocks[0]["text"]["text"] if blocks else self.body["text"])


@dataclass
class Slack:
    """One workspace, and the one app in it; `refuse` maps a method to what it says next."""

    token: str
    channels: dict[str, str] = field(default_factory=lambda: {"alerts": "C0ALERTS"})
    messages: list[Message] = field(default_factory=list)
    refuse: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        """Carry out a call."""
        method = request.path.rpartition("/")[2]
        if request.headers["authorization"] != f"Bearer {self.token}":
            return _no("invalid_auth")
        planned = self.refuse.get(method)
        if planned:
            return _no(planned.pop(0))
        body = json.loads(request.body)
        known = {**self.channels, **{one: one for one in self.channels.values()}}
        channel = known.get(str(body.get("channel")).removeprefix("#"))
        if len(body.get("text", "")) > LONGEST_TEXT:
            return _no("msg_too_long")
        if len(body.get("blocks") or ()) > MOST_BLOCKS:
            return _no("invalid_blocks")
        if channel is None or (method == "chat.update" and body["channel"] != channel):
            return _no("channel_not_found")
        return {"chat.postMessage": self._post, "chat.update": self._update}[method](channel, body)

    def said(self, thread_ts: str | None = None) -> list[str]:
        """Return what stands in the channel itself, or below one message."""
        return [one.header for one in self.messages if one.thread_ts == thread_ts]

    def _post(self, channel: str, body: dict[str, Any]) -> Answer:
        ts = f"1772454665.{len(self.messages) + 1:06}"
        thread = body.get("thread_ts")
        if thread is not None and not self._found(channel, thread):
            return _no("thread_not_found")
        self.messages.append(Message(channel=channel, ts=ts, body=body, thread_ts=thread))
        return _json({"ok": True, "channel": channel, "ts": ts, "message": {"ts": ts}})

    def _update(self, channel: str, body: dict[str, Any]) -> Answer:
        message = self._found(channel, body["ts"])
        if message is None:
            return _no("message_not_found")
        message.body |= body
        message.edits += 1
        return _json({"ok": True, "channel": channel, "ts": message.ts, "text": body["text"]})

    def _found(self, channel: str, ts: str) -> Message | None:
        return next((one for one in self.messages if (one.channel, one.ts) == (channel, ts)), None)


def _no(word: str) -> Answer:
    if word == "ratelimited":
        limited = {"Retry-After": "7"}
        return Answer(status=429, headers=limited, body=b'{"ok":false,"error":"ratelimited"}')
    return _json({"ok": False, "error": word})


def _json(body: dict[str, Any]) -> Answer:
    return Answer(headers={"Content-Type": "application/json"}, body=json.dumps(body).encode())

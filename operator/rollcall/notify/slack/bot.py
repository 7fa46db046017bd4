"""The Slack channel by a bot: one thread for each incident, and its first message kept up to date.

1. The first message of an incident is posted. Where it is, the *thread*, goes back with the outcome
   and is recorded with it: Slack wants the channel's ID and the message's time from then on.
2. A later message edits the first one, so that it shows how things stand, and is then posted as an
   answer in its thread. Editing comes first because it can be repeated without harm.
3. A digest is a message of its own; what follows of an incident that only it told of begins a
   thread.
4. A thread that is gone, or that a channel of another name has, is begun anew.
Slack knows no idempotency key: a message whose answer got lost appears twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rollcall.core import errors, incidents
from rollcall.notify import digests, http
from rollcall.notify.slack import answers
from rollcall.notify.slack import messages as slack
from rollcall.services import ports

ADDRESS = "https://slack.com/api"
LONGEST_CHANNEL = 81  # a name has at most 80 characters, and may be written with a #
# An edit that fails is tried again with its message, but not at the price of the message.
EDIT_TRIES = 2
# An answer in a thread calls nobody; these are shown in the channel, too.
CALLING = frozenset(
    f"incident.{transition}"
    for transition in (
        incidents.Transition.CHANGED,
        incidents.Transition.REMINDER,
        incidents.Transition.ESCALATED,
        incidents.Transition.UNACKNOWLEDGED,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whom to speak as, where, and below which address the Web API is."""

    token: str = field(repr=False)
    channel: str
    url: str = ADDRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where the first message of an incident is, as Slack calls the place."""

    channel: str
    ts: str


class Bot:
    """Speaks in one channel of Slack."""

    def __init__(self, client: http.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one message: the first of its incident, or one that follows it."""
        payload = notification.payload
        thread = self._thread(notification.thread)
        if thread is None or digests.is_digest(payload):
            return await self._begin(payload)
        edited = await self._edit(thread, payload)
        if answers.word_of(edited) in answers.LOST:
            return await self._begin(payload)
        if _is_worth_another_try(edited, notification.attempts):
            return edited
        return await self._follow(thread, payload, edited)

    async def _begin(self, payload: Mapping[str, Any]) -> ports.Delivery:
        delivery = await self._post(slack.render(payload) | {"channel": self._settings.channel})
        place = {name: delivery.detail.get(name) for name in ("channel", "ts")}
        if not all(place.values()) or not payload["type"].startswith("incident."):
            return delivery
        return replace(delivery, thread=place | {"asked": self._settings.channel})

    async def _edit(self, thread: Thread, payload: Mapping[str, Any]) -> ports.Delivery:
        message = slack.render(slack.standing(payload))
        return await self._call(
            "chat.update", message | {"channel": thread.channel, "ts": thread.ts}
        )

    async def _follow(
        self, thread: Thread, payload: Mapping[str, Any], edited: ports.Delivery
    ) -> ports.Delivery:
        answer = slack.render(payload) | {"channel": thread.channel, "thread_ts": thread.ts}
        if payload["type"] in CALLING:
            answer["reply_broadcast"] = True
        delivery = await self._post(answer)
        if answers.word_of(delivery) in answers.LOST | answers.UNTHREADED:
            return await self._begin(payload)
        if delivery.delivered and not edited.delivered:
            return replace(delivery, error=f"the first message was not edited: {edited.error}")
        return delivery

    async def _post(self, message: Mapping[str, Any]) -> ports.Delivery:
        """Post it; as plain text if Slack does not take it as it is meant to look."""
        quiet = {"unfurl_links": False, "unfurl_media": False}
        delivery = await self._call("chat.postMessage", {**message, **quiet})
        if answers.word_of(delivery) not in answers.TOO_MUCH:
            return delivery
        plain = {name: value for name, value in message.items() if name not in slack.LOOKS}
        return await self._call("chat.postMessage", plain | quiet)

    async def _call(self, method: str, arguments: Mapping[str, Any]) -> ports.Delivery:
        token = self._settings.token
        return await self._client.post(
            http.below(self._settings.url, f"/{method}"),
            body=http.encode(arguments),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json; charset=utf-8",
            },
            secrets=(token,),
            judge=answers.judge,
        )

    def _thread(self, kept: Mapping[str, Any] | None) -> Thread | None:
        """Read what was kept; None as well if it was begun in a channel of another name."""
        if not kept or kept.get("asked") != self._settings.channel:
            return None
        return Thread(channel=str(kept["channel"]), ts=str(kept["ts"]))


def _is_worth_another_try(edited: ports.Delivery, attempts: int) -> bool:
    if edited.delivered or edited.permanent:
        return False
    return edited.retry_after is not None or attempts < EDIT_TRIES


def read(config: Mapping[str, str]) -> Settings:
    """Read `botToken`, `channel` and, if there is one, the address of another Slack.

    Raises errors.InvalidSpec.
    """
    token, channel = config["botToken"], config.get("channel", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise errors.InvalidSpec(
            "InvalidSecret", "slack.botTokenSecretRef: a token is one line of ASCII"
        )
    if not channel or len(channel) > LONGEST_CHANNEL or any(c.isspace() for c in channel):
        raise errors.InvalidSpec(
            "InvalidChannel", "slack.channel: write the channel's ID, or its name such as #alerts"
        )
    url = http.check_address(config.get("url") or ADDRESS, "slack.url")
    return Settings(token=token, channel=channel, url=url)

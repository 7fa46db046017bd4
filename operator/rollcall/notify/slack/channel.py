"""The Slack channel: by a bot, or by an incoming webhook with one message per notification.

A webhook answers 200 for a message that it took and a short word otherwise (`no_service`,
`invalid_payload`, `channel_is_archived`); the word is part of the error. It knows no idempotency
key: a message whose answer got lost appears twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollcall.core import errors
from rollcall.notify import http
from rollcall.notify.slack import bot, messages
from rollcall.services import ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The address of the incoming webhook, a secret as a whole."""

    url: str = field(repr=False)


class Slack:
    """Sends to one incoming webhook."""

    def __init__(self, client: http.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one message."""
        body = http.encode(messages.render(notification.payload))
        return await self._client.post(self._settings.url, body=body, headers={})


def make(client: http.Client, config: Mapping[str, str]) -> ports.Sender:
    """Build the sender: a bot with `botToken`, else the webhook.

    Raises errors.InvalidSpec.
    """
    if bool(config.get("botToken")) == bool(config.get("webhookURL")):
        raise errors.InvalidSpec(
            "InvalidChannel",
            "slack: write exactly one of botTokenSecretRef and webhookURLSecretRef",
        )
    if config.get("botToken"):
        return bot.Bot(client, bot.read(config))
    url = http.check_address(config["webhookURL"], "slack.webhookURLSecretRef")
    return Slack(client, Settings(url=url))

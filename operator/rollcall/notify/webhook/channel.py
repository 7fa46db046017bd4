"""The webhook channel: the payload as JSON, signed as the Standard Webhooks specification says.

`format` says which JSON: our own, or that which the incoming webhooks of a chat take. The bytes
that are signed are the bytes that are sent.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollcall.core import errors
from rollcall.notify import http, wording
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import discord, teams
from rollcall.services import ports

OURS = "rollcall"
FORMATS: Mapping[str, Callable[[wording.Payload], Mapping[str, Any]]] = {
    OURS: lambda payload: payload,
    "slack": slack.render,
    "discord": discord.render,
    "teams": teams.render,
}
PREFIX = "whsec_"  # marks a secret that is written in base64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to send, and the key to sign with; neither is ever shown."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    format: str = OURS


class Webhook:
    """Sends to one receiver."""

    def __init__(
        self, client: http.Client, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._settings = settings
        self._now = now

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one message; the key stays the same for every try of it."""
        body = http.encode(FORMATS[self._settings.format](notification.payload))
        headers = sign(self._settings.key, notification.key, self._now(), body)
        return await self._client.post(self._settings.url, body=body, headers=headers)


def read(config: Mapping[str, str]) -> Settings:
    """Read `url`, the `format`, and, if there is one, the `signing` secret.

    Raises errors.InvalidSpec.
    """
    if not config.get("url"):
        raise errors.InvalidSpec("InvalidChannel", "webhook: write url or urlSecretRef")
    url = http.check_address(config["url"], "webhook.url")
    form = config.get("format", OURS)
    if form not in FORMATS:
        raise errors.InvalidSpec(
            "InvalidChannel", f"webhook.format: write one of {', '.join(FORMATS)}"
        )
    secret = config.get("signing")
    return Settings(url=url, key=_key(secret) if secret else None, format=form)


def sign(key: bytes | None, identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of one try; unsigned without a key."""
    timestamp = str(int(at.timestamp()))
    headers = {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "Idempotency-Key": identifier,
    }
    if key is not None:
        content = f"{identifier}.{timestamp}.".encode() + body
        digest = hmac.new(key, content, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise errors.InvalidSpec(
            "InvalidSecret", f"webhook.signingSecretRef: what follows {PREFIX} is not base64"
        )
    return key

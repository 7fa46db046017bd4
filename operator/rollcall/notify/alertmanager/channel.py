"""The Alertmanager channel: its API v2, which wants to be told again what is still so.

Besides the messages of the outbox, `repeat` posts what is open; `services.repeat` calls it. An
Alertmanager that lost its memory learns it again, and one that hears no more from us forgets it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rollcall.core import errors
from rollcall.notify import http, wording
from rollcall.notify.alertmanager import alerts
from rollcall.services import ports

PATH = "/api/v2/alerts"
BATCH = 200  # alerts of one request: with long texts about a megabyte


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to send; both can be secret."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Alertmanager:
    """Posts to one Alertmanager."""

    def __init__(
        self, client: http.Client, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._settings = settings
        self._now = now

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Post the alert of one message."""
        return await self._post([notification.payload])

    async def repeat(self, payloads: Sequence[wording.Payload]) -> ports.Delivery:
        """Post these alerts; stops at the first request that fails."""
        delivery = ports.Delivery(delivered=True)
        for first in range(0, len(payloads), BATCH):
            delivery = await self._post(payloads[first : first + BATCH])
            if not delivery.delivered:
                break
        return delivery

    async def _post(self, payloads: Sequence[wording.Payload]) -> ports.Delivery:
        now = self._now()
        body = http.encode([alerts.render(payload, now) for payload in payloads])
        token = self._settings.token
        return await self._client.post(
            self._settings.url,
            body=body,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            secrets=(token,) if token else (),
        )


def read(config: Mapping[str, str]) -> Settings:
    """Read `url`, the address of the Alertmanager itself, and `bearerToken`.

    Raises errors.InvalidSpec.
    """
    if not config.get("url"):
        raise errors.InvalidSpec("InvalidChannel", "alertmanager: write url or urlSecretRef")
    url = http.check_address(config["url"], "alertmanager.url")
    token = config.get("bearerToken")
    if token and not (token.isascii() and token.isprintable()):
        raise errors.InvalidSpec(
            "InvalidSecret", "alertmanager.bearerTokenSecretRef: a token is one line of ASCII"
        )
    return Settings(url=http.below(url, PATH), token=token)

"""The PagerDuty channel: each message is one event of the Events API v2.

PagerDuty answers 202 for an event that it took, 400 with a list of errors for one that it cannot
take, 429 to whoever sends too many. It knows the incident again by its key, so a message that is
sent twice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollcall.core import errors
from rollcall.notify import http
from rollcall.notify.pagerduty import events
from rollcall.services import ports

ADDRESS = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to send, and the key of the integration that is told."""

    url: str
    routing_key: str = field(repr=False)


class PagerDuty:
    """Sends to one integration of a PagerDuty service."""

    def __init__(self, client: http.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one event."""
        key = self._settings.routing_key
        body = events.encode(notification.payload, routing_key=key)
        return await self._client.post(self._settings.url, body=body, headers={}, secrets=(key,))


def read(config: Mapping[str, str]) -> Settings:
    """Read `routingKey` and, if there is one, the address of another service region.

    Raises errors.InvalidSpec.
    """
    if not config.get("routingKey"):
        raise errors.InvalidSpec("InvalidChannel", "pagerDuty: write routingKeySecretRef")
    url = http.check_address(config.get("url") or ADDRESS, "pagerDuty.url")
    return Settings(url=url, routing_key=config["routingKey"])

"""E-mails by the HTTP API of Resend.

It knows a message again by its key for 24 hours, which is as long as we try. Two answers of 409 are
told apart: the same key while the first try is still under way, which passes, and the same key for
another text, which does not. https://resend.com/docs/api-reference/errors
"""

from dataclasses import dataclass, field, replace
from email.headerregistry import Address
from http import HTTPStatus

from rollcall.notify import http
from rollcall.notify.email import messages
from rollcall.services import ports

ADDRESS = "https://api.resend.com/emails"
UNDER_WAY = "concurrent_idempotent_requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whose account, and what it sends to whom."""

    api_key: str = field(repr=False)
    url: str
    sender: Address
    recipients: tuple[Address, ...]


class Resend:
    """Sends by one account."""

    def __init__(self, client: http.Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one message to all recipients."""
        settings = self._settings
        message = messages.render(notification, domain=settings.sender.domain)
        delivery = await self._client.post(
            settings.url,
            body=self._encode(message),
            headers={
                "Authorization": f"Bearer {settings.api_key}",
                "Idempotency-Key": message.key,
            },
            secrets=(settings.api_key,),
        )
        is_under_way = delivery.detail.get("status") == HTTPStatus.CONFLICT and (
            UNDER_WAY in (delivery.error or "")
        )
        return replace(delivery, permanent=False) if is_under_way else delivery

    def _encode(self, message: messages.Message) -> bytes:
        # Resend writes a Message-ID of its own.
        headers = {name: text for name, text in message.headers.items() if name != "Message-ID"}
        return http.encode(
            {
                "from": str(self._settings.sender),
                "to": [str(one) for one in self._settings.recipients],
                "subject": message.subject,
                "text": message.text,
                "html": message.html,
                "headers": headers,
            }
        )

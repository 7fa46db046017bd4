"""E-mails by SMTP, encrypted: by STARTTLS before anything is said, or by TLS from the first byte.

A server says by the first digit of its answer whether trying again can help (RFC 5321 §4.2.1):
4 it can, 5 it cannot. A recipient that is refused keeps the others from nothing.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from rollcall.notify import guard, http
from rollcall.notify.email import messages
from rollcall.services import ports

TIMEOUT = 15.0  # seconds, the whole exchange; a try may take 20
STARTTLS, TLS = "STARTTLS", "TLS"
PORTS = {STARTTLS: 587, TLS: 465}
PERMANENT = 500  # answers from here on

# Bytes beyond ASCII are encoded: not every server takes them as they are.
_POLICY = policy.SMTP.clone(cte_type="7bit", max_line_length=78)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server and how to talk to it."""

    host: str
    port: int
    security: str
    sender: Address
    recipients: tuple[Address, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    trust: ssl.SSLContext = field(repr=False)


class Smtp:
    """Sends by one server, each message by a connection of its own."""

    def __init__(
        self, guarded: guard.Guard, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._guard = guarded
        self.settings = settings
        self._now = now

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        """Send one message to all recipients."""
        settings = self.settings
        body = self._encode(messages.render(notification, domain=settings.sender.domain))
        try:
            async with asyncio.timeout(TIMEOUT):
                refused = await self._exchange(body)
        except TimeoutError:
            return self._failed(f"no answer within {TIMEOUT:g}s")
        except aiosmtplib.SMTPRecipientsRefused as error:
            answers = [(one.code, one.message) for one in error.recipients]
            return self._refused(answers)
        except aiosmtplib.SMTPResponseException as error:
            return self._refused([(error.code, error.message)])
        except (aiosmtplib.SMTPException, OSError) as error:
            return self._failed(str(error) or type(error).__name__)
        error_text = "; ".join(f"{to}: {code} {text}" for to, (code, text) in refused.items())
        return ports.Delivery(delivered=True, error=self._shown(error_text) if refused else None)

    async def _exchange(self, body: bytes) -> dict[str, tuple[int, str]]:
        """Return what kept which recipients from being told."""
        settings = self.settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,  # for which the certificate must be
            sock=await self._guard.connect(settings.host, settings.port),
            use_tls=settings.security == TLS,
            start_tls=settings.security == STARTTLS,
            tls_context=settings.trust,
            username=settings.username,
            password=settings.password,
            local_hostname=settings.sender.domain,  # asking DNS for our own name can hang
            timeout=TIMEOUT,
        )
        try:
            await client.connect()
            recipients = [one.addr_spec for one in settings.recipients]
            refused, _ = await client.sendmail(settings.sender.addr_spec, recipients, body)
        finally:
            client.close()
        return {to: (one.code, one.message) for to, one in refused.items()}

    def _encode(self, message: messages.Message) -> bytes:
        mail = EmailMessage(policy=_POLICY)
        mail["From"] = self.settings.sender
        mail["To"] = self.settings.recipients
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._now())
        for name, value in message.headers.items():
            mail[name] = value
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail.as_bytes()

    def _refused(self, answers: Sequence[tuple[int, str]]) -> ports.Delivery:
        code, text = answers[0]
        return ports.Delivery(
            delivered=False,
            permanent=all(code >= PERMANENT for code, _ in answers),
            error=f"{self.settings.host} answered {code}: {self._shown(text)}",
            detail={"status": code},
        )

    def _failed(self, error: str) -> ports.Delivery:
        return ports.Delivery(delivered=False, error=f"{self.settings.host}: {self._shown(error)}")

    def _shown(self, text: str) -> str:
        return http.shown(text, _secrets(self.settings))


def _secrets(settings: Settings) -> list[str]:
    """Return the password as it is, and as a login writes it: a server may repeat what it got."""
    if not settings.password:
        return []
    logins = (f"\0{settings.username}\0{settings.password}", settings.password)
    written = [base64.b64encode(login.encode()).decode() for login in logins]
    return [*written, settings.password]

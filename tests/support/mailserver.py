"""A real SMTP server on loopback, with TLS, that keeps what it takes (aiosmtpd)."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from aiosmtpd import smtp

USERNAME, PASSWORD = "rollcall", "correct horse"


@dataclass
class Mail:
    """One message as it was taken."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    username: str | None


@dataclass
class MailServer:
    """What the server holds, and how it answers: the script is used up, then all is well."""

    port: int = 0
    taken: list[Mail] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # by recipient, the answer
    answers: list[str] = field(default_factory=list)  # to the next messages
    silent: bool = False  # takes the message, and never answers

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd asks for
        self,
        _server: smtp.SMTP,
        _session: smtp.Session,
        envelope: smtp.Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Take a recipient, or not."""
        answer = self.refused.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802
        self, _server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope
    ) -> str:
        """Take a message, or not."""
        answer = self.answers.pop(0) if self.answers else "250 OK: queued"
        if answer.startswith("250"):
            self.taken.append(_mail(session, envelope))
        if self.silent:
            await asyncio.sleep(60)
        return answer

    def authenticate(
        self,
        _server: smtp.SMTP,
        _session: smtp.Session,
        _envelope: smtp.Envelope,
        _mechanism: str,
        data: Any,  # noqa: ANN401 - aiosmtpd says no more of it
    ) -> smtp.AuthResult:
        """Let in who knows the password; repeat to anybody else what was sent."""
        if (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode()):
            return smtp.AuthResult(success=True, auth_data=data.login.decode())
        sent = (data.password, base64.b64encode(data.password), base64.b64encode(_plain(data)))
        said = "535 5.7.8 not known: " + b" ".join(sent).decode()
        return smtp.AuthResult(success=False, handled=False, message=said)


def _plain(data: smtp.LoginPassword) -> bytes:
    return b"\0" + data.login + b"\0" + data.password


def _mail(session: smtp.Session, envelope: smtp.Envelope) -> Mail:
    content = cast("bytes", envelope.content)
    message = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
    return Mail(
        sender=str(envelope.mail_from),
        recipients=list(envelope.rcpt_tos),
        message=message,
        encrypted=session.ssl is not None,
        username=session.auth_data if session.authenticated else None,
    )


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@contextlib.asynccontextmanager
async def running(
    certificate: Path | None, key: Path | None, *, tls: bool, login: bool
) -> AsyncIterator[MailServer]:
    """Run one that speaks TLS from the first byte, or insists on STARTTLS.

    Without a certificate it knows neither.
    """
    context = _context(certificate, key) if certificate else None
    mail = MailServer()

    def protocol() -> smtp.SMTP:
        return smtp.SMTP(
            mail,
            hostname="localhost",
            tls_context=None if tls else context,
            require_starttls=bool(context) and not tls,
            auth_required=login,
            auth_require_tls=bool(context) and not tls,
            authenticator=mail.authenticate,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", ssl=context if tls else None)
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        server.close()

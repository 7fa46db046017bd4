"""The e-mail channel: who sends to whom, and by which of the two ways."""

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from rollcall.core import errors
from rollcall.notify import http
from rollcall.notify.email import addresses, resend, smtp
from rollcall.services import ports


def make(
    client: http.Client, config: Mapping[str, str], now: Callable[[], datetime]
) -> ports.Sender:
    """Build the sender: by Resend with `resendKey`, by SMTP with `host`.

    Raises errors.InvalidSpec.
    """
    if bool(config.get("host")) == bool(config.get("resendKey")):
        raise errors.InvalidSpec(
            "InvalidChannel", "email: write exactly one of host and resendKeySecretRef"
        )
    if config.get("host"):
        return smtp.Smtp(client.guard, _smtp(config), now)
    return resend.Resend(client, _resend(config))


def _smtp(config: Mapping[str, str]) -> smtp.Settings:
    security = config.get("security") or smtp.STARTTLS
    if security not in smtp.PORTS:
        raise errors.InvalidSpec("InvalidChannel", "email.security: write STARTTLS or TLS")
    if bool(config.get("username")) != bool(config.get("password")):
        raise errors.InvalidSpec(
            "InvalidChannel", "email: write username and passwordSecretRef, or neither"
        )
    return smtp.Settings(
        host=config["host"],
        port=int(config.get("port") or smtp.PORTS[security]),
        security=security,
        sender=addresses.read(config.get("from", ""), "from")[0],
        recipients=addresses.read(config.get("to", ""), "to"),
        username=config.get("username") or None,
        password=config.get("password") or None,
        trust=_trust(config.get("ca")),
    )


def _resend(config: Mapping[str, str]) -> resend.Settings:
    key = config["resendKey"]
    if not (key.isascii() and key.isprintable()):
        raise errors.InvalidSpec(
            "InvalidSecret", "email.resendKeySecretRef: a key is one line of ASCII"
        )
    return resend.Settings(
        api_key=key,
        url=http.check_address(config.get("resendURL") or resend.ADDRESS, "email.resendURL"),
        sender=addresses.read(config.get("from", ""), "from")[0],
        recipients=addresses.read(config.get("to", ""), "to"),
    )


def _trust(authorities: str | None) -> ssl.SSLContext:
    """Trust these authorities, or the public ones."""
    if not authorities:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cadata=authorities)
    except ssl.SSLError:
        raise errors.InvalidSpec(
            "InvalidSecret", "email.caSecretRef: not certificates in PEM"
        ) from None

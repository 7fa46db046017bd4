"""Settings from the environment.

A bad value never stops the sidecar: its default is used, and a complaint says so.
"""

from __future__ import annotations

import urllib.parse
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

INGEST_PATH = "/ingest/v1/reports"
TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
TERMINATION_LOG = "/dev/termination-log"  # where the kubelet looks, unless told otherwise
HEARTBEAT_SECONDS = 15
LONGEST_HEARTBEAT_SECONDS = 3600
PORT = 7655
HIGHEST_PORT = 65535
SCHEMES = {"http": 80, "https": 443}
QUOTED = 80  # characters of a bad value that a complaint repeats


class Endpoint(NamedTuple):
    """Where reports go."""

    tls: bool
    host: str
    port: int
    authority: str
    path: str


class Settings(NamedTuple):
    """What the operator wrote into the container; the last three are for display only."""

    ingest: Endpoint | None
    heartbeat: timedelta
    port: int
    token_file: str
    termination_log: str
    namespace: str | None
    pod_name: str | None
    pod_uid: str | None


def read(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Read all settings, with one complaint for each that could not be used."""
    complaints: list[str] = []
    seconds = _number(
        environ,
        complaints,
        "ROLLCALL_HEARTBEAT_SECONDS",
        HEARTBEAT_SECONDS,
        LONGEST_HEARTBEAT_SECONDS,
    )
    values = Settings(
        ingest=_ingest(environ, complaints),
        heartbeat=timedelta(seconds=seconds),
        port=_number(environ, complaints, "ROLLCALL_PORT", PORT, HIGHEST_PORT),
        token_file=environ.get("ROLLCALL_TOKEN_FILE") or TOKEN_FILE,
        termination_log=environ.get("ROLLCALL_TERMINATION_LOG") or TERMINATION_LOG,
        namespace=environ.get("ROLLCALL_NAMESPACE") or None,
        pod_name=environ.get("ROLLCALL_POD_NAME") or None,
        pod_uid=environ.get("ROLLCALL_POD_UID") or None,
    )
    return values, complaints


def endpoint(url: str) -> Endpoint:
    """Read the base URL of the ingest service; raises ValueError with what is wrong."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it must be plain ASCII without spaces")
    try:
        parts = urllib.parse.urlsplit(url)
        port = SCHEMES[parts.scheme] if parts.port is None else parts.port
    except (ValueError, KeyError):  # their messages quote the URL, which may hold a password
        raise ValueError("it must look like http://host:port") from None
    if not parts.hostname or not port:
        raise ValueError("it must look like http://host:port")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("it must have no user, query or fragment")
    return Endpoint(
        tls=parts.scheme == "https",
        host=parts.hostname,
        port=port,
        authority=parts.netloc,
        path=parts.path.rstrip("/") + INGEST_PATH,
    )


def _ingest(environ: Mapping[str, str], complaints: list[str]) -> Endpoint | None:
    url = environ.get("ROLLCALL_INGEST_URL")
    if not url:
        complaints.append("ROLLCALL_INGEST_URL is not set: nothing is reported")
        return None
    try:
        return endpoint(url)
    except ValueError as error:
        complaints.append(f"ROLLCALL_INGEST_URL cannot be used ({error}): nothing is reported")
        return None


def _number(
    environ: Mapping[str, str], complaints: list[str], name: str, default: int, highest: int
) -> int:
    text = environ.get(name)
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(highest)):
        value = int(text)
        if 1 <= value <= highest:
            return value
    complaints.append(
        f"{name}={text[:QUOTED]!r} is not a whole number from 1 to {highest}: using {default}"
    )
    return default

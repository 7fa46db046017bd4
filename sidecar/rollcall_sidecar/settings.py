"""Settings from the environment.

A bad value never stops the sidecar: its default is used, and a complaint says so.
"""

from __future__ import annotations

import re
from datetime import timedelta

from rollcall_sidecar import environment, opening
from rollcall_sidecar.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

INGEST_PATH = "/ingest/v1/reports"
TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
TERMINATION_LOG = "/dev/termination-log"  # where the kubelet looks, unless told otherwise
TERMINATION_BYTES = 4096  # that the kubelet keeps of it, or fewer in pods of many containers
HEARTBEAT_SECONDS = 15
LONGEST_HEARTBEAT_SECONDS = 3600
SCHEMES = {"http": 80, "https": 443}
WANTED = "it must look like http://host:port"
UNWANTED = "it must have no user, query or fragment"
URL = (
    r"(?P<scheme>(?i:https?))://"
    r"(?P<authority>(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/?#@]+))(?::(?P<port>\d{1,5}))?)"
    r"(?P<path>/[^?#]*)?"
)


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
    token_file: str
    termination_log: str
    termination_bytes: int
    namespace: str | None
    pod_name: str | None
    pod_uid: str | None


def read(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Read all settings, with one complaint for each that could not be used."""
    complaints: list[str] = []
    seconds = environment.number(
        environ,
        complaints,
        "ROLLCALL_HEARTBEAT_SECONDS",
        HEARTBEAT_SECONDS,
        LONGEST_HEARTBEAT_SECONDS,
    )
    values = Settings(
        ingest=_ingest(environ, complaints),
        heartbeat=timedelta(seconds=seconds),
        token_file=environ.get("ROLLCALL_TOKEN_FILE") or TOKEN_FILE,
        termination_log=environ.get("ROLLCALL_TERMINATION_LOG") or TERMINATION_LOG,
        termination_bytes=environment.number(
            environ,
            complaints,
            "ROLLCALL_TERMINATION_BYTES",
            TERMINATION_BYTES,
            TERMINATION_BYTES,
        ),
        namespace=environ.get("ROLLCALL_NAMESPACE") or None,
        pod_name=environ.get("ROLLCALL_POD_NAME") or None,
        pod_uid=environ.get("ROLLCALL_POD_UID") or None,
    )
    return values, complaints


def endpoint(url: str) -> Endpoint:
    """Read the base URL of the ingest service; raises ValueError with what is wrong."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it must be plain ASCII without spaces")
    match = re.fullmatch(URL, url)
    if match is None:
        # Words only: the URL may hold a password.
        raise ValueError(UNWANTED if {"@", "?", "#"} & set(url) else WANTED)
    scheme = match["scheme"].lower()
    port = int(match["port"] or SCHEMES[scheme])
    if not 1 <= port <= opening.HIGHEST_PORT:
        raise ValueError(WANTED)
    return Endpoint(
        tls=scheme == "https",
        host=match["ipv6"] or match["host"],
        port=port,
        authority=match["authority"],
        path=(match["path"] or "").rstrip("/") + INGEST_PATH,
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

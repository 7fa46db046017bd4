"""TLS for `https` ingest URLs. Imported only then: it costs 4 MB, and an image may lack `ssl`."""

from __future__ import annotations

import functools
import ssl
import time
from typing import cast

from rollcall_sidecar import sockets


class BoundedTLSSocket(sockets.BoundedSocket, ssl.SSLSocket):
    """A bounded socket that speaks TLS."""


@functools.cache
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = BoundedTLSSocket
    return context


def connect(host: str, port: int, *, seconds: float, size: int) -> BoundedTLSSocket:
    """Connect, shake hands, and check the certificate against the system's authorities."""
    until = time.monotonic() + seconds
    plain = sockets.connect(host, port, seconds=seconds, size=size)
    plain.settimeout(max(until - time.monotonic(), sockets.SHORTEST_TIMEOUT))
    secured = cast("BoundedTLSSocket", _context().wrap_socket(plain, server_hostname=host))
    secured.allow(seconds=until - time.monotonic(), size=size)
    return secured

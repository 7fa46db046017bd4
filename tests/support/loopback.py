"""Ports for servers that tests start."""

import contextlib
import secrets
import socket

# Below those that Linux gives to connections (from 32768 on): who tries one before its server
# listens could be given it, and reach itself.
LOWEST, HIGHEST = 20_000, 32_000


def free_port() -> int:
    """Return a port that nobody listens on; two workers hardly ever draw the same."""
    while True:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port

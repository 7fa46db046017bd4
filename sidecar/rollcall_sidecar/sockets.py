"""Sockets whose reads end: by a deadline for the whole exchange, and by a size.

The timeout of a plain socket starts anew with every byte, so a peer that drips can hold a reader
for ever; and the standard library's HTTP parsers accept megabytes of headers, more than the
container's memory limit forgives.
"""
# mypy: disable-error-code="explicit-override"
# (typing.override is newer than the oldest Python we run on)

from __future__ import annotations

import socket
import time

from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

SHORTEST_TIMEOUT = 0.001  # seconds; zero would mean a socket that never waits


class TooLarge(Exception):
    """The peer sent more than it was allowed."""


class BoundedSocket(socket.socket):
    """A stream socket that must be allowed time and size before it is used."""

    _until = 0.0
    _left = 0

    def allow(self, *, seconds: float, size: int) -> None:
        """Grant the peer so many seconds, from now on, and so many bytes to send."""
        self._until = time.monotonic() + seconds
        self._left = size

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive within the allowance; raises TooLarge and TimeoutError."""
        if self._left <= 0:
            raise TooLarge
        self.settimeout(self._remaining())
        wanted = nbytes or memoryview(buffer).nbytes
        count = super().recv_into(buffer, min(wanted, self._left), flags)
        self._left -= count
        return count

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send everything within the allowed time."""
        self.settimeout(self._remaining())
        super().sendall(data, flags)

    def ended(self) -> bool:
        """Say, without waiting, whether the peer closed its side or broke the connection."""
        self.settimeout(0)
        try:
            return not self.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _remaining(self) -> float:
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining


def connect(host: str, port: int, *, seconds: float, size: int) -> BoundedSocket:
    """Connect to the first address that answers; the time is for all that follows, too.

    Looking up the name knows no timeout: the system's resolver decides.
    """
    # As bytes: given a str, getaddrinfo loads the IDNA tables, another megabyte.
    addresses = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    until = time.monotonic() + seconds
    failure: OSError = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        remaining = until - time.monotonic()
        stream = BoundedSocket(family, kind, protocol)
        try:
            # A share for each address left: a dead first one must not use up everything.
            stream.settimeout(max(remaining, SHORTEST_TIMEOUT) / (len(addresses) - index))
            stream.connect(address)
        except OSError as error:
            stream.close()
            failure = error
            continue
        stream.allow(seconds=until - time.monotonic(), size=size)
        return stream
    raise failure

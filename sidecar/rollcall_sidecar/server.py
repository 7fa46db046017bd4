"""The loopback API's connections: one request each, bounded in size, time and number.

A program that hammers or stalls it hurts only itself. What is asked and answered is the handler's.
"""

from __future__ import annotations

import collections
import contextlib
import http
import socket
import threading
import time

from rollcall_sidecar import answers, handler, journal, sockets
from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import _socket

    from rollcall_sidecar import intake, run

MOST_CONNECTIONS = 16
# How long one more may wait for a place: most requests take a millisecond. When one waited in vain,
# no other does until a place is free again: they would wait one after another.
PATIENCE_SECONDS = 0.05
LINGER_SECONDS = 1.0
LARGEST_LEFTOVER = 16 * 1024 * 1024  # bytes of an unread body that are taken off the line
LEFTOVER_AT_ONCE = 16 * 1024
# Connections that linger until their clients have read why: half a second of forty that try again.
MOST_TURNED_AWAY = 128


def start(listening: _socket.socket, known: run.Run, taken: intake.Intake) -> None:
    """Serve in the background whoever connects, and has connected, to the open port."""
    server = Loopback(socket.socket(fileno=listening.detach()), known, taken)
    threading.Thread(target=server.forever, name="loopback", daemon=True).start()


class Loopback:
    """A thread per connection, and never more than `MOST_CONNECTIONS` of them."""

    def __init__(self, listening: socket.socket, known: run.Run, taken: intake.Intake) -> None:
        self._listening = listening
        self._known = known
        self._taken = taken
        self._free = threading.Semaphore(MOST_CONNECTIONS)
        self._patience = PATIENCE_SECONDS
        self._turned_away: collections.deque[socket.socket] = collections.deque()

    def forever(self) -> None:
        """Serve until the process ends."""
        while True:
            try:
                self.accept()
            except ConnectionError:
                continue  # it left before it was accepted
            except Exception as error:
                journal.mishap("accepting connections", error)
                time.sleep(1)

    def accept(self) -> None:
        """Take one connection; start a thread for it if one is free, or say that none is."""
        accepted, _ = self._listening.accept()
        stream = sockets.BoundedSocket(fileno=accepted.detach())
        is_free = self._free.acquire(timeout=self._patience)
        self._patience = PATIENCE_SECONDS if is_free else 0.0
        if not is_free:
            self.turn_away(stream)
            return
        try:
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()
        except BaseException:
            self._free.release()
            stream.close()
            raise

    def turn_away(self, stream: socket.socket) -> None:
        """Say that there is no place, without waiting for anything: this is the accepting thread.

        Closing at once would be a reset if the client is still sending, and the answer lost.
        """
        refuse(stream)
        self._turned_away.append(stream)
        if len(self._turned_away) > MOST_TURNED_AWAY:
            self._turned_away.popleft().close()

    def serve(self, stream: sockets.BoundedSocket) -> None:
        """Answer the one request, and free the thread's place; clients that left are no news."""
        try:
            with contextlib.suppress(OSError, sockets.TooLarge):
                handler.Handler(stream, self._known, self._taken).handle()
        except Exception as error:
            journal.mishap("answering on the loopback", error)
        finally:
            part(stream)
            self._free.release()


def part(stream: sockets.BoundedSocket) -> None:
    """Close only after reading what was sent: else the kernel may drop our answer."""
    with contextlib.suppress(OSError, sockets.TooLarge), stream:
        stream.shutdown(socket.SHUT_WR)
        stream.allow(seconds=LINGER_SECONDS, size=LARGEST_LEFTOVER)
        leftover = bytearray(LEFTOVER_AT_ONCE)
        while stream.recv_into(leftover):
            pass


def refuse(stream: socket.socket) -> None:
    """Answer, without having read it, a request that there is no place for."""
    status = http.HTTPStatus.TOO_MANY_REQUESTS
    detail = f"More than {MOST_CONNECTIONS} requests at a time: close some, or wait less."
    stream.settimeout(0)
    with contextlib.suppress(OSError):
        stream.send(answers.problem(status, detail, {"Retry-After": "1"}).written())
        stream.shutdown(socket.SHUT_WR)

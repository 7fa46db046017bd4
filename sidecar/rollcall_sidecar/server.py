"""The loopback API's connections: one request each, bounded in size, time and number.

A program that hammers or stalls it hurts only itself. What is asked and answered is the handler's.
"""
# mypy: disable-error-code="explicit-override"
# (typing.override is newer than the oldest Python we run on)

from __future__ import annotations

import collections
import contextlib
import http
import json
import socket
import socketserver
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rollcall_sidecar import handler, journal, sockets

if TYPE_CHECKING:
    from rollcall_sidecar import intake, run

    Request = Any  # socketserver promises no more
    Address = Any

MOST_CONNECTIONS = 16
# Connections that wait to be accepted. Beyond it Linux answers with SYN cookies, and then resets
# those whose place is not free in time: clients would read nothing instead of 429.
BACKLOG = 128
# How long one more may wait for a place: most requests take a millisecond.
PATIENCE_SECONDS = 0.05
LINGER_SECONDS = 1.0
LARGEST_LEFTOVER = 16 * 1024 * 1024  # bytes of an unread body that are taken off the line
LEFTOVER_AT_ONCE = 16 * 1024
# Connections that linger until their clients have read why: half a second of forty that try again.
MOST_TURNED_AWAY = 128


def start(port: int, known: run.Run, taken: intake.Intake) -> None:
    """Serve in the background; without the port the sidecar only beats, and says so."""
    try:
        server = Loopback(port, known, taken)
    except OSError as error:
        journal.say(f"no loopback API on 127.0.0.1:{port} ({error.strerror}): only beating")
        return
    threading.Thread(target=server.forever, name="loopback", daemon=True).start()


class Loopback(socketserver.ThreadingTCPServer):
    """A thread per connection, and never more than `MOST_CONNECTIONS` of them."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, port: int, known: run.Run, taken: intake.Intake) -> None:
        super().__init__(("127.0.0.1", port), handler.Handler)
        self.known = known
        self.taken = taken
        self._free = threading.Semaphore(MOST_CONNECTIONS)
        self._turned_away: collections.deque[socket.socket] = collections.deque()

    def forever(self) -> None:
        """Serve until the process ends."""
        while True:
            try:
                self.serve_forever(poll_interval=3600)  # nobody shuts it down: no need to look
            except Exception as error:
                journal.mishap("accepting connections", error)
                time.sleep(1)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept, and allow one request's time and size."""
        accepted, address = self.socket.accept()
        stream = sockets.BoundedSocket(fileno=accepted.detach())
        stream.allow(seconds=handler.REQUEST_SECONDS, size=handler.LARGEST_HEAD)
        return stream, address

    def process_request(self, request: Request, client_address: Address) -> None:
        """Start a thread for the request if one is free, or say that none is."""
        if not self._free.acquire(timeout=PATIENCE_SECONDS):
            self.turn_away(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def turn_away(self, request: socket.socket) -> None:
        """Say that there is no place, without waiting for anything: this is the accepting thread.

        Closing at once would be a reset if the client is still sending, and the answer lost.
        """
        refuse(request)
        self._turned_away.append(request)
        if len(self._turned_away) > MOST_TURNED_AWAY:
            self._turned_away.popleft().close()

    def process_request_thread(self, request: Request, client_address: Address) -> None:
        """Answer the request, and free the thread's place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def shutdown_request(self, request: Request) -> None:
        """Close only after reading what was sent: else the kernel may drop our answer."""
        try:
            request.shutdown(socket.SHUT_WR)
            request.allow(seconds=LINGER_SECONDS, size=LARGEST_LEFTOVER)
            leftover = bytearray(LEFTOVER_AT_ONCE)
            while request.recv_into(leftover):
                pass
        except (OSError, sockets.TooLarge):
            pass
        self.close_request(request)

    def handle_error(self, request: Request, client_address: Address) -> None:  # noqa: ARG002
        """Keep quiet about clients that left; report everything else."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError | sockets.TooLarge):
            journal.mishap("answering on the loopback", error)


def refuse(request: socket.socket) -> None:
    """Answer, without having read it, a request that there is no place for."""
    status = http.HTTPStatus.TOO_MANY_REQUESTS
    detail = f"More than {MOST_CONNECTIONS} requests at a time: close some, or wait less."
    content = json.dumps(handler.problem(status, detail)) + "\n"
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(content)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    request.settimeout(0)
    with contextlib.suppress(OSError):
        request.send((head + content).encode())
        request.shutdown(socket.SHUT_WR)

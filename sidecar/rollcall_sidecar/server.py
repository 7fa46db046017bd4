"""The loopback API: what the pod knows, for the job's own code.

It answers from memory and never waits for the network. One request per connection, bounded in
size, time and number: a program that hammers or stalls it hurts only itself.
"""
# mypy: disable-error-code="explicit-override"
# (typing.override is newer than the oldest Python we run on)

from __future__ import annotations

import contextlib
import http
import http.server
import json
import re
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from rollcall_sidecar import journal, sockets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollcall_sidecar import run

    Request = Any  # socketserver promises no more
    Address = Any

MOST_CONNECTIONS = 16
REQUEST_SECONDS = 5.0  # for all of a request, and again for all of its answer
LARGEST_HEAD = 8 * 1024  # bytes of request line and headers
LONGEST_WAIT_SECONDS = 60
LOOK_SECONDS = 1.0  # how often a waiting request looks whether its client is still there
LINGER_SECONDS = 1.0
LARGEST_LEFTOVER = 64 * 1024  # bytes of an unread body that are taken off the line

OFFER = "This is the Rollcall sidecar. It offers GET /run, GET /run?wait=30s and GET /healthz."
WAIT = re.compile(r"(?:(\d{1,4})m)?(?:(\d{1,4})s)?")


def start(port: int, known: run.Run) -> None:
    """Serve in the background; without the port the sidecar only beats, and says so."""
    try:
        server = Loopback(port, known)
    except OSError as error:
        journal.say(f"no loopback API on 127.0.0.1:{port} ({error.strerror}): only beating")
        return
    threading.Thread(target=server.forever, name="loopback", daemon=True).start()


def wait_seconds(query: str) -> float:
    """Read the query of `GET /run`; raises ValueError with what to write instead."""
    fields = urllib.parse.parse_qs(query, keep_blank_values=True, max_num_fields=8)
    waits = fields.pop("wait", ["0s"])
    if fields:
        raise ValueError(f"GET /run knows no {', '.join(sorted(fields))}, only wait")
    match = WAIT.fullmatch(waits[0])
    if len(waits) > 1 or not waits[0] or match is None:
        raise ValueError("wait is one duration like 30s or 1m, at most 60s")
    minutes, seconds = (int(part or 0) for part in match.groups())
    return min(60 * minutes + seconds, LONGEST_WAIT_SECONDS)


class Loopback(socketserver.ThreadingTCPServer):
    """A thread per connection, and never more than `MOST_CONNECTIONS` of them."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, port: int, known: run.Run) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.known = known
        self._free = threading.Semaphore(MOST_CONNECTIONS)

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
        stream.allow(seconds=REQUEST_SECONDS, size=LARGEST_HEAD)
        return stream, address

    def process_request(self, request: Request, client_address: Address) -> None:
        """Start a thread for the request if one is free, or say that none is."""
        if not self._free.acquire(blocking=False):
            refuse(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

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
            leftover = bytearray(4096)
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


class Handler(http.server.BaseHTTPRequestHandler):
    """One request: read it, answer it, close."""

    server: Loopback
    connection: sockets.BoundedSocket
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # also a request that is none gets a status line
    disable_nagle_algorithm = True  # headers and body are two writes
    # What an answer to a request that could not even be read needs:
    command = ""
    request_version = protocol_version

    def handle(self) -> None:
        """Read the one request within its bounds and answer it."""
        try:
            self.raw_requestline = self.rfile.readline()
            readable = bool(self.raw_requestline) and self.parse_request()
        except sockets.TooLarge:
            self.problem(
                http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"A request line and its headers have at most {LARGEST_HEAD} bytes. {OFFER}",
            )
        except TimeoutError:
            self.problem(
                http.HTTPStatus.REQUEST_TIMEOUT,
                f"The request was not complete within {REQUEST_SECONDS:.0f} s. {OFFER}",
            )
        else:
            if readable:
                self.route()

    def route(self) -> None:
        """Find what was asked for."""
        path, _, query = self.path.partition("?")
        if path not in {"/run", "/healthz"}:
            self.problem(http.HTTPStatus.NOT_FOUND, f"There is nothing at this path. {OFFER}")
        elif self.command != "GET":
            self.problem(http.HTTPStatus.METHOD_NOT_ALLOWED, f"This path knows GET only. {OFFER}")
        elif path == "/healthz":
            self.send(http.HTTPStatus.OK, {"status": "ok"})
        else:
            self.tell_run(query)

    def tell_run(self, query: str) -> None:
        """Answer `GET /run`, if asked to after waiting until the execution is known."""
        try:
            until = time.monotonic() + wait_seconds(query)
        except ValueError as error:
            self.problem(http.HTTPStatus.BAD_REQUEST, str(error))
            return
        while not self.server.known.wait(min(max(until - time.monotonic(), 0), LOOK_SECONDS)):
            if time.monotonic() >= until or self.connection.ended():
                break
        self.send(http.HTTPStatus.OK, self.server.known.view())

    def problem(self, status: http.HTTPStatus, detail: str) -> None:
        """Answer what went wrong, as RFC 9457 has it."""
        self.send(status, problem(status, detail), kind="application/problem+json")

    def send(
        self, status: http.HTTPStatus, body: Mapping[str, Any], kind: str = "application/json"
    ) -> None:
        """Send a JSON answer and ask the client to close."""
        content = json.dumps(body).encode() + b"\n"
        self.connection.allow(seconds=REQUEST_SECONDS, size=LARGEST_LEFTOVER)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        if status == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Let the base class's own complaints take our shape."""
        self.problem(http.HTTPStatus(code), f"{message or 'The request is not HTTP'}. {OFFER}")

    def version_string(self) -> str:
        """Name the product, not its parts."""
        return "rollcall-sidecar"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the log of a pod is its owner's."""


def problem(status: http.HTTPStatus, detail: str) -> dict[str, Any]:
    """Build an RFC 9457 problem."""
    return {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}


def refuse(request: socket.socket) -> None:
    """Turn a connection away without waiting for anything: this runs in the accepting thread."""
    status = http.HTTPStatus.SERVICE_UNAVAILABLE
    detail = f"More than {MOST_CONNECTIONS} requests at a time: close some, or wait less."
    content = json.dumps(problem(status, detail)) + "\n"
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(content)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    with request:
        request.settimeout(0)
        with contextlib.suppress(OSError):
            request.recv(LARGEST_HEAD)  # unread bytes would make closing a reset
        with contextlib.suppress(OSError):
            request.sendall((head + content).encode())

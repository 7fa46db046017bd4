"""The api that a sidecar reports to: a server on loopback with a script.

Scripted replies are used up one per report; after them every report is acknowledged.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override  # typing has it from 3.12 on

PATIENCE = 20.0  # seconds that anything may take on a slow machine
EXECUTION = {
    "id": "019a0000-0000-8000-8000-000000000001",
    "cronjob": "nightly",
    "namespace": "billing",
    "jobName": "nightly-29730000",
    "slotTime": "2026-07-11T02:00:00Z",
    "trigger": "schedule",
    "attempt": 1,
}


RUN: dict[str, Any] = {
    "idempotencyKey": "5f0c9f0e-0000-8000-8000-000000000001",
    "date": "2026-07-11",
    "deadline": "2026-07-11T04:00:00Z",
    "window": {"from": "2026-07-10T02:00:00Z", "to": "2026-07-11T02:00:00Z", "more": False},
    "windowHeldBy": None,
    "checkpoint": None,
    "requeued": [],
    "complete": True,
}


EXPECTED_END: dict[str, Any] = {"at": "2026-07-11T02:20:00Z", "runs": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One request as the api saw it."""

    path: str
    authorization: str | None
    body: dict[str, Any]
    at: float  # monotonic

    @property
    def items(self) -> list[dict[str, Any]]:
        """What the program said, but for its progress."""
        items: list[dict[str, Any]] = self.body.get("items", [])
        return items


class Exchange(BaseHTTPRequestHandler):
    """The api's side of one connection."""

    server: "_Server"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        report = Report(
            path=self.path,
            authorization=self.headers.get("Authorization"),
            body=json.loads(self.rfile.read(length)),
            at=time.monotonic(),
        )
        self.server.api.take(report)(self, report)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send a complete answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def over(self) -> threading.Event:
        """Set when the test ends."""
        return self.server.api.over

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


Reply = Callable[[Exchange, Report], object]
OLDER_ANSWER = ("v", "acknowledged", "execution")


def acknowledge(exchange: Exchange, report: Report) -> None:
    """Answer as the api does when the report is stored, and every item with it."""
    exchange.answer(200, json.dumps(acknowledgement(report)).encode())


def acknowledgement(report: Report, **more: object) -> dict[str, Any]:
    """Build that answer."""
    body: dict[str, Any] = {
        "v": 1,
        "acknowledged": report.body["seq"],
        "execution": EXECUTION,
    }
    if report.items:
        body["items"] = {"through": report.items[-1]["seq"], "refused": []}
    if "expectedEnd" in report.body.get("want", []):
        body["expectedEnd"] = EXPECTED_END
    if "run" in report.body.get("want", []):
        body["run"] = RUN
    return body | more


def answering(**more: object) -> Reply:
    """Acknowledge, with other words in some places."""

    def reply(exchange: Exchange, report: Report) -> None:
        exchange.answer(200, json.dumps(acknowledgement(report, **more)).encode())

    return reply


def untold(exchange: Exchange, report: Report) -> None:
    """Acknowledge as the api does when it cannot say at once what the run is about."""
    body = acknowledgement(report)
    body.pop("run", None)
    exchange.answer(200, json.dumps(body).encode())


def heartbeats_only(exchange: Exchange, report: Report) -> None:
    """Answer as an api does that is older than items."""
    body = acknowledgement(report)
    exchange.answer(200, json.dumps({k: body[k] for k in OLDER_ANSWER}).encode())


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    """Answer with a status."""
    return lambda exchange, _: exchange.answer(code, body, **headers)


def raw(content: bytes) -> Reply:
    """Send bytes as they are, and close."""
    return lambda exchange, _: exchange.wfile.write(content)


def hang(exchange: Exchange, _: Report) -> None:
    """Say nothing, and do not close."""
    exchange.over.wait(PATIENCE)


def drip(exchange: Exchange, _: Report) -> None:
    """Begin an answer that goes on for ever, a header every fifth of a second."""
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not exchange.over.wait(0.2):
        exchange.wfile.write(b"X-Drip: 1\r\n")


class Api:
    """What the test says and sees of the api."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._changed = threading.Condition()
        self._replies: list[Reply] = []
        self._afterwards: Reply = acknowledge
        self._reports: list[Report] = []

    @property
    def reports(self) -> list[Report]:
        """All reports so far, oldest first."""
        with self._changed:
            return list(self._reports)

    def reply(self, *replies: Reply) -> None:
        """Add replies to the script."""
        with self._changed:
            self._replies.extend(replies)

    def wait_for(self, count: int) -> list[Report]:
        """Return the reports as soon as there are so many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._reports) >= count, PATIENCE):
                raise AssertionError(f"{len(self._reports)} reports instead of {count}")
            return list(self._reports)

    def always(self, reply: Reply) -> None:
        """Say this when the script is over."""
        with self._changed:
            self._afterwards = reply

    def wait_until(self, holds: Callable[[list[Report]], object]) -> list[Report]:
        """Return the reports as soon as they fulfil a condition."""
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self._reports), PATIENCE):
                raise AssertionError(f"{len(self._reports)} reports, the last {self._reports[-1:]}")
            return list(self._reports)

    def take(self, report: Report) -> Reply:
        """Record a report and return what to say."""
        with self._changed:
            self._reports.append(report)
            self._changed.notify_all()
            return self._replies.pop(0) if self._replies else self._afterwards


class _Server(ThreadingHTTPServer):
    api: Api
    daemon_threads = True

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Accept that the sidecar hung up: tests of its bounds want it to."""


@contextlib.contextmanager
def serving(
    api: Api, port: int, wrap: Callable[[socket.socket], socket.socket] | None = None
) -> Iterator[None]:
    """Let the api listen on the port; `wrap` adds TLS."""
    server = _Server(("127.0.0.1", port), Exchange)
    if wrap is not None:
        server.socket = wrap(server.socket)
    server.api = api
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        api.over.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)

"""The sidecar as a real process, and the api it reports to: a server on loopback with a script.

Scripted replies are used up one per report; after them every report is acknowledged.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override  # typing has it from 3.12 on

FOLDER = Path(__file__).parents[2] / "sidecar"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One request as the api saw it."""

    path: str
    authorization: str | None
    body: dict[str, Any]
    at: float  # monotonic


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


def acknowledge(exchange: Exchange, report: Report) -> None:
    """Answer as the api does when the report is stored."""
    body = {"v": 1, "acknowledged": report.body["seq"], "execution": EXECUTION}
    exchange.answer(200, json.dumps(body).encode())


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

    def take(self, report: Report) -> Reply:
        """Record a report and return what to say."""
        with self._changed:
            self._reports.append(report)
            self._changed.notify_all()
            return self._replies.pop(0) if self._replies else acknowledge


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the loopback API answered."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:  # noqa: ANN401 - the test knows its shape
        """The body as JSON."""
        return json.loads(self.body)


class Sidecar:
    """A running sidecar."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, stderr: Path) -> None:
        self.process = process
        self.port = port
        self._stderr = stderr

    @property
    def stderr(self) -> str:
        """Everything it said so far."""
        return self._stderr.read_text()

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
        """Make one request to the loopback API."""
        started = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        seconds = time.monotonic() - started
        return Answer(status=response.status, headers=headers, body=content, seconds=seconds)

    def connect(self) -> socket.socket:
        """Open a connection and say nothing yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def run(self) -> dict[str, Any]:
        """Ask what the pod knows."""
        answer: dict[str, Any] = self.ask("/run").json
        return answer

    def run_when(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until what `GET /run` says fulfils a condition."""
        until = time.monotonic() + PATIENCE
        while not holds(known := self.run()):
            if time.monotonic() > until:
                raise AssertionError(f"still {known}; stderr: {self.stderr}")
            time.sleep(0.05)
        return known

    def stderr_when(self, text: str) -> str:
        """Wait until it said something."""
        until = time.monotonic() + PATIENCE
        while text not in self.stderr:
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"it never said {text!r} but: {self.stderr}")
            time.sleep(0.02)
        return self.stderr

    def stop(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(by)
        code = self.process.wait(PATIENCE)
        return code, time.monotonic() - started


class Start(Protocol):
    """Start one more sidecar; settings are named without their prefix, in lower case."""

    def __call__(
        self, *, start: list[str] | None = None, ready: bool = True, **settings: str
    ) -> Sidecar: ...


def command() -> list[str]:
    """Start it as the image does."""
    return [sys.executable, "-I", "-S", str(FOLDER)]


@contextlib.contextmanager
def running(
    folder: Path,
    settings: Mapping[str, str],
    *,
    start: list[str] | None = None,
    ready: bool = True,
) -> Iterator[Sidecar]:
    """Run a sidecar with these settings, on a free port unless they name one."""
    port = free_port()
    environ = {"ROLLCALL_PORT": str(port)}
    environ |= {f"ROLLCALL_{name.upper()}": value for name, value in settings.items()}
    stderr = folder / f"stderr-{port}"
    with stderr.open("wb") as log:
        process = subprocess.Popen(start or command(), env=environ, stderr=log)
    try:
        sidecar = Sidecar(process, port, stderr)
        if ready:
            _wait_ready(sidecar)
        yield sidecar
    finally:
        process.kill()
        process.wait(PATIENCE)


def _wait_ready(sidecar: Sidecar) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            sidecar.ask("/healthz")
        except OSError:
            if time.monotonic() > until or sidecar.process.poll() is not None:
                raise AssertionError(f"never ready: {sidecar.stderr}") from None
            time.sleep(0.02)
        else:
            return


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])

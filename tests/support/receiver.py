"""A real HTTP receiver on loopback that records what it gets and answers as it is told.

Scripted answers are used up one per request; after them it says what `otherwise` says, 200 if
nobody has told it anything.
"""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.core import targets

LOOPBACK = targets.read("127.0.0.0/8,::1")  # where alerts may go in tests
PATIENCE = 10.0  # seconds that a hanging answer, or a wait for a request, lasts at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to say to one request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    raw: bytes | None = None  # sent as it is, instead of a response
    hang: bool = False  # say nothing until the receiver stops
    after: threading.Event | None = None  # say it when this is set
    trickle: bool = False  # promise the body, and never send it
    endless: bool = False  # go on with the body until the other side hangs up


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was received."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: float  # monotonic


class Receiver:
    """The server's side of a test."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._changed = threading.Condition()
        self._answers: list[Answer] = []
        self._requests: list[Request] = []
        self.otherwise: Callable[[Request], Answer] = lambda _: Answer()
        self.stopping = threading.Event()
        self.sent = 0  # bytes of endless bodies

    @property
    def port(self) -> int:
        """The port on loopback."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where to send to."""
        scheme, host = ("https", "localhost") if self.is_secure else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/hook"

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        return isinstance(self._server.socket, ssl.SSLSocket)

    @property
    def requests(self) -> list[Request]:
        """All requests so far, oldest first."""
        with self._changed:
            return list(self._requests)

    @property
    def keys(self) -> list[str]:
        """The idempotency keys so far."""
        return [request.headers.get("webhook-id", "") for request in self.requests]

    def answers(self, *answers: Answer) -> None:
        """Add answers to the script."""
        with self._changed:
            self._answers.extend(answers)

    def wait_for(self, count: int) -> list[Request]:
        """Return the requests as soon as there are so many; fails after PATIENCE."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, PATIENCE):
                raise AssertionError(f"{len(self._requests)} requests instead of {count}")
            return list(self._requests)

    def take(self, request: Request) -> Answer:
        """Record a request and return what to say."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            return self._answers.pop(0) if self._answers else self.otherwise(request)


@contextlib.contextmanager
def running(port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """Run a receiver on loopback; port 0 takes a free one, `tls` is a certificate and its key."""
    server = _Server(("127.0.0.1", port), _Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = server.receiver = Receiver(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    daemon_threads = True
    request_queue_size = 256  # many at once must not look like a network that drops packets

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Accept that the other side hung up: tests of bounds want it to."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        request = Request(
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
            at=time.monotonic(),
        )
        self._say(self.server.receiver.take(request))

    def _say(self, answer: Answer) -> None:
        receiver = self.server.receiver
        if answer.hang:
            receiver.stopping.wait(PATIENCE)
            return
        if answer.after is not None:
            answer.after.wait(PATIENCE)
        if answer.raw is not None:
            self.wfile.write(answer.raw)
            return
        begin = self.send_response_only if "Date" in answer.headers else self.send_response
        begin(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not answer.endless:
            self.send_header("Content-Length", str(len(answer.body) + answer.trickle))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.trickle:
            receiver.stopping.wait(PATIENCE)
        while answer.endless and not receiver.stopping.is_set():
            receiver.sent += self.wfile.write(b"x" * 65536)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

"""The sidecar as a real process, asked on its loopback API and ended by signals."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol

from support import loopback

FOLDER = Path(__file__).parents[2] / "sidecar"
PATIENCE = 20.0  # seconds that anything may take on a slow machine
READING = 15.0  # seconds that the sidecar may read one request there; its own limit is five


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

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self._stderr = folder / f"stderr-{port}"
        self.termination_log = folder / f"termination-log-{port}"

    @property
    def stderr(self) -> str:
        """Everything it said so far."""
        return self._stderr.read_text()

    @property
    def last_words(self) -> dict[str, Any] | None:
        """What it left in its termination message."""
        text = self.termination_log.read_text() if self.termination_log.exists() else ""
        words: dict[str, Any] | None = json.loads(text)["rollcall"] if text else None
        return words

    def post(self, path: str, **fields: object) -> Answer:
        """Report something, as JSON."""
        return self.ask(path, method="POST", body=json.dumps(fields).encode())

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one request to the loopback API."""
        started = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        received = {name.lower(): value for name, value in response.getheaders()}
        seconds = time.monotonic() - started
        return Answer(status=response.status, headers=received, body=content, seconds=seconds)

    def connect(self) -> socket.socket:
        """Open a connection and say nothing yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def answer_to_dripping(self, head: bytes, drop: bytes) -> bytes:
        """Send a head, then a drop each quarter of a second; return how the answer begins."""
        until = time.monotonic() + READING
        with self.connect() as stream:
            stream.settimeout(0.25)
            stream.sendall(head)
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    return stream.recv(1000)
                stream.sendall(drop)
        raise AssertionError(f"it read for {READING:.0f} seconds")

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
    return [sys.executable, "-I", "-S", str(FOLDER / "__main__.py")]


@contextlib.contextmanager
def running(
    folder: Path,
    settings: Mapping[str, str],
    *,
    start: list[str] | None = None,
    ready: bool = True,
) -> Iterator[Sidecar]:
    """Run a sidecar with these settings, on a free port unless they name one."""
    port = loopback.free_port()
    termination_log = folder / f"termination-log-{port}"
    environ = {"ROLLCALL_PORT": str(port), "ROLLCALL_TERMINATION_LOG": str(termination_log)}
    environ |= {f"ROLLCALL_{name.upper()}": value for name, value in settings.items()}
    with (folder / f"stderr-{port}").open("wb") as log:
        process = subprocess.Popen(start or command(), env=environ, stderr=log)
    try:
        sidecar = Sidecar(process, port, folder)
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

"""`rollcall api` as the process that it is in its pod, beside a stand-in for the API server.

A token `NAME.….…` is that of the pod with the UID NAME in the namespace `shop`, if it is one of the
stand-in's pods; all others are nobody's.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override  # typing has it from 3.12 on

import rollcall
from rollcall.core import names
from support import builders, loopback, surroundings

CODE = Path(rollcall.__file__).parents[1]  # also where the package is installed from elsewhere
STARTED_WITHIN = 60.0  # seconds, on a machine that has other things to do
_NOWHERE = {"name": "nowhere"}


def token(pod: str, number: int = 0) -> str:
    """Return a token of a pod."""
    return f"{pod}.{number}.signature"


@dataclass(slots=True)
class Reviews:
    """What the API server thinks of tokens, and how long that takes it."""

    pods: set[str]
    seconds: float = 0.0  # that the next answers take
    asked: int = 0
    at_once: int = 0
    most_at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one TokenReview."""
        with self._lock:
            self.asked += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.seconds)
        with self._lock:
            self.at_once -= 1
        return {"status": self._status(body["spec"]["token"].partition(".")[0])}

    def _status(self, pod: str) -> dict[str, Any]:
        if pod not in self.pods:
            return {"authenticated": False}
        bound = {"name": f"report-{pod}", "uid": pod}
        extra = {f"authentication.kubernetes.io/pod-{key}": [bound[key]] for key in bound}
        user = {"username": "system:serviceaccount:shop:default", "extra": extra}
        return {"authenticated": True, "audiences": [names.TOKEN_AUDIENCE], "user": user}


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A running api."""

    process: subprocess.Popen[bytes]
    port: int
    health_port: int
    log: Path

    def stop(self) -> None:
        """Tell it to end, as kubelet does."""
        self.process.send_signal(signal.SIGTERM)

    def forget_peak(self) -> int:
        """Begin to measure its memory anew; returns what it has now, in bytes."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    def peak(self) -> int:
        """Return the most memory that it had since, in bytes."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(
            int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name)
        )


@contextlib.contextmanager
def running(dsn: str, folder: Path, reviews: Reviews) -> Iterator[Api]:
    """Run it until the block ends."""
    with _standing_in(reviews) as cluster:
        port, health_port = loopback.free_port(), loopback.free_port()
        log = folder / "api.log"
        environment = _environment(folder, cluster) | {
            "ROLLCALL_DATABASE_DSN": dsn,
            "ROLLCALL_INGEST_PORT": str(port),
            "ROLLCALL_HEALTH_PORT": str(health_port),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "rollcall", "api"],
                env=environment, stdout=output, stderr=output,
            )  # fmt: skip
        api = Api(process=process, port=port, health_port=health_port, log=log)
        try:
            _wait_ready(api)
            yield api
        finally:
            process.kill()
            process.wait()


def _environment(folder: Path, cluster: int) -> dict[str, str]:
    kubeconfig = folder / "kubeconfig"
    server = {"cluster": {"server": f"http://127.0.0.1:{cluster}"}}
    context = {"context": {"cluster": "nowhere", "user": "nowhere"}}
    content = {
        "current-context": "nowhere",
        "clusters": [_NOWHERE | server],
        "users": [_NOWHERE | {"user": {"token": "secret"}}],
        "contexts": [_NOWHERE | context],
    }
    kubeconfig.write_text(json.dumps(content))
    return surroundings.without_settings() | {
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(CODE),
        "ROLLCALL_CLUSTER": builders.CLUSTER,
    }


def _wait_ready(api: Api) -> None:
    end = time.monotonic() + STARTED_WITHIN
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", api.port)):
            return
        if time.monotonic() > end or api.process.poll() is not None:
            raise AssertionError(f"the api does not listen: {api.log.read_text()}")
        time.sleep(0.05)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.server.reviews.answer(asked)).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Know no object at all."""
        self.send_error(404)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    reviews: Reviews

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Accept that the api was ended."""


@contextlib.contextmanager
def _standing_in(reviews: Reviews) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.reviews = reviews
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Programs that run while something is measured."""

import contextlib
import http.client
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def running(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    port: int,
    path: str,
    *,
    tls: ssl.SSLContext | None = None,
    patience: float = PATIENCE_SECONDS,
) -> None:
    """Wait until something answers 200 there; raises TimeoutError."""
    end = time.monotonic() + patience
    while not _answers(port, path, tls):
        if time.monotonic() > end:
            raise TimeoutError(f"nothing answers on port {port} within {patience:.0f} s")
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(port: int, path: str, tls: ssl.SSLContext | None) -> bool:
    link = (
        http.client.HTTPSConnection("localhost", port, timeout=5, context=tls)
        if tls
        else http.client.HTTPConnection("localhost", port, timeout=5)
    )
    try:
        link.request("GET", path)
        return link.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()

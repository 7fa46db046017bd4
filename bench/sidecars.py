"""The sidecar as a process, started with the flags of its image, reporting to a real api."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine, pods, processes
from support import sidecars

_ROUNDS = 10
_SETTLE_SECONDS = 1.0  # until its first reports are through


def measure(api_port: int) -> dict[str, Any]:
    """Start and stop it some times; return the medians."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name:
        rounds = [_once(Path(name), api_port, number + 1) for number in range(_ROUNDS)]
    middle = {key: round(median(one[key] for one in rounds), 1) for key in rounds[0]}
    return {"what": "sidecar", "python": sys.version.split()[0], **middle}


def _once(folder: Path, api_port: int, number: int) -> dict[str, float]:
    token, port = folder / "token", processes.free_port()
    token.write_text(pods.token(number))
    environment = {
        "ROLLCALL_PORT": str(port),
        "ROLLCALL_INGEST_URL": f"http://127.0.0.1:{api_port}",
        "ROLLCALL_TOKEN_FILE": str(token),
        "ROLLCALL_TERMINATION_LOG": os.devnull,
    }
    began = time.monotonic()
    process = subprocess.Popen(sidecars.command(), env=environment, stderr=subprocess.DEVNULL)
    try:
        ready = _until_ready(port) - began
        _use(port)
        time.sleep(_SETTLE_SECONDS)
        memory, began = machine.peak_mib(process.pid), time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        stopped = time.monotonic() - began
    finally:
        process.kill()
        process.wait()
    return {"ready_ms": ready * 1000, "peak_rss_mib": memory, "stop_ms": stopped * 1000}


def _until_ready(port: int) -> float:
    end = time.monotonic() + processes.PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except OSError:
            time.sleep(0.002)
        else:
            return time.monotonic()
    raise TimeoutError("the sidecar was never ready")


def _use(port: int) -> None:
    """Report something that is acknowledged, as a program does."""
    for path, body in (("progress", b"done=1&total=2"), ("checkpoint", b"value=1")):
        url = f"http://127.0.0.1:{port}/{path}?wait=5s"
        urllib.request.urlopen(url, body, timeout=10).close()

"""`rollcall operator` as a process of this machine, and what it costs."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import deploy

from bench import database, machine

HEALTH_PORT = 18181
# How long the slowest start may take before it counts as failed.
PATIENCE_SECONDS = 1800.0
_LEASE = "rollcall-bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the process has asked for and used since its start."""

    reads: int
    writes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorProcess:
    """A running operator."""

    process: subprocess.Popen[bytes]
    started: float  # time.monotonic

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def age(self) -> float:
        """Return the seconds since its start."""
        return time.monotonic() - self.started

    def is_ready(self) -> bool:
        """Whether it leads and has seen the whole cluster."""
        return _ask("readyz") == "ok\n"

    def counts(self) -> Counts:
        """Read its counters. Dry runs count as writes; renewals of the lease, its PUTs, do not."""
        asked: Counter[str] = Counter()
        for line in (_ask("metrics") or "").splitlines():
            if line.startswith("rollcall_kubernetes_requests_total{"):
                method = line.partition('method="')[2].partition('"')[0]
                asked[method] += int(float(line.split()[-1]))
        return Counts(
            reads=asked["GET"],
            writes=asked["POST"] + asked["PATCH"] + asked["DELETE"],
            cpu_seconds=machine.cpu_seconds(self.pid),
        )


@contextlib.contextmanager
def running(
    cluster: deploy.Target, store: database.Database, log: Path
) -> Iterator[OperatorProcess]:
    """Start it, and stop it at the end of the block."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ROLLCALL_")},
        "KUBECONFIG": cluster.kubeconfig,
        "ROLLCALL_KUBE_CONTEXT": cluster.context,
        "ROLLCALL_DATABASE_DSN": store.dsn,
        "ROLLCALL_HEALTH_PORT": str(HEALTH_PORT),
        "ROLLCALL_LEASE_NAME": _LEASE,
        "ROLLCALL_NAMESPACE": "default",
        "ROLLCALL_SIDECAR_IMAGE": "localhost/rollcall/sidecar:bench",
        "ROLLCALL_INGEST_URL": "http://rollcall-api.rollcall-system.svc:8080",
    }
    command = [sys.executable, "-m", "rollcall", "operator"]
    with log.open("ab") as output:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield OperatorProcess(process=process, started=started)
    finally:
        process.terminate()
        process.wait(30)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look every tenth of a second; raises TimeoutError after PATIENCE_SECONDS."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.1)


def _ask(path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH_PORT}/{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except (OSError, urllib.error.URLError):
        return None

"""`rollcall api` as a process of this machine."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import apiserver, database, pods, processes


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiProcess:
    """A running api."""

    pid: int
    port: int


@contextlib.contextmanager
def running(store: database.Database, kubeconfig: Path, log: Path) -> Iterator[ApiProcess]:
    """Start it as its image does, and stop it at the end of the block."""
    port = processes.free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ROLLCALL_")},
        "KUBECONFIG": str(kubeconfig),
        "ROLLCALL_KUBE_CONTEXT": apiserver.CONTEXT,
        "ROLLCALL_CLUSTER": pods.CLUSTER,
        "ROLLCALL_DATABASE_DSN": store.dsn,
        "ROLLCALL_INGEST_PORT": str(port),
        "ROLLCALL_HEALTH_PORT": str(processes.free_port()),
    }
    command = [sys.executable, "-m", "rollcall", "api"]
    with processes.running(command, log, env=environment) as process:
        processes.wait_for(port, "/healthz")
        yield ApiProcess(pid=process.pid, port=port)

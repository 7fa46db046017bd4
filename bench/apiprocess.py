"""`rollcall api` as a process of this machine."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import apiserver, database, pods, processes

# A service account's files are where kubelet puts them, and here elsewhere.
_PROGRAM = """
import sys
from pathlib import Path
from rollcall.cli import main
from rollcall.cluster import credentials
credentials.FOLDER = Path(sys.argv.pop())
main.main()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiProcess:
    """A running api."""

    pid: int
    port: int


@contextlib.contextmanager
def running(
    store: database.Database, cluster: apiserver.ApiServer, log: Path
) -> Iterator[ApiProcess]:
    """Start it as in a pod of that cluster, and stop it at the end of the block."""
    port = processes.free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("ROLLCALL_")},
        "KUBERNETES_SERVICE_HOST": apiserver.HOST,
        "KUBERNETES_SERVICE_PORT": str(cluster.port),
        "ROLLCALL_CLUSTER": pods.CLUSTER,
        "ROLLCALL_DATABASE_DSN": store.dsn,
        "ROLLCALL_INGEST_PORT": str(port),
        "ROLLCALL_HEALTH_PORT": str(processes.free_port()),
    }
    command = [sys.executable, "-c", _PROGRAM, "api", str(cluster.account)]
    with processes.running(command, log, env=environment) as process:
        processes.wait_for(port, "/healthz")
        yield ApiProcess(pid=process.pid, port=port)

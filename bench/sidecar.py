"""The sidecar in its real container: until it listens, what it holds, until it has ended.

Ten pods, one after the other, of a TrackedCronJob in a cluster with the chart. The containers'
processes are this machine's own, so they are watched from outside, and nothing is added to them. A
start counts from the moment in which the container's program is executed; a stop from the signal.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import deploy

from bench import clusters, machine, report
from rollcall.core import names

ROUNDS = 10
NAMESPACE, NAME = "bench", "reports"
SECONDS = 20  # that the program runs, far longer than what is measured
SETTLE_SECONDS = 3.0  # until its first reports are through
PATIENCE_SECONDS = 120.0
_CRONJOB = ("get", "cronjob", NAME, "-n", NAMESPACE, "-o", "name")
_PROGRAM = b"/opt/rollcall-sidecar"
_PORT = f":{7655:04X} "
_LISTENS = " 0A "  # as /proc/net/tcp writes it


def run() -> list[dict[str, Any]]:
    """Measure, print a table, return the numbers."""
    with clusters.running() as cluster:
        clusters.install()
        cluster.kubectl("apply", "-f", "-", text=json.dumps(_job(cluster)))
        _await(lambda: cluster.kubectl(*_CRONJOB, "--ignore-not-found") != "")
        rounds = [_once(cluster, number) for number in range(ROUNDS)]
        load = machine.load()
    ready, memory, ended = zip(*rounds, strict=True)
    measured = [
        _amount("until it listens, ms", ready, "100"),
        _amount("most memory, MB", memory, "20"),
        _amount("until it has ended, ms", ended, "1,000"),
    ]
    print(f"\n{report.amounts(measured)}\n\n{machine.describe()}, load {load:.1f}\n", flush=True)
    return [asdict(one) for one in measured]


def _amount(what: str, values: Sequence[float], budget: str) -> report.Amount:
    return report.Amount(what=what, median=median(values), most=max(values), budget=budget)


def _once(cluster: deploy.Target, number: int) -> tuple[float, float, float]:
    """Run one pod; return milliseconds until ready, megabytes, milliseconds until ended."""
    known = set(_processes())
    name = f"{NAME}-{number}"
    cluster.kubectl("create", "job", name, f"--from=cronjob/{NAME}", "-n", NAMESPACE)
    pid, began = _await_start(known)
    ready = _await(lambda: _listens(pid)) - began
    time.sleep(SETTLE_SECONDS)
    memory, told = machine.peak_mib(pid) * 1.048576, time.monotonic()
    os.kill(pid, signal.SIGTERM)  # as the kubelet does at the end; here it is started anew
    ended = _await(lambda: not _is_sidecar(pid)) - told
    cluster.kubectl("delete", "job", name, "-n", NAMESPACE, "--cascade=foreground")
    return ready * 1000, memory, ended * 1000


def _await_start(known: set[int]) -> tuple[int, float]:
    """Return the process of a new sidecar, and when its program was executed."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        at = time.monotonic()
        for pid in set(_processes()) - known:
            if _is_sidecar(pid):
                return pid, at
            if not _becomes_a_container(pid):
                known.add(pid)
        time.sleep(0.001)
    raise TimeoutError(f"no sidecar within {PATIENCE_SECONDS:.0f} s")


def _processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def _becomes_a_container(pid: int) -> bool:
    """Tell whether it may still execute another program: runc does at the start of a container."""
    return b"runc" in _read(pid, "cmdline") or not _read(pid, "cmdline")


def _is_sidecar(pid: int) -> bool:
    return _PROGRAM in _read(pid, "cmdline")


def _listens(pid: int) -> bool:
    lines = _read(pid, "net/tcp").decode().splitlines()
    return any(_PORT in line and _LISTENS in line for line in lines)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _await(holds: Callable[[], bool]) -> float:
    """Return when it first held, to a millisecond or two."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.001)
    return time.monotonic()


def _job(cluster: deploy.Target) -> dict[str, Any]:
    main = {
        "name": "main",
        "image": deploy.images(cluster.name)["operator"],
        "command": ["sleep", str(SECONDS)],
    }
    pod = {"restartPolicy": "Never", "containers": [main]}
    job = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return {"apiVersion": "v1", "kind": "List", "items": [namespace, job]}

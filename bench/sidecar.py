"""The sidecar in its real container: until it listens and answers, what it holds, how it ends.

Ten pods, one after the other, of a TrackedCronJob in a cluster with the chart. The containers'
processes are this machine's own, so they are watched from outside, and nothing is added to them but
one request. A start counts from the moment in which the container's program is executed; a stop
from the signal.
"""

import ctypes
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import deploy

from bench import clusters, machine, report
from bench.newcomers import Newcomers
from rollcall.core import names

ROUNDS = 10
NAMESPACE, NAME = "bench", "reports"
SECONDS = 20  # that the program runs, far longer than what is measured
SETTLE_SECONDS = 3.0  # until its first reports are through
PATIENCE_SECONDS = 120.0
_CRONJOB = ("get", "cronjob", NAME, "-n", NAMESPACE, "-o", "name")
_PROGRAM = b"/opt/rollcall-sidecar"
_PORT = 7655
_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_LISTENS = " 0A "  # as /proc/net/tcp writes it


def run() -> list[dict[str, Any]]:
    """Measure, print a table, return the numbers."""
    with clusters.running() as cluster:
        clusters.install()
        cluster.kubectl("apply", "-f", "-", text=json.dumps(_job(cluster)))
        _await(lambda: cluster.kubectl(*_CRONJOB, "--ignore-not-found") != "")
        rounds = [_once(cluster, number) for number in range(ROUNDS)]
        load = machine.load()
    listens, answers, ran, waited, memory, ended = zip(*rounds, strict=True)
    measured = [
        _amount("until it listens, ms", listens, "100"),
        _amount("until it has answered, ms", answers, "100"),
        _amount("in which it ran, ms", ran, ""),
        _amount("in which it could have, and no processor was free, ms", waited, ""),
        _amount("most memory, MB", memory, "20"),
        _amount("until it has ended, ms", ended, "1,000"),
    ]
    print(f"\n{report.amounts(measured)}\n\n{machine.describe()}, load {load:.1f}\n", flush=True)
    return [asdict(one) for one in measured]


def _amount(what: str, values: Sequence[float], budget: str) -> report.Amount:
    return report.Amount(what=what, median=median(values), most=max(values), budget=budget)


def _once(cluster: deploy.Target, number: int) -> tuple[float, ...]:
    """Run one pod; return what `run` names, in its order."""
    newcomers = Newcomers()
    name = f"{NAME}-{number}"
    cluster.kubectl("create", "job", name, f"--from=cronjob/{NAME}", "-n", NAMESPACE)
    pid, began = _await_start(newcomers)
    before = machine.turns(pid)
    listens = _await(lambda: _listens(pid)) - began
    answers = _await_answer(pid) - began
    turns = [after - at_first for after, at_first in zip(machine.turns(pid), before, strict=True)]
    time.sleep(SETTLE_SECONDS)
    memory, told = machine.peak_mib(pid) * 1.048576, time.monotonic()
    os.kill(pid, signal.SIGTERM)  # as the kubelet does at the end; here it is started anew
    ended = _await(lambda: not _is_sidecar(pid)) - told
    cluster.kubectl("delete", "job", name, "-n", NAMESPACE, "--cascade=foreground")
    times = [seconds * 1000 for seconds in (listens, answers, *turns)]
    return (*times, memory, ended * 1000)


def _await_start(newcomers: Newcomers) -> tuple[int, float]:
    """Return the process of a new sidecar, and when its program was executed."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        at = time.monotonic()
        if pid := newcomers.find(lambda line: _PROGRAM in line):
            return pid, at
        time.sleep(0.001)
    raise TimeoutError(f"no sidecar within {PATIENCE_SECONDS:.0f} s")


def _is_sidecar(pid: int) -> bool:
    return _PROGRAM in _read(pid, "cmdline")


def _listens(pid: int) -> bool:
    lines = _read(pid, "net/tcp").decode().splitlines()
    return any(f":{_PORT:04X} " in line and _LISTENS in line for line in lines)


def _await_answer(pid: int) -> float:
    """Return when one request was answered."""
    with ThreadPoolExecutor(1) as one_thread:
        return one_thread.submit(_ask, pid).result()


def _ask(pid: int) -> float:
    """Ask from within the pod's network, which this thread then never leaves."""
    with Path(f"/proc/{pid}/ns/net").open("rb") as network:
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the pod's network")
    with socket.create_connection(("127.0.0.1", _PORT), PATIENCE_SECONDS) as stream:
        stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: sidecar\r\n\r\n")
        if not stream.recv(1):
            raise ConnectionError("closed without an answer")
    return time.monotonic()


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

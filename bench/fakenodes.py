"""Nodes without machines: kwok, as a process here, plays the kubelet of some nodes.

Pods on them run for some seconds and succeed (`stages.yaml`); scheduler, controllers and API
server are the real ones. The real node stays for pods that do not ask for such a node.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deploy

from bench import ROOT

NODES = 10
LABEL = {"type": "kwok"}
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
TOLERATION = {"key": TAINT["key"], "operator": "Exists", "effect": TAINT["effect"]}
_SELECTOR = "type=kwok"
_CAPACITY = {"cpu": "1000", "memory": "4000Gi", "pods": "5000"}


@contextlib.contextmanager
def running(cluster: deploy.Target, log: Path) -> Iterator[None]:
    """Add the nodes and play them until the block ends."""
    program = _program()
    nodes = {"apiVersion": "v1", "kind": "List", "items": [_node(i) for i in range(NODES)]}
    cluster.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(nodes))
    command = [program, f"--kubeconfig={cluster.kubeconfig}", "--manage-all-nodes=false"]
    command += [f"--manage-nodes-with-label-selector={_SELECTOR}"]
    command += [f"--config={ROOT / 'bench/stages.yaml'}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        cluster.kubectl("wait", "node", "-l", _SELECTOR, "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        process.terminate()
        process.wait(20)


def _program() -> str:
    command = [sys.executable, str(ROOT / "hack/cluster"), "kwok"]
    said = deploy.run(command)
    return said.strip().splitlines()[-1]


def _node(number: int) -> dict[str, Any]:
    name = f"kwok-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**LABEL, "kubernetes.io/hostname": name}},
        "spec": {"taints": [TAINT]},
        "status": {
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }

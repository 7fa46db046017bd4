"""How soon a receiver hears of a slot that a quota blocks: the chart on a real cluster.

Twenty jobs with `rules.late: {warning: 10s}` are due at the same moment, in a namespace in which no
Job may be created. Measured is from ten seconds after the slot until the receiver has the alert, by
the receiver's own clock, which is that of the whole machine.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import Any

import demo
import deploy

from bench import clusters, machine, report

JOBS = 20
LIMIT = timedelta(seconds=10)
NAMESPACE = "bench"
WAIT_SECONDS = 240.0


def run() -> list[dict[str, Any]]:
    """Measure, print a table, return the numbers."""
    with clusters.running() as cluster:
        clusters.install()
        demo.install_receiver(cluster)
        cluster.kubectl("apply", "-f", "-", text=json.dumps(_blocked()))
        cluster.kubectl("apply", "-f", "-", text=json.dumps(_jobs(cluster)))
        told = _wait(cluster)
        load = machine.load()
    measured = [
        _spread("slot + 10 s until it is decided", [_decided(one) for one in told]),
        _spread("until it is at the receiver", [_arrived(one) - _decided(one) for one in told]),
        _spread("both", [_arrived(one) for one in told]),
    ]
    reasons = sorted({one["payload"]["incident"]["reason"] for one in told})
    print(f"\n{report.detection(measured)}\n\nreasons: {', '.join(reasons)}")
    print(f"{machine.describe()}, load {load:.1f}\n", flush=True)
    return [asdict(one) for one in measured]


def _wait(cluster: deploy.Target) -> Sequence[dict[str, Any]]:
    """Return the first message about each job."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        first: dict[str, dict[str, Any]] = {}
        late = [one for one in demo.received(cluster) if _kind(one) == "late"]
        for one in late:
            first.setdefault(one["payload"]["cronjob"]["name"], one)
        if len(first) == JOBS:
            return list(first.values())
        if time.monotonic() > end:
            raise TimeoutError(f"{len(first)} of {JOBS} alerts in {WAIT_SECONDS:.0f} s")
        time.sleep(2)


def _kind(message: dict[str, Any]) -> str:
    return str(message["payload"]["incident"]["kind"])


def _arrived(message: dict[str, Any]) -> float:
    return _after_limit(message, message["receivedAt"])


def _decided(message: dict[str, Any]) -> float:
    return _after_limit(message, message["payload"]["time"])


def _after_limit(message: dict[str, Any], at: str) -> float:
    evidence = message["payload"]["incident"]["evidence"]
    slot_at = datetime.fromisoformat(evidence["slotTime"])
    return (datetime.fromisoformat(at) - slot_at - LIMIT).total_seconds()


def _spread(what: str, seconds: Sequence[float]) -> report.Spread:
    inorder = sorted(seconds)
    return report.Spread(
        what=what,
        median_seconds=median(inorder),
        p95_seconds=inorder[ceil(len(inorder) * 0.95) - 1],
        max_seconds=inorder[-1],
    )


def _blocked() -> dict[str, Any]:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": NAMESPACE},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return {"apiVersion": "v1", "kind": "List", "items": [namespace, quota]}


def _jobs(cluster: deploy.Target) -> dict[str, Any]:
    image = deploy.images(cluster.name)["operator"]
    jobs = [_job(f"job-{number:02}", image) for number in range(JOBS)]
    return {"apiVersion": "v1", "kind": "List", "items": jobs}


def _job(name: str, image: str) -> dict[str, Any]:
    main = {"name": "main", "image": image, "command": ["sh", "-c", "exit 0"]}
    pod = {"restartPolicy": "Never", "containers": [main]}
    return {
        "apiVersion": "rollcall.dev/v1alpha1",
        "kind": "TrackedCronJob",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "schedule": "* * * * *",
            "rules": {"late": {"warning": f"{LIMIT.seconds}s"}},
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }

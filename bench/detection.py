"""How soon a receiver hears of a slot that a quota blocks: the chart on a real cluster.

Twenty jobs with `rules.late: {warning: 10s}` are due at the same moment, in a namespace in which no
Job may be created. Measured is from ten seconds after the slot until the receiver has the first
message that speaks of the job, by the receiver's own clock, which is that of the whole machine.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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
KINDS = ("late", "missed_widely")  # the second speaks for many of the first


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """When it was decided and heard that a job is late, in seconds after its limit."""

    decided: float
    arrived: float
    reason: str
    key: str  # of the message


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
        _spread("slot + 10 s until it is decided", [one.decided for one in told]),
        _spread("until it is at the receiver", [one.arrived - one.decided for one in told]),
        _spread("both", [one.arrived for one in told]),
    ]
    reasons = sorted({one.reason for one in told})
    messages = len({one.key for one in told})
    print(f"\n{report.detection(measured)}\n\n{messages} messages, reasons: {', '.join(reasons)}")
    print(f"{machine.describe()}, load {load:.1f}\n", flush=True)
    return [asdict(one) for one in measured]


def _wait(cluster: deploy.Target) -> Sequence[_Told]:
    """Return the first that was told of each job."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        first: dict[str, _Told] = {}
        for message in demo.received(cluster):
            for job, told in _told(message):
                first.setdefault(job, told)
        if len(first) == JOBS:
            return list(first.values())
        if time.monotonic() > end:
            raise TimeoutError(f"{len(first)} of {JOBS} alerts in {WAIT_SECONDS:.0f} s")
        time.sleep(2)


def _told(message: dict[str, Any]) -> Iterator[tuple[str, _Told]]:
    """Return the jobs that a message speaks of: one, those of a digest, or those of one cause."""
    payload = message["payload"]
    for one in payload.get("incidents") or [payload]:
        incident = one["incident"]
        if incident["kind"] not in KINDS:
            continue
        limit_at = datetime.fromisoformat(incident["evidence"]["slotTime"]) + LIMIT
        told = _Told(
            decided=(datetime.fromisoformat(one["time"]) - limit_at).total_seconds(),
            arrived=(datetime.fromisoformat(message["receivedAt"]) - limit_at).total_seconds(),
            reason=incident["evidence"].get("mostly") or incident["reason"],
            key=message["key"],
        )
        for job in [one["cronjob"]] if one["cronjob"] else one["jobs"]:
            yield job["name"], told


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

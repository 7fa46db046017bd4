"""TrackedCronJobs by the thousand, whose pods run on nodes without machines."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import deploy

from bench import fakenodes
from rollcall.cluster import client, paths
from rollcall.core import names

NAMESPACE = "bench"
SIDE_BY_SIDE = 16


def create(cluster: deploy.Target, schedules: Iterable[tuple[str, str]]) -> None:
    """Create one for each name and schedule."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.kubectl("apply", "-f", "-", text=json.dumps(namespace))
    asyncio.run(_create(cluster, [_body(name, schedule) for name, schedule in schedules]))


async def _create(cluster: deploy.Target, bodies: list[dict[str, Any]]) -> None:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)
    async with await client.KubeClient.connect(context=cluster.context) as kube:

        async def one(body: dict[str, Any]) -> None:
            async with gate:
                await kube.create(paths.tracked(NAMESPACE, "").rstrip("/"), body)

        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(one(body))


def _body(name: str, schedule: str) -> dict[str, Any]:
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": fakenodes.LABEL,
        "tolerations": [fakenodes.TOLERATION],
        "containers": [
            {
                "name": "main",
                "image": "registry.example/team/export:1.4.2",
                "command": ["python", "-m", "export", "--all"],
                "env": [{"name": "REGION", "value": "eu"}, {"name": "BATCH", "value": "500"}],
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    "limits": {"memory": "128Mi"},
                },
            }
        ],
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/part-of": "bench", "team": "data"},
        },
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 2, "template": {"spec": pod}}},
        },
    }

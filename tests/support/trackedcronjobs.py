"""TrackedCronJobs as the API server would hand them out."""

import copy
from typing import Any

Object = dict[str, Any]

UID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREATED = "2026-03-01T12:00:00Z"

POD: Object = {
    "restartPolicy": "Never",
    "containers": [{"name": "main", "image": "registry.example/job:1", "args": ["--fast"]}],
}


def tracked(
    *,
    name: str = "nightly",
    namespace: str = "team",
    uid: str = UID,
    generation: int = 1,
    labels: dict[str, str] | None = None,
    job: Object | None = None,
    pod: Object | None = None,
    status: Object | None = None,
    **spec: object,
) -> Object:
    """Build one; `job` and `pod` are merged into the template, `spec` into the spec."""
    template = {"spec": {**copy.deepcopy(POD), **copy.deepcopy(pod or {})}}
    body: Object = {
        "apiVersion": "rollcall.dev/v1alpha1",
        "kind": "TrackedCronJob",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "generation": generation,
            "resourceVersion": "10",
            "creationTimestamp": CREATED,
        },
        "spec": {
            "schedule": "30 2 * * *",
            "jobTemplate": {"spec": {**copy.deepcopy(job or {}), "template": template}},
            **copy.deepcopy(spec),
        },
    }
    if labels:
        body["metadata"]["labels"] = labels
    if status:
        body["status"] = status
    return body

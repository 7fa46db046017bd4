"""What a Job was made from: its images as written, and a short hash of each part of its template.

The values themselves are not kept, for they may be secret. What the API server adds for each Job
and what we add (`core.injection`) is no part of it: our own upgrades are not the user's changes.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from rollcall.cluster import fields
from rollcall.core import executions, names, setups

MOST_CONTAINERS = 30  # that are told apart
_HASH, _SHORT = 16, 8  # characters; so few that they give away little, and enough to differ

# https://kubernetes.io/docs/reference/labels-annotations-taints/#batch-kubernetes-io-controller-uid
# and its neighbours: different for each Job.
_OF_ONE_JOB = frozenset(
    {
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        names.LABEL_NAME,
        names.LABEL_UID,
    }
)
_OF_QUEUES = "kueue.x-k8s.io/"  # written when a Job is let go, with its own name for it
# We may add it to the tracked container, and it changes nothing of a run but its last words.
_NOT_OF_CONTAINER = frozenset({"name", "image", "terminationMessagePolicy"})
_NOT_OF_POD = frozenset({"containers", "initContainers", "serviceAccount"})  # the last is an alias

Object = Mapping[str, Any]
Part = tuple[str, object]


def read(job: Object) -> executions.JobTemplate | None:
    """Read the template of a Job; None without one, and while it may still be changed.

    That is so while a Job is suspended: a queue then chooses nodes for it.
    """
    spec = fields.mapping(job, "spec")
    if spec.get("suspend") is True:
        return None
    template = fields.mapping(spec, "template")
    metadata = fields.mapping(template, "metadata")
    return _of(
        _text(
            {
                "job": {field: spec.get(field) for field in setups.OF_JOB},
                "labels": _lasting(fields.mapping(metadata, "labels")),
                "annotations": _lasting(fields.mapping(metadata, "annotations")),
                "pod": fields.mapping(template, "spec"),
            }
        )
    )


# A Job is seen many times, and one after the other have the same: this saves most of the work, and
# the memory for one object for each.
@functools.lru_cache(maxsize=2_000)
def _of(written: str) -> executions.JobTemplate | None:
    template = json.loads(written)
    containers = list(_containers(template["pod"]))
    if not containers:
        return None
    images = {
        name: image
        for name, one in containers[:MOST_CONTAINERS]
        if (image := fields.text(one, "image"))
    }
    parts = {
        name: _short(value) for name, value in _parts(template, containers) if _is_given(value)
    }
    return _shared(_text({"version": setups.VERSION, "images": images, "parts": parts}))


@functools.lru_cache(maxsize=20_000)
def _shared(summary: str) -> executions.JobTemplate:
    digest = hashlib.sha256(summary.encode()).hexdigest()
    return executions.JobTemplate(hash=digest[:_HASH], summary=summary)


def _lasting(texts: Object) -> Object:
    """Leave out the labels or annotations that differ from Job to Job."""
    return {
        key: value
        for key, value in texts.items()
        if key not in _OF_ONE_JOB and not key.startswith(_OF_QUEUES)
    }


def _is_given(value: object) -> bool:
    return value not in (None, "", [], {})


def _containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """Yield the user's containers by name, init containers last."""
    for kind in ("containers", "initContainers"):
        for one in fields.items(pod, kind):
            name = fields.text(one, "name")
            if name and not (kind == "initContainers" and _is_ours(name, pod)):
                yield name, one


def _is_ours(name: str, pod: Object) -> bool:
    return name == names.CONTAINER and any(
        volume.get("name") == names.TOKEN_VOLUME for volume in fields.items(pod, "volumes")
    )


def _parts(template: Object, containers: list[tuple[str, Object]]) -> Iterator[Part]:
    yield from template["job"].items()
    yield from ((name, template[name]) for name in ("labels", "annotations"))
    yield from _grouped(_pod(template["pod"]), setups.OF_POD)
    for name, one in containers[:MOST_CONTAINERS]:
        for part, value in _grouped(_container(one), setups.OF_CONTAINER):
            yield f"{name}/{part}", value
    yield setups.OTHER_CONTAINERS, containers[MOST_CONTAINERS:]


def _pod(pod: Object) -> Object:
    volumes = [one for one in fields.items(pod, "volumes") if one.get("name") != names.TOKEN_VOLUME]
    return {key: pod[key] for key in pod.keys() - _NOT_OF_POD} | {"volumes": volumes}


def _container(container: Object) -> Object:
    env = [one for one in fields.items(container, "env") if one.get("name") != "ROLLCALL_URL"]
    return {key: container[key] for key in container.keys() - _NOT_OF_CONTAINER} | {"env": env}


def _grouped(values: Object, groups: Mapping[str, tuple[str, ...]]) -> Iterator[Part]:
    """Yield the fields of each group together, and all that no group names at the end."""
    rest = {key: value for key, value in values.items() if _is_given(value)}
    for group, members in groups.items():
        yield group, {key: rest.pop(key) for key in members if key in rest}
    yield setups.REST, rest


def _short(value: object) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()[:_SHORT]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)

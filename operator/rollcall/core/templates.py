"""The shape of a Job template, as far as we walk through it; the API server judges the rest."""

from collections.abc import Mapping
from typing import Any

from rollcall.core import errors, injection


def job_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Job's spec in a CronJob's once all that we walk through has a template's shape.

    Raises errors.InvalidSpec.
    """
    template = _mapping(spec, "jobTemplate")
    job = _mapping(template, "jobTemplate.spec")
    pod = _mapping(_mapping(job, "jobTemplate.spec.template"), "jobTemplate.spec.template.spec")
    where = "jobTemplate.spec.template.spec"
    if not pod.get("containers"):
        raise errors.InvalidSpec("InvalidTemplate", f"{where}.containers: at least one is needed")
    for field in ("containers", "initContainers", "volumes", "imagePullSecrets"):
        _items(pod, field, where)
    for container in injection.containers(pod):
        for field in ("env", "ports"):
            _items(container, field, f"{where}: container {container.get('name')}")
        _mapping(container, "resources", required=False)
        for field in ("limits", "requests"):
            _mapping(container.get("resources") or {}, f"resources.{field}", required=False)
    for field in ("securityContext", "nodeSelector", "os", "resources"):
        _mapping(pod, f"{where}.{field}", required=False)
    return job


def _mapping(parent: Mapping[str, Any], path: str, *, required: bool = True) -> dict[str, Any]:
    value = parent.get(path.rpartition(".")[2])
    if isinstance(value, dict):
        return value
    if value is None and not required:
        return {}
    raise errors.InvalidSpec("InvalidTemplate", f"{path}: must be an object")


def _items(parent: Mapping[str, Any], field: str, where: str) -> None:
    value = parent.get(field)
    if value is None or (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        return
    raise errors.InvalidSpec("InvalidTemplate", f"{where}: {field} must be a list of objects")

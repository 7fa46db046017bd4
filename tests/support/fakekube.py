"""A small API server in memory, with the part of its contract that reconciling rests on.

Objects are kept by path. A write counts generation and resourceVersion as the real one does: the
generation moves only with the spec. Server-side apply replaces the spec, but keeps what the manager
does not own. Faults are scripted per method and path.
"""

import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import client
from rollcall.core import errors

Object = dict[str, Any]

NOW = "2026-03-02T12:00:00Z"


class FakeKube(client.KubeClient):
    """`calls` lists writes as (method, path); `admit` judges dry runs of Pods."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.calls: list[tuple[str, str]] = []
        self.reads: list[str] = []
        self.queries: list[dict[str, str | int]] = []  # of these reads
        self.faults: dict[tuple[str, str], list[Exception]] = defaultdict(list)
        self.admit: Callable[[Object], str | None] = lambda _pod: None
        self.bodies: list[Object] = []
        self.host = "fake"
        self._version = 100

    def put(self, path: str, body: Object) -> Object:
        """Store an object as if somebody else had written it."""
        before = self.objects.get(path)
        stored = self._stamp(copy.deepcopy(body), before)
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def fail(self, method: str, path: str, error: Exception) -> None:
        """Let the next request of this kind fail."""
        self.faults[method, path].append(error)

    def writes(self) -> list[tuple[str, str]]:
        """Return the writes so far that were no dry run, and forget them."""
        done, self.calls = self.calls, []
        return done

    @override
    async def get(self, path: str, **query: str | int) -> Object:
        self.reads.append(path)
        self.queries.append(query)
        self._maybe_fail("GET", path)
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        items = self._under(path)
        if items or path.endswith(("s", "events")):
            return {"items": [copy.deepcopy(item) for item in items], "metadata": {}}
        raise errors.NotFound(f"{path} not found")

    @override
    async def list(self, path: str, **query: str | int) -> AsyncIterator[Object]:
        self._maybe_fail("LIST", path)
        for item in self._under(path):
            yield copy.deepcopy(item)

    @override
    async def create(self, path: str, body: Object, **query: str | int) -> Object:
        self._maybe_fail("POST", path)
        if query.get("dryRun"):
            return self._dry_run(body)
        self.calls.append(("POST", path))
        self.bodies.append(body)
        name = body["metadata"].get("name", f"generated-{self._version}")
        if f"{path}/{name}" in self.objects:
            raise errors.Conflict(f"{name} already exists")
        return self.put(f"{path}/{name}", body)

    @override
    async def replace(self, path: str, body: Object) -> Object:
        self.calls.append(("PUT", path))
        self._maybe_fail("PUT", path)
        current = self._existing(path)
        if current["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise errors.Conflict("the object has been modified")
        return self.put(path, body)

    @override
    async def merge(self, path: str, body: Object, *, manager: str = "rollcall") -> Object:
        self.calls.append(("PATCH", path))
        self.bodies.append(body)
        self._maybe_fail("PATCH", path)
        target = path.removesuffix("/status")
        current = self._existing(target)
        self._check_identity(current, body)
        merged = _merge(current, {key: body[key] for key in body if key != "metadata"})
        metadata = {
            key: value for key, value in body.get("metadata", {}).items() if key == "managedFields"
        }
        merged["metadata"] = {**current["metadata"], **metadata}
        return self.put(target, merged)

    @override
    async def patch(self, path: str, body: Object, *, manager: str = "rollcall") -> Object:
        self.calls.append(("PATCH", path))
        self.bodies.append(body)
        self._maybe_fail("PATCH", path)
        current = self._existing(path)
        self._check_identity(current, body)
        return copy.deepcopy(current)

    @override
    async def apply(self, path: str, body: Object, *, manager: str, **query: str) -> Object:
        self.calls.append(("APPLY", path))
        self.bodies.append(body)
        self._maybe_fail("APPLY", path)
        current = self.objects.get(path)
        if current:
            self._check_identity(current, body)
        spec = copy.deepcopy(body["spec"])
        if "suspend" not in spec and current and self._suspended_by_others(current, manager):
            spec["suspend"] = True
        applied = {
            **copy.deepcopy(current or {}),
            **copy.deepcopy(body),
            "spec": spec,
            "metadata": {
                **copy.deepcopy((current or {}).get("metadata", {})),
                **copy.deepcopy(body["metadata"]),
            },
        }
        if current is None or current["spec"] != spec:
            others = [
                entry
                for entry in applied["metadata"].get("managedFields", [])
                if entry["manager"] != manager
            ]
            applied["metadata"]["managedFields"] = [*others, _entry(manager, body["spec"])]
        return self.put(path, applied)

    @override
    async def close(self) -> None:
        pass

    def _dry_run(self, pod: Object) -> Object:
        refusal = self.admit(pod)
        if refusal:
            raise errors.Refused(refusal, status=403, reason="Forbidden")
        return pod

    def _stamp(self, body: Object, before: Object | None) -> Object:
        self._version += 1
        metadata = body["metadata"]
        old = before["metadata"] if before else {}
        metadata["uid"] = metadata.get("uid") or old.get("uid") or f"uid-{self._version}"
        changed = before is None or before.get("spec") != body.get("spec")
        given = metadata.get("generation", 1) if before is None else old["generation"] + changed
        metadata["generation"] = given
        metadata["creationTimestamp"] = metadata.get("creationTimestamp") or NOW
        metadata["resourceVersion"] = str(self._version)
        return body

    def _existing(self, path: str) -> Object:
        if path not in self.objects:
            raise errors.NotFound(f"{path} not found")
        return self.objects[path]

    def _check_identity(self, current: Object, body: Object) -> None:
        wanted, metadata = body.get("metadata", {}), current["metadata"]
        if wanted.get("uid", metadata["uid"]) != metadata["uid"]:
            raise errors.Conflict("another object of this name")
        if wanted.get("resourceVersion", (now := metadata["resourceVersion"])) != now:
            raise errors.Conflict("the object has been modified")

    def _suspended_by_others(self, current: Object, manager: str) -> bool:
        return current["spec"].get("suspend") is True and any(
            entry["manager"] != manager and "f:suspend" in entry["fieldsV1"].get("f:spec", {})
            for entry in current["metadata"].get("managedFields", [])
        )

    def _under(self, path: str) -> Sequence[Object]:
        """Return the objects of a collection, of one namespace or of all."""
        group, _, plural = path.rpartition("/")
        return [
            body
            for known, body in self.objects.items()
            if known.rpartition("/")[0] == path
            or (
                known.startswith(f"{group}/namespaces/")
                and known.rpartition("/")[0].endswith(f"/{plural}")
            )
        ]

    def _maybe_fail(self, method: str, path: str) -> None:
        faults = self.faults[method, path]
        if faults:
            raise faults.pop(0)


def edited(body: Object, *, manager: str, at: str = NOW, **spec: object) -> Object:
    """Return an object as somebody has changed it by hand."""
    changed = copy.deepcopy(body)
    changed["spec"].update(spec)
    entries = changed["metadata"].get("managedFields", [])
    changed["metadata"]["managedFields"] = [*entries, _entry(manager, spec, at, "Update")]
    return changed


def _entry(
    manager: str, spec: Object | dict[str, object], at: str = NOW, operation: str = "Apply"
) -> Object:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "batch/v1",
        "time": at,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {f"f:{name}": {} for name in spec}},
    }


def _merge(target: Object, patch: Object) -> Object:
    merged = copy.deepcopy(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key) or {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged

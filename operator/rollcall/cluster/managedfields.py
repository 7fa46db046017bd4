"""Who set which field, and when: `metadata.managedFields` of an object.

An entry with a subresource speaks of that subresource only and is left out. Times are the API
server's, exact to the second.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollcall.cluster import fields, timestamps

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One manager of an object's fields."""

    manager: str
    at: datetime | None
    paths: frozenset[Path]


def owners(body: Mapping[str, Any]) -> list[Owner]:
    """Return the managers of the object itself."""
    return [
        Owner(
            manager=fields.text(entry, "manager") or "unknown",
            at=timestamps.parse(entry.get("time")),
            paths=frozenset(_leaves(fields.mapping(entry, "fieldsV1"), ())),
        )
        for entry in fields.items(body, "metadata", "managedFields")
        if not entry.get("subresource")
    ]


def last_change(body: Mapping[str, Any], *paths: Path) -> Owner | None:
    """Return the manager who last set one of these fields."""
    found = [owner for owner in owners(body) if owner.at and owner.paths.intersection(paths)]
    return max(found, key=lambda owner: (owner.at, owner.manager), default=None)


def written_at(body: Mapping[str, Any], manager: str, subresource: str) -> datetime | None:
    """Return when a manager last changed a subresource."""
    times = [
        timestamps.parse(entry.get("time"))
        for entry in fields.items(body, "metadata", "managedFields")
        if (entry.get("manager"), entry.get("subresource")) == (manager, subresource)
    ]
    return max((at for at in times if at), default=None)


def foreign(body: Mapping[str, Any], manager: str, *, root: str, but: Path) -> list[str]:
    """Name the fields below `root` that only others set, with who did, except `but`."""
    known = owners(body)
    ours = {path for owner in known if owner.manager == manager for path in owner.paths}
    return sorted(
        {
            f"{dotted(path)} ({owner.manager})"
            for owner in known
            if owner.manager != manager
            for path in owner.paths - ours
            if path[0] == root and path != but
        }
    )


def dotted(path: Path) -> str:
    """Write a path for people: `spec.jobTemplate.spec.backoffLimit`."""
    return ".".join(path)


def handed_over(
    body: Mapping[str, Any], manager: str, *, root: str, but: str
) -> list[dict[str, Any]]:
    """Return managedFields in which `manager` has applied all that stands below `root`.

    So the next apply removes what it does not name, as if it had made the object. The field `but`
    directly below `root` stays with whom it is.
    """
    entries: list[dict[str, Any]] = []
    taken: dict[str, Any] = {}
    for entry in fields.items(body, "metadata", "managedFields"):
        tree = dict(fields.mapping(entry, "fieldsV1"))
        below = dict(fields.mapping(tree, f"f:{root}"))
        if entry.get("subresource") or not below:
            entries.append(dict(entry))
            continue
        kept = {key: value for key, value in below.items() if key == f"f:{but}"}
        taken = _merge(taken, {key: value for key, value in below.items() if key not in kept})
        rest = {key: value for key, value in tree.items() if key != f"f:{root}"}
        tree = rest | ({f"f:{root}": kept} if kept else {})
        if tree:
            entries.append({**entry, "fieldsV1": tree})
    ours = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": fields.text(body, "apiVersion") or "batch/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:{root}": taken},
    }
    return [*entries, ours] if taken else entries


def _merge(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for key, value in right.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(fields.mapping(before), value) if both else value
    return merged


def _leaves(tree: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """Yield the paths of all fields that have no field below them."""
    below = {key: value for key, value in tree.items() if key != "."}
    if not below and path:
        yield path
    for key, value in below.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, _step(key)))


def _step(key: str) -> str:
    """Read `f:name`, `k:{"name":"main"}` and `v:"x"` as steps of a path."""
    kind, _, name = key.partition(":")
    return name if kind == "f" else f"[{name}]"

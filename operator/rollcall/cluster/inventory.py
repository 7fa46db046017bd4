"""The latest TrackedCronJobs, and what we need of their CronJobs.

Bodies are kept as JSON: a fifth of the memory of dictionaries, and nobody can change them by
accident. Filled by watches and full lists; an older reading never replaces a newer one of the same
object. What is decided on it is checked against the API server before anything is written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

from rollcall.cluster import fields, managedfields, timestamps
from rollcall.core import ids, names

Object = dict[str, Any]
SUSPEND: managedfields.Path = ("spec", "suspend")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Key(NamedTuple):
    """Where a TrackedCronJob and its CronJob are."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What is remembered of a CronJob; its whole body is read when it is needed."""

    uid: str
    generation: int
    version: int
    suspended: bool
    tracked_uid: str | None  # our label
    owner_uid: str | None  # the controller's
    foreign: tuple[str, ...]  # fields of its spec that only others set, with their names
    suspended_by: str | None  # who set `suspend`, with the time, if not we

    def belongs_to(self, tracked_uid: str) -> bool:
        """Whether both label and owner say that it is this TrackedCronJob's."""
        return self.tracked_uid == tracked_uid == self.owner_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A TrackedCronJob; `wishes` is all of it that is reconciled, apart from the spec's content."""

    uid: str
    version: int
    wishes: tuple[object, ...]
    channels: tuple[str, ...]
    container: str | None  # whose exit counts; None for the first of the pod
    raw: bytes


class Inventory:
    """All that is known of this cluster's objects of ours."""

    def __init__(self, *, cluster: str) -> None:
        self._cluster = cluster
        self._tracked: dict[Key, _Held] = {}
        self._children: dict[Key, Child] = {}
        self._keys: dict[UUID, Key] = {}

    def tracked(self, key: Key) -> Object | None:
        """Return the TrackedCronJob, a copy of its own for each caller."""
        held = self._tracked.get(key)
        body: Object | None = json.loads(held.raw) if held else None
        return body

    def __contains__(self, key: Key) -> bool:
        """Whether the TrackedCronJob is known; costs less than reading it."""
        return key in self._tracked

    def container(self, key: Key) -> str | None:
        """Return the name of the container that a job tracks, None for the first."""
        held = self._tracked.get(key)
        return held.container if held else None

    def channels(self, key: Key) -> tuple[str, ...]:
        """Return the AlertChannels that a job names."""
        held = self._tracked.get(key)
        return held.channels if held else ()

    def child(self, key: Key) -> Child | None:
        """Return what is known of the CronJob."""
        return self._children.get(key)

    def tracked_keys(self) -> list[Key]:
        """Return the keys of all TrackedCronJobs."""
        return list(self._tracked)

    def key_of(self, cronjob_id: UUID) -> Key | None:
        """Find a TrackedCronJob by the id of its row."""
        return self._keys.get(cronjob_id)

    def id_of(self, body: Mapping[str, Any]) -> UUID:
        """Return the id of the row of this TrackedCronJob."""
        return self._id(body["metadata"]["uid"])

    def put(self, body: Object) -> bool:
        """Keep a TrackedCronJob; True if something that is reconciled differs from before."""
        key = key_of(body)
        before, version = self._tracked.get(key), version_of(body)
        is_same = before is not None and before.uid == body["metadata"]["uid"]
        if before and is_same and (before.version > version or before.version == version > 0):
            return False  # older, or what we wrote ourselves and the watch repeats
        held = _hold(body)
        self._tracked[key] = held
        if before and before.uid != held.uid:
            self._keys.pop(self._id(before.uid), None)
        self._keys[self._id(held.uid)] = key
        return before is None or (before.uid, before.wishes) != (held.uid, held.wishes)

    def drop(self, key: Key) -> None:
        """Forget a TrackedCronJob."""
        before = self._tracked.pop(key, None)
        if before:
            self._keys.pop(self._id(before.uid), None)

    def put_child(self, body: Mapping[str, Any]) -> bool:
        """Keep a CronJob; True if it is another one, or was changed by somebody."""
        key, before = key_of(body), self._children.get(key_of(body))
        child = child_of(body, before)
        if before and before.uid == child.uid and before.version > child.version:
            return False
        self._children[key] = child
        return before is None or replace(before, version=child.version) != child

    def drop_child(self, key: Key, uid: str | None = None) -> bool:
        """Forget a CronJob, only that one if a UID is given; True if it was known."""
        before = self._children.get(key)
        if before is None or (uid is not None and before.uid != uid):
            return False
        del self._children[key]
        return True

    def _id(self, uid: str) -> UUID:
        return ids.cronjob_id(cluster=self._cluster, uid=uid)


def key_of(body: Mapping[str, Any]) -> Key:
    """Return where an object is."""
    metadata = fields.mapping(body, "metadata")
    return Key(str(metadata.get("namespace")), str(metadata.get("name")))


def _hold(body: Object) -> _Held:
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    annotations = fields.mapping(metadata, "annotations")
    if annotations:
        metadata["annotations"] = {
            key: value for key, value in annotations.items() if key != _LAST_APPLIED
        }
    labels = sorted(fields.mapping(metadata, "labels").items())
    return _Held(
        uid=metadata["uid"],
        version=version_of(body),
        wishes=(metadata.get("generation"), tuple(labels), metadata.get("deletionTimestamp")),
        channels=fields.wanted_channels(body),
        container=fields.text(body, "spec", "tracking", "container"),
        raw=json.dumps({**body, "metadata": metadata}).encode(),
    )


def child_of(body: Mapping[str, Any], before: Child | None = None) -> Child:
    """Read a CronJob; what `before` says of the same generation is not worked out again."""
    uid = fields.text(body, "metadata", "uid") or ""
    generation = fields.number(body, "metadata", "generation") or 0
    same = before if before and (before.uid, before.generation) == (uid, generation) else None
    owners = fields.items(body, "metadata", "ownerReferences")
    return Child(
        uid=uid,
        generation=generation,
        version=version_of(body),
        suspended=fields.mapping(body, "spec").get("suspend") is True,
        tracked_uid=fields.text(body, "metadata", "labels", names.LABEL_UID),
        owner_uid=next(
            (fields.text(one, "uid") for one in owners if one.get("controller") is True), None
        ),
        foreign=same.foreign if same else _foreign(body),
        suspended_by=same.suspended_by if same else _suspended_by(body),
    )


def _foreign(body: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(managedfields.foreign(body, names.MANAGER, root="spec", but=SUSPEND))


def _suspended_by(body: Mapping[str, Any]) -> str | None:
    owner = managedfields.last_change(body, SUSPEND)
    if owner is None or owner.at is None or owner.manager == names.MANAGER:
        return None
    return f"{owner.manager}, {timestamps.text(owner.at)}"


def version_of(body: Mapping[str, Any]) -> int:
    """Return the resourceVersion as the number that it is since Kubernetes 1.35, else 0."""
    raw = fields.text(body, "metadata", "resourceVersion") or ""
    return int(raw) if raw.isascii() and raw.isdigit() else 0

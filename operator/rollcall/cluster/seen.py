"""Which objects have come in, and in which version: what a full list is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollcall.cluster import fields, inventory


class Kind(StrEnum):
    """What is watched; the values name metrics."""

    NAMESPACE = "namespaces"
    CHANNEL = "alertchannels"
    CRONJOB = "cronjobs"
    TRACKED = "trackedcronjobs"
    JOB = "jobs"
    POD = "pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    version: int
    key: inventory.Key


class Seen:
    """The newest version of each living object, by UID."""

    def __init__(self) -> None:
        self._sights: dict[Kind, dict[str, _Sight]] = {kind: {} for kind in Kind}

    def note(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Keep that this version came in."""
        uid = fields.text(body, "metadata", "uid")
        if uid and not self.has(kind, body):
            version = inventory.version_of(body)
            self._sights[kind][uid] = _Sight(version=version, key=inventory.key_of(body))

    def drop(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Forget an object that is gone."""
        self._sights[kind].pop(fields.text(body, "metadata", "uid") or "", None)

    def has(self, kind: Kind, body: Mapping[str, Any]) -> bool:
        """Whether this version, or a newer one, came in."""
        known = self._sights[kind].get(fields.text(body, "metadata", "uid") or "")
        return known is not None and known.version >= inventory.version_of(body)

    def uids(self, kind: Kind) -> set[str]:
        """Return the UIDs of all living objects."""
        return set(self._sights[kind])

    def remains(self, kind: Kind, uid: str) -> dict[str, Any] | None:
        """Return as much of an object as its end needs: where it was; None if it is unknown."""
        known = self._sights[kind].get(uid)
        if known is None:
            return None
        return {"metadata": {"namespace": known.key.namespace, "name": known.key.name, "uid": uid}}

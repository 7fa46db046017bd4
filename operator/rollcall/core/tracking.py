"""What a job says about how it is tracked: `spec.tracking`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from rollcall.core import durations, errors

DEFAULT_HEARTBEAT = timedelta(seconds=15)
SHORTEST_HEARTBEAT = timedelta(seconds=5)  # below it the api process spends itself on one pod
LONGEST_HEARTBEAT = timedelta(hours=1)  # what the sidecar accepts
DEFAULT_PORT = 7655
LOWEST_PORT = 1024  # the sidecar holds no capability
HIGHEST_PORT = 65535
PART_OF = "app.kubernetes.io/part-of"


class Sidecar(StrEnum):
    """Whether pods get the sidecar."""

    AUTO = "Auto"
    ALWAYS = "Always"
    NEVER = "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """`spec.tracking`, defaults applied; `container` None means the template's first."""

    sidecar: Sidecar = Sidecar.AUTO
    container: str | None = None
    heartbeat: timedelta = DEFAULT_HEARTBEAT
    port: int = DEFAULT_PORT
    group: str | None = None


def read(spec: Mapping[str, Any], labels: Mapping[str, str]) -> Tracking:
    """Read `tracking` of a TrackedCronJob's spec; `labels` are the TrackedCronJob's.

    Raises errors.InvalidSpec, naming the field and what to write instead.
    """
    raw = spec.get("tracking") or {}
    return Tracking(
        sidecar=_sidecar(raw.get("sidecar") or Sidecar.AUTO),
        container=raw.get("container") or None,
        heartbeat=_heartbeat(raw.get("heartbeatInterval")),
        port=_port(raw.get("port")),
        group=raw.get("group") or labels.get(PART_OF) or None,
    )


def _sidecar(raw: object) -> Sidecar:
    try:
        return Sidecar(str(raw))
    except ValueError:
        raise errors.InvalidSpec(
            "InvalidTracking", f"tracking.sidecar: {raw!r} is unknown; write {', '.join(Sidecar)}"
        ) from None


def _heartbeat(raw: object) -> timedelta:
    if raw is None:
        return DEFAULT_HEARTBEAT
    try:
        value = durations.parse(str(raw))
    except ValueError as error:
        raise errors.InvalidSpec(
            "InvalidTracking", f"tracking.heartbeatInterval: {error}"
        ) from error
    if not SHORTEST_HEARTBEAT <= value <= LONGEST_HEARTBEAT:
        shortest, longest = durations.text(SHORTEST_HEARTBEAT), durations.text(LONGEST_HEARTBEAT)
        raise errors.InvalidSpec(
            "InvalidTracking", f"tracking.heartbeatInterval: write {shortest} to {longest}"
        )
    return value


def _port(raw: object) -> int:
    if raw is None:
        return DEFAULT_PORT
    if isinstance(raw, bool) or not isinstance(raw, int) or not LOWEST_PORT <= raw <= HIGHEST_PORT:
        raise errors.InvalidSpec(
            "InvalidTracking", f"tracking.port: write a number from {LOWEST_PORT} to {HIGHEST_PORT}"
        )
    return raw

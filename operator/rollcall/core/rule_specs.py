"""What a rule may say: kinds, severities, thresholds, and how a spec's words become them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any

from rollcall.core import counters, durations, errors


class Severity(StrEnum):
    """How urgent a finding is; the order of the members is their weight."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def weight(self) -> int:
        """Position in the order, heavier is more severe."""
        return list(Severity).index(self)


class Kind(StrEnum):
    """The kinds of finding, one rule each."""

    LATE = "late"
    MISSED = "missed"
    FAILING = "failing"
    STALE = "stale"
    OVERRUNNING = "overrunning"
    NO_PROGRESS = "no_progress"
    ERRORS = "errors"
    SKIPPED = "skipped"
    SUSPENDED = "suspended"
    TOO_FAST = "too_fast"
    CANNOT_START = "cannot_start"
    FAILURE_RATE = "failure_rate"
    SLOW = "slow"
    SILENT = "silent"
    COUNTER = "counter"
    BLIND = "blind"
    MISSED_WIDELY = "missed_widely"
    CANNOT_PULL = "cannot_pull"
    CANNOT_DELIVER = "cannot_deliver"


# About a cluster as a whole, not about one of its jobs.
OF_CLUSTER = frozenset({Kind.BLIND, Kind.MISSED_WIDELY, Kind.CANNOT_PULL, Kind.CANNOT_DELIVER})


class Auto(Enum):
    """A threshold that follows from the job's own schedule or history."""

    AUTO = "auto"


AUTO = Auto.AUTO
Threshold = timedelta | int | Auto

# Thresholds are counts, percentages from 1 to 100, and durations or `auto`; all others durations.
COUNTED = frozenset(
    {Kind.MISSED, Kind.FAILING, Kind.ERRORS, Kind.SKIPPED, Kind.COUNTER, Kind.CANNOT_PULL}
)
PERCENT = frozenset({Kind.FAILURE_RATE, Kind.MISSED_WIDELY})
WITH_AUTO = frozenset({Kind.STALE, Kind.OVERRUNNING, Kind.SLOW})
# What a rule's spec may have beside `enabled` and thresholds.
MORE: Mapping[Kind, frozenset[str]] = {
    Kind.ERRORS: frozenset({"types"}),
    Kind.COUNTER: frozenset({"counters"}),
    Kind.CANNOT_START: frozenset({"unschedulable"}),
    Kind.FAILURE_RATE: frozenset({"window", "minExecutions"}),
    Kind.MISSED_WIDELY: frozenset({"minJobs"}),
}
WHOLE = 100  # percent
MOST_TYPES = 32  # of errors that a rule names

BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "late": {"warning": "5m", "critical": "1h"},
    "cannot_start": {
        "critical": "5m",
        "unschedulable": {"warning": "10m", "critical": "30m"},
    },
    "missed": {"critical": 1},
    "skipped": {"warning": 3},
    "failing": {"warning": 1, "critical": 3},
    "failure_rate": {"warning": 20, "window": "24h", "minExecutions": 5},
    "stale": {"critical": "auto"},
    "overrunning": {"warning": "auto"},
    "slow": {"info": "auto"},
    # Without a threshold a rule finds nothing. Of these only the job itself knows what is right.
    "too_fast": {},
    "suspended": {},
    # Only who reports can be held to these.
    "silent": {"warning": "5m"},
    "no_progress": {},
    "errors": {},
    "counter": {},
    "blind": {"critical": "2m"},
    "missed_widely": {"critical": 20, "minJobs": 10},
    "cannot_pull": {"critical": 10},
    "cannot_deliver": {"critical": "5m"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule with its thresholds; a rule without thresholds finds nothing.

    `types` are those of the errors that count, None for all; only the rule `errors` has some.
    `bounds` are what the rule `counter` holds a run's counters to.
    `unschedulable` are the limits of `cannot_start` for pods that no node takes; `window` is the
    time over which `failure_rate` counts, and it says nothing of fewer than `least` runs, nor
    `missed_widely` of fewer than `least` jobs.
    """

    enabled: bool
    thresholds: Mapping[Severity, Threshold]
    types: frozenset[str] | None = None
    bounds: tuple[counters.Bound, ...] = ()
    unschedulable: Mapping[Severity, timedelta] = field(default_factory=dict)
    window: timedelta | None = None
    least: int = 1


def kind(name: str) -> Kind:
    """Read the name of a rule; raises errors.InvalidSpec."""
    try:
        return Kind(name)
    except ValueError:
        known = ", ".join(Kind)
        raise errors.InvalidSpec("InvalidRule", f"rules.{name}: known are {known}") from None


def kind_of_job(name: str) -> Kind:
    """Read the name of a rule that a job can have; raises errors.InvalidSpec."""
    found = kind(name)
    if found in OF_CLUSTER:
        raise errors.InvalidSpec(
            "InvalidRule", f"rules.{name}: it is about the cluster: set it for the installation"
        )
    return found


def read(of: Kind, raw: Mapping[str, Any], otherwise: Rule | None) -> Rule:
    """Read one rule; what it does not say is as in `otherwise`. Raises errors.InvalidSpec."""
    before = otherwise or Rule(enabled=True, thresholds={})
    thresholds = {
        severity: _threshold(of, severity, raw[severity])
        for severity in Severity
        if raw.get(severity) is not None
    }
    # Which errors count goes with how many: a job that names its own number counts its own.
    types = None if thresholds else before.types
    said = {"thresholds": thresholds or before.thresholds, "types": types, **_more(of, raw)}
    return replace(before, enabled=raw.get("enabled", before.enabled), **said)


def _more(of: Kind, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a rule says beside its thresholds."""
    said = {}
    for name in MORE.get(of, ()):
        into, reader = _READ[name]
        if raw.get(name) is not None and (value := reader(f"rules.{of}.{name}", raw[name])):
            said[into] = value
    return said


def duration(field: str, raw: object) -> timedelta:
    """Read the duration of a field; raises errors.InvalidSpec, naming it."""
    try:
        value = durations.parse(raw) if isinstance(raw, str) else None
    except ValueError as error:
        raise errors.InvalidSpec("InvalidDuration", f"{field}: {error}") from error
    if not value:
        raise errors.InvalidSpec(
            "InvalidDuration", f"{field}: write a duration above zero, like 90s, 6h or 1h30m"
        )
    return value


def _unschedulable(field: str, raw: Mapping[str, Any]) -> Mapping[Severity, timedelta]:
    return {
        severity: duration(f"{field}.{severity}", raw[severity])
        for severity in Severity
        if raw.get(severity) is not None
    }


def _types(field: str, raw: object) -> frozenset[str]:
    named = raw if isinstance(raw, list) else []
    if not named or len(named) > MOST_TYPES or not all(isinstance(one, str) for one in named):
        raise errors.InvalidSpec(
            "InvalidRule", f"{field}: write a list of 1 to {MOST_TYPES} types of errors"
        )
    return frozenset(named)


def _threshold(of: Kind, severity: Severity, raw: object) -> Threshold:
    field = f"rules.{of}.{severity}"
    if of in PERCENT:
        return _percent(field, raw)
    if of in COUNTED:
        return _count(field, raw)
    if raw == AUTO.value and of in WITH_AUTO:
        return AUTO
    return duration(field, raw)


def _count(field: str, raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 1:
        raise errors.InvalidSpec("InvalidRule", f"{field}: write a whole number from 1 up")
    return raw


def _percent(field: str, raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw <= WHOLE:
        raise errors.InvalidSpec("InvalidRule", f"{field}: write a whole number from 1 to {WHOLE}")
    return raw


_READ: Mapping[str, tuple[str, Callable[[str, Any], object]]] = {
    "types": ("types", _types),
    "unschedulable": ("unschedulable", _unschedulable),
    "window": ("window", duration),
    "minExecutions": ("least", _count),
    "minJobs": ("least", _count),
    "counters": ("bounds", counters.read),
}

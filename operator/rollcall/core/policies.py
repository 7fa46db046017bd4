"""What a job wants: thresholds by severity, who is told and how often, which windows runs get.

A rule whose job names at least one threshold has exactly those; the installation's defaults step in
only for rules without. That is the one way in which a default can also be taken away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from itertools import pairwise
from typing import Any

from rollcall.core import durations, errors, maintenance, windows

# By name: the field of the same name as its module would hide it in its own class.
from rollcall.core.maintenance import Window as Maintenance


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


class Auto(Enum):
    """A threshold that follows from the job's own schedule or history."""

    AUTO = "auto"


AUTO = Auto.AUTO
Threshold = timedelta | int | Auto

# Thresholds are counts; all others are durations.
COUNTED = frozenset({Kind.MISSED, Kind.FAILING, Kind.ERRORS})
WITH_AUTO = frozenset({Kind.STALE, Kind.OVERRUNNING})
MOST_TYPES = 32  # of errors that a rule names

BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "late": {"warning": "5m", "critical": "1h"},
    "missed": {"critical": 1},
    "failing": {"warning": 1, "critical": 3},
    "stale": {"critical": "auto"},
    "overrunning": {"warning": "auto"},
    # Only who reports can be held to it: without a threshold a rule finds nothing.
    "no_progress": {},
    "errors": {},
}
DEFAULT_COOLDOWN = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule with its thresholds; a rule without thresholds finds nothing.

    `types` are those of the errors that count, None for all; only the rule `errors` has some.
    """

    enabled: bool
    thresholds: Mapping[Severity, Threshold]
    types: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStep:
    """So long after it was told: these channels as well, or all that take this severity."""

    after: timedelta
    channels: tuple[str, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Who is told, and how often; `channels` None means every channel that selects the job."""

    channels: tuple[str, ...] | None
    cooldown: timedelta
    recovery_threshold: int
    owner: str | None
    runbook_url: str | None
    maintenance: tuple[Maintenance, ...] = ()
    escalation: tuple[EscalationStep, ...] = ()  # in order of time


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that a job's spec says about findings, alerts and windows, defaults applied."""

    rules: Mapping[Kind, Rule]
    alerts: Alerts
    window: windows.Wish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The installation's policy for jobs that do not say otherwise."""

    rules: Mapping[Kind, Rule]
    cooldown: timedelta = DEFAULT_COOLDOWN
    recovery_threshold: int = 1


def defaults(
    rules: Mapping[str, Any] | None = None,
    *,
    cooldown: timedelta = DEFAULT_COOLDOWN,
    recovery_threshold: int = 1,
) -> Defaults:
    """Read the installation's defaults: the built-in ones, replaced rule by rule.

    Raises errors.InvalidSpec.
    """
    known = {Kind(name): _rule(Kind(name), raw, None) for name, raw in BUILT_IN.items()}
    for name, raw in (rules or {}).items():
        kind = _kind(name)
        known[kind] = _rule(kind, raw, known[kind])
    return Defaults(rules=known, cooldown=cooldown, recovery_threshold=recovery_threshold)


def read(spec: Mapping[str, Any], installation: Defaults) -> Policy:
    """Read `rules`, `alerts` and `window` of a TrackedCronJob's spec.

    Raises errors.InvalidSpec, naming the field and what to write instead.
    """
    rules = dict(installation.rules)
    for name, raw in (spec.get("rules") or {}).items():
        kind = _kind(name)
        rules[kind] = _rule(kind, raw, rules[kind])
    return Policy(
        rules=rules,
        alerts=_alerts(spec.get("alerts") or {}, installation),
        window=windows.read(spec),
    )


def _alerts(raw: Mapping[str, Any], installation: Defaults) -> Alerts:
    channels = raw.get("channels")
    cooldown = raw.get("cooldown")
    return Alerts(
        channels=tuple(channels) if channels is not None else None,
        cooldown=_duration("alerts.cooldown", cooldown) if cooldown else installation.cooldown,
        recovery_threshold=raw.get("recoveryThreshold", installation.recovery_threshold),
        owner=raw.get("owner"),
        runbook_url=raw.get("runbookURL"),
        maintenance=maintenance.read_all(raw.get("maintenance") or (), "alerts.maintenance"),
        escalation=_escalation(raw.get("escalation") or ()),
    )


def _escalation(raw: Sequence[Mapping[str, Any]]) -> tuple[EscalationStep, ...]:
    steps = tuple(_step(one, f"alerts.escalation[{number}]") for number, one in enumerate(raw))
    if any(later.after <= earlier.after for earlier, later in pairwise(steps)):
        raise errors.InvalidSpec(
            "InvalidEscalation", "alerts.escalation: write steps that come one after the other"
        )
    return steps


def _step(raw: Mapping[str, Any], field: str) -> EscalationStep:
    channels, severity = tuple(raw.get("channels") or ()), raw.get("severity")
    if bool(channels) == bool(severity):
        raise errors.InvalidSpec("InvalidEscalation", f"{field}: write channels or severity")
    return EscalationStep(
        after=_duration(f"{field}.after", raw.get("after")),
        channels=channels,
        severity=Severity(severity) if severity else None,
    )


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        known = ", ".join(Kind)
        raise errors.InvalidSpec("InvalidRule", f"rules.{name}: known are {known}") from None


def _rule(kind: Kind, raw: Mapping[str, Any], otherwise: Rule | None) -> Rule:
    thresholds = {
        severity: _threshold(kind, severity, raw[severity])
        for severity in Severity
        if raw.get(severity) is not None
    }
    types = _types(raw.get("types")) if kind is Kind.ERRORS else None
    if not thresholds and otherwise:
        thresholds, types = dict(otherwise.thresholds), types or otherwise.types
    enabled = raw.get("enabled", otherwise.enabled if otherwise else True)
    return Rule(enabled=enabled, thresholds=thresholds, types=types)


def _types(raw: object) -> frozenset[str] | None:
    if raw is None:
        return None
    named = raw if isinstance(raw, list) else []
    if not named or len(named) > MOST_TYPES or not all(isinstance(one, str) for one in named):
        raise errors.InvalidSpec(
            "InvalidRule", f"rules.errors.types: write a list of 1 to {MOST_TYPES} types of errors"
        )
    return frozenset(named)


def _threshold(kind: Kind, severity: Severity, raw: object) -> Threshold:
    field = f"rules.{kind}.{severity}"
    if kind in COUNTED:
        if isinstance(raw, bool) or not isinstance(raw, int) or raw < 1:
            raise errors.InvalidSpec("InvalidRule", f"{field}: write a whole number from 1 up")
        return raw
    if raw == AUTO.value and kind in WITH_AUTO:
        return AUTO
    return _duration(field, raw)


def _duration(field: str, raw: object) -> timedelta:
    try:
        value = durations.parse(raw) if isinstance(raw, str) else None
    except ValueError as error:
        raise errors.InvalidSpec("InvalidDuration", f"{field}: {error}") from error
    if not value:
        raise errors.InvalidSpec(
            "InvalidDuration", f"{field}: write a duration above zero, like 90s, 6h or 1h30m"
        )
    return value

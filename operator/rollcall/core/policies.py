"""What a job wants: thresholds by severity, who is told and how often, which windows runs get.

A rule whose job names at least one threshold has exactly those; the installation's defaults step in
only for rules without. That is the one way in which a default can also be taken away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

from rollcall.core import errors, maintenance, rule_specs, tracking, windows

# By name: the field of the same name as its module would hide it in its own class.
from rollcall.core.maintenance import Window as Maintenance
from rollcall.core.rule_specs import AUTO, BUILT_IN, OF_CLUSTER, Kind, Rule, Severity

# Everybody finds them here.
__all__ = ["AUTO", "BUILT_IN", "OF_CLUSTER", "Kind", "Rule", "Severity"]

DEFAULT_COOLDOWN = timedelta(hours=6)


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
    """All that a job's spec says about findings, alerts and windows, defaults applied.

    `heartbeat` is how often its pods are heard while all is well.
    """

    rules: Mapping[Kind, Rule]
    alerts: Alerts
    window: windows.Wish | None = None
    heartbeat: timedelta = tracking.DEFAULT_HEARTBEAT


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
    known = {Kind(name): rule_specs.read(Kind(name), raw, None) for name, raw in BUILT_IN.items()}
    for name, raw in (rules or {}).items():
        kind = rule_specs.kind(name)
        known[kind] = rule_specs.read(kind, raw, known[kind])
    return Defaults(rules=known, cooldown=cooldown, recovery_threshold=recovery_threshold)


def of_cluster(installation: Defaults) -> Alerts:
    """Return how people are told of what is wrong with a cluster as a whole."""
    return _alerts({}, installation)


def read(spec: Mapping[str, Any], installation: Defaults) -> Policy:
    """Read `rules`, `alerts`, `window` and the heartbeat of a TrackedCronJob's spec.

    Raises errors.InvalidSpec, naming the field and what to write instead.
    """
    rules = dict(installation.rules)
    for name, raw in (spec.get("rules") or {}).items():
        kind = rule_specs.kind_of_job(name)
        rules[kind] = rule_specs.read(kind, raw, rules[kind])
    return Policy(
        rules=rules,
        alerts=_alerts(spec.get("alerts") or {}, installation),
        window=windows.read(spec),
        heartbeat=heartbeat(spec),
    )


def _alerts(raw: Mapping[str, Any], installation: Defaults) -> Alerts:
    channels = raw.get("channels")
    cooldown = raw.get("cooldown")
    return Alerts(
        channels=tuple(channels) if channels is not None else None,
        cooldown=_cooldown(cooldown) if cooldown else installation.cooldown,
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
        after=rule_specs.duration(f"{field}.after", raw.get("after")),
        channels=channels,
        severity=Severity(severity) if severity else None,
    )


def heartbeat(spec: Mapping[str, Any]) -> timedelta:
    """Read how often sidecars of the job report; raises errors.InvalidSpec."""
    said = (spec.get("tracking") or {}).get("heartbeatInterval")
    if not said:
        return tracking.DEFAULT_HEARTBEAT
    return rule_specs.duration("tracking.heartbeatInterval", said)


def _cooldown(raw: object) -> timedelta:
    return rule_specs.duration("alerts.cooldown", raw)

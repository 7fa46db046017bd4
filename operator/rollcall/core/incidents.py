"""A finding that is kept from opened to resolved, and when somebody is told.

The rules:
- At most one incident per (job, kind) is open; it changes severity, it is not opened twice.
- Opened, raised, or of a new nature (another reason or class of exit code): told at once. Otherwise
  a reminder every cooldown; what happened in between is counted and said with it.
- An inhibited incident is kept and shown, not told; it is told when nothing inhibits it any more.
- A resolve notice only for what was told.
Every step carries the reason for telling or not telling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from rollcall.core import findings, ids, policies


class Transition(StrEnum):
    """The steps of an incident, stored by value."""

    OPENED = "opened"
    CHANGED = "changed"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


# From which transition (None: no open incident) which one may follow.
TRANSITIONS: Mapping[Transition | None, frozenset[Transition]] = {
    None: frozenset({Transition.OPENED}),
    Transition.OPENED: frozenset(set(Transition)),
    Transition.CHANGED: frozenset(set(Transition)),
    Transition.REMINDER: frozenset(set(Transition)),
    Transition.RESOLVED: frozenset(),
    Transition.WITHDRAWN: frozenset(),
}
ENDS = frozenset({Transition.RESOLVED, Transition.WITHDRAWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One problem of one job. `version` counts its steps and makes each one's key."""

    id: UUID
    cronjob_id: UUID
    kind: policies.Kind
    severity: policies.Severity
    reason: str
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    execution_id: UUID | None = None
    opened_at: datetime
    resolved_at: datetime | None = None
    announced_at: datetime | None = None  # first told
    notified_at: datetime | None = None  # last told
    suppressed: int = 0  # occurrences since then
    reasons: tuple[str, ...] = ()  # all natures of it that were told
    inhibited_by: policies.Kind | None = None
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether the problem is not solved yet."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to write: the incident as it is now, and the transition, if this is one.

    `notify` says whether channels are told, `why` why or why not.
    """

    incident: Incident
    transition: Transition | None
    notify: bool
    why: str
    told_suppressed: int = 0  # the occurrences that this message speaks for


def decide(
    incident: Incident | None,
    finding: findings.Finding | None,
    *,
    cronjob_id: UUID,
    inhibited_by: policies.Kind | None,
    alerts: policies.Alerts,
    recovered: bool,
    now: datetime,
) -> Step | None:
    """Return the step from the open incident (None: there is none) under today's finding."""
    if incident is None:
        return _open(finding, cronjob_id, inhibited_by, now) if finding else None
    if finding is None:
        return _end(incident, Transition.RESOLVED, now) if recovered else None
    return _continue(incident, finding, inhibited_by, alerts, now)


def withdraw(incident: Incident, now: datetime) -> Step:
    """End an incident whose job was deleted."""
    return _end(incident, Transition.WITHDRAWN, now)


def remind_at(incident: Incident, alerts: policies.Alerts) -> datetime | None:
    """Return when the next reminder is due, None while nobody was told."""
    return incident.notified_at + alerts.cooldown if incident.notified_at else None


def _open(
    finding: findings.Finding, cronjob_id: UUID, inhibited_by: policies.Kind | None, now: datetime
) -> Step:
    incident = Incident(
        id=ids.incident_id(cronjob_id=cronjob_id, kind=finding.kind, opened_at=now),
        cronjob_id=cronjob_id,
        kind=finding.kind,
        severity=finding.severity,
        reason=finding.reason,
        message=finding.message,
        evidence=finding.evidence,
        execution_id=finding.execution_id,
        opened_at=now,
        inhibited_by=inhibited_by,
    )
    if inhibited_by:
        return _kept(incident, Transition.OPENED, f"InhibitedBy:{inhibited_by}")
    return _told(incident, Transition.OPENED, "Opened", now)


def _continue(
    incident: Incident,
    finding: findings.Finding,
    inhibited_by: policies.Kind | None,
    alerts: policies.Alerts,
    now: datetime,
) -> Step | None:
    current = replace(
        incident,
        severity=finding.severity,
        reason=finding.reason,
        message=finding.message,
        evidence=finding.evidence,
        execution_id=finding.execution_id,
        inhibited_by=inhibited_by,
        suppressed=incident.suppressed + _is_repeat(incident, finding),
    )
    raised = finding.severity.weight > incident.severity.weight
    if inhibited_by:
        return _quietly(incident, current, f"InhibitedBy:{inhibited_by}")
    if incident.announced_at is None:
        return _told(_next(current), Transition.OPENED, "NoLongerInhibited", now)
    if raised:
        return _told(_next(current), Transition.CHANGED, "SeverityRaised", now)
    if _nature(finding) not in incident.reasons:
        return _told(_next(current), Transition.CHANGED, "NewReason", now)
    due_at = remind_at(incident, alerts)
    if due_at and now >= due_at:
        return _told(_next(current), Transition.REMINDER, "CooldownOver", now)
    return _quietly(incident, current, "WithinCooldown")


def _nature(of: findings.Finding | Incident) -> str:
    """Return what makes it another problem: its reason, and the class of the exit code."""
    how = of.evidence.get("exitClass")
    return f"{of.reason} ({how})" if how else of.reason


def _is_repeat(incident: Incident, finding: findings.Finding) -> bool:
    """Whether it happened again: another run, or one more in the row."""
    return (finding.execution_id, finding.evidence.get("count")) != (
        incident.execution_id,
        incident.evidence.get("count"),
    )


def _quietly(before: Incident, after: Incident, why: str) -> Step | None:
    if after == before:
        return None
    changed = after.severity is not before.severity
    transition = Transition.CHANGED if changed else None
    return _kept(_next(after) if transition else after, transition, why)


def _end(incident: Incident, transition: Transition, now: datetime) -> Step:
    ended = replace(_next(incident), resolved_at=now)
    if incident.announced_at is None:
        return _kept(ended, transition, "NeverAnnounced")
    return _told(ended, transition, transition.value.capitalize(), now)


def _next(incident: Incident) -> Incident:
    return replace(incident, version=incident.version + 1)


def _kept(incident: Incident, transition: Transition | None, why: str) -> Step:
    return Step(incident=incident, transition=transition, notify=False, why=why)


def _told(incident: Incident, transition: Transition, why: str, now: datetime) -> Step:
    told = replace(
        incident,
        announced_at=incident.announced_at or now,
        notified_at=now,
        suppressed=0,
        reasons=tuple(dict.fromkeys((*incident.reasons, _nature(incident)))),
    )
    return Step(
        incident=told,
        transition=transition,
        notify=True,
        why=why,
        told_suppressed=incident.suppressed,
    )

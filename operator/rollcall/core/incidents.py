"""A finding that is kept from opened to resolved, and the steps in between.

At most one incident per (job, kind), or per (cluster, kind) for the kinds that are about a cluster
as a whole, or per channel of it, is open; it changes severity, it is not opened twice.
TRANSITIONS is the whole state machine. `incident_steps` decides the steps, `acts` are those that
people take.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from rollcall.core import findings, policies


class Transition(StrEnum):
    """The steps of an incident, stored by value."""

    OPENED = "opened"
    CHANGED = "changed"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


# A problem flaps that comes again so soon after it was over, and is over once it was gone for so
# long: in such a time people hear of one beginning, one end, and that it flaps.
FLAPS_WITHIN = timedelta(hours=1)
STABLE = timedelta(hours=1)

ENDS = frozenset({Transition.RESOLVED, Transition.WITHDRAWN})
# From which transition (None: no open incident) which one may follow.
TRANSITIONS: Mapping[Transition | None, frozenset[Transition]] = {
    None: frozenset({Transition.OPENED}),
    **{one: frozenset() if one in ENDS else frozenset(Transition) for one in Transition},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody looks after it."""

    at: datetime
    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Somebody ended it by hand, whatever is found."""

    by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One problem of one job, or of a cluster. `version` counts its steps and makes each one's key.

    Exactly one of `cronjob_id` and `cluster` is set, the latter for the kinds of a cluster. Of one
    that is about one of its channels, `channel` is that.
    """

    id: UUID
    cronjob_id: UUID | None = None
    cluster: str | None = None
    channel: str | None = None
    kind: policies.Kind
    severity: policies.Severity
    reason: str
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    execution_id: UUID | None = None
    opened_at: datetime
    resolved_at: datetime | None = None
    announced_at: datetime | None = None  # first told
    # Last told. None of one that was announced: it is not sure that anybody heard.
    notified_at: datetime | None = None
    suppressed: int = 0  # occurrences since then
    reasons: tuple[str, ...] = ()  # all natures of it that were told
    inhibited_by: policies.Kind | None = None
    silenced_by: str | None = None  # what keeps it quiet now
    held_back: bool = False  # a silence or another problem kept something of it from being told
    escalated: int = 0  # steps of escalation that were taken
    escalate_at: datetime | None = None  # when the next one is due
    acknowledged: Acknowledgement | None = None
    false_alarm: bool = False  # somebody said so; it counts in statistics alone
    flapping: bool = (
        False  # it came again soon after it was over, and stays open until it is stable
    )
    gone_since: datetime | None = None  # of one that flaps: since when it is not found
    tell_again: bool = False  # somebody asked for it: at the next look, whatever keeps it quiet
    dismissed: bool = False  # resolved by hand while the finding held, which it did ever since
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether the problem is not solved yet."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to write: the incident as it is now, and the transition, if this is one.

    `notify` says whether channels are told, `why` why or why not. `follows` is the dismissed
    incident of the same problem.
    """

    incident: Incident
    transition: Transition | None
    notify: bool
    why: str
    told_suppressed: int = 0  # the occurrences that this message speaks for
    follows: UUID | None = None
    resolution: Resolution | None = None  # by hand


def nature(of: findings.Finding | Incident) -> str:
    """Return what makes it another problem: its reason, and the class of the exit code."""
    how = of.evidence.get("exitClass")
    return f"{of.reason} ({how})" if how else of.reason


def remind_at(incident: Incident, alerts: policies.Alerts) -> datetime | None:
    """Return when the next reminder is due; None while nobody was told, or it is kept quiet."""
    if incident.notified_at is None or _is_quiet(incident):
        return None
    return incident.notified_at + alerts.cooldown


def escalate_at(incident: Incident, alerts: policies.Alerts) -> datetime | None:
    """Return when the next step of escalation is due; None if there is none, or it is kept quiet.

    An acknowledgement stops the steps that are left.
    """
    if _is_quiet(incident) or incident.escalated >= len(alerts.escalation):
        return None
    return incident.escalate_at


def stable_at(incident: Incident) -> datetime | None:
    """Return when one that flaps is over if it is not found again; None while it is found."""
    return incident.gone_since + STABLE if incident.gone_since else None


def _is_quiet(incident: Incident) -> bool:
    return bool(
        incident.acknowledged
        or incident.inhibited_by
        or incident.silenced_by
        or incident.gone_since
    )

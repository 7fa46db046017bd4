"""Whether channels are told of an incident that lasts, and why or why not."""

from datetime import datetime

from rollcall.core import policies
from rollcall.core.incidents import Incident, Transition, escalate_at, nature, remind_at


def telling(
    before: Incident, current: Incident, alerts: policies.Alerts, now: datetime
) -> tuple[Transition, str] | None:
    """Return what channels are told and why, None if they are not."""
    if current.silenced_by:
        return None
    if current.tell_again:
        return (Transition.REMINDER if before.announced_at else Transition.OPENED), "AskedFor"
    if current.inhibited_by or current.acknowledged:
        return None
    return _news(before, current) or _due(current, alerts, now)


def _due(
    current: Incident, alerts: policies.Alerts, now: datetime
) -> tuple[Transition, str] | None:
    """Return what is told again because of the time alone."""
    escalate, remind = escalate_at(current, alerts), remind_at(current, alerts)
    if escalate and now >= escalate:
        return Transition.ESCALATED, "NotAcknowledged"
    return (Transition.REMINDER, "CooldownOver") if remind and now >= remind else None


def _news(before: Incident, current: Incident) -> tuple[Transition, str] | None:
    """Return what nobody was told yet, and why it is told now."""
    if before.announced_at is None or before.notified_at is None:
        return Transition.OPENED, _why_only_now(before)
    if before.held_back:
        return Transition.CHANGED, _why_only_now(before)
    if current.severity.weight > before.severity.weight:
        return Transition.CHANGED, "SeverityRaised"
    is_other = nature(current) not in before.reasons
    return (Transition.CHANGED, "NewReason") if is_other else None


def _why_only_now(before: Incident) -> str:
    if before.inhibited_by:
        return "NoLongerInhibited"
    return "NoLongerSilenced" if before.silenced_by or before.held_back else "Unacknowledged"


def why_quiet(incident: Incident) -> str:
    """Return why nobody is told of one that goes on."""
    if incident.inhibited_by:
        return f"InhibitedBy:{incident.inhibited_by}"
    if incident.silenced_by:
        return f"SilencedBy:{incident.silenced_by}"
    if incident.acknowledged:
        return "Acknowledged"
    return "Flapping" if incident.flapping else "WithinCooldown"

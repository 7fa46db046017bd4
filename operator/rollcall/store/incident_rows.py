"""Rows of `incidents` as values, and values as rows."""

from typing import Any

import sqlalchemy as sa

from rollcall.core import incidents, policies


def columns(incident: incidents.Incident) -> dict[str, Any]:
    """Return what a step may change, by column."""
    return {
        "severity": incident.severity.value,
        "reason": incident.reason,
        "message": incident.message,
        "evidence": incident.evidence,
        "execution_id": incident.execution_id,
        "resolved_at": incident.resolved_at,
        "announced_at": incident.announced_at,
        "notified_at": incident.notified_at,
        "suppressed": incident.suppressed,
        "reasons": list(incident.reasons),
        "inhibited_by": incident.inhibited_by.value if incident.inhibited_by else None,
        "silenced_by": incident.silenced_by,
        "held_back": incident.held_back,
        "escalated": incident.escalated,
        "escalate_at": incident.escalate_at,
        **_acknowledged(incident.acknowledged),
        "flapping": incident.flapping,
        "gone_since": incident.gone_since,
        "false_alarm": incident.false_alarm,
        "tell_again": incident.tell_again,
        "dismissed": incident.dismissed,
        "version": incident.version,
    }


def _acknowledged(given: incidents.Acknowledgement | None) -> dict[str, Any]:
    return {
        "acknowledged_at": given.at if given else None,
        "acknowledged_by": given.by if given else None,
        "acknowledge_reason": given.reason if given else None,
    }


def incident_of(row: sa.Row[Any]) -> incidents.Incident:
    """Read a row of `incidents`."""
    return incidents.Incident(
        id=row.id,
        cronjob_id=row.cronjob_id,
        cluster=row.cluster,
        channel=row.channel,
        kind=policies.Kind(row.kind),
        severity=policies.Severity(row.severity),
        reason=row.reason,
        message=row.message,
        evidence=row.evidence,
        execution_id=row.execution_id,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        announced_at=row.announced_at,
        notified_at=row.notified_at,
        suppressed=row.suppressed,
        reasons=tuple(row.reasons),
        inhibited_by=policies.Kind(row.inhibited_by) if row.inhibited_by else None,
        silenced_by=row.silenced_by,
        held_back=row.held_back,
        escalated=row.escalated,
        escalate_at=row.escalate_at,
        acknowledged=_acknowledgement(row),
        flapping=row.flapping,
        gone_since=row.gone_since,
        false_alarm=row.false_alarm,
        tell_again=row.tell_again,
        dismissed=row.dismissed,
        version=row.version,
    )


def _acknowledgement(row: sa.Row[Any]) -> incidents.Acknowledgement | None:
    if row.acknowledged_at is None:
        return None
    return incidents.Acknowledgement(
        at=row.acknowledged_at, by=row.acknowledged_by, reason=row.acknowledge_reason
    )

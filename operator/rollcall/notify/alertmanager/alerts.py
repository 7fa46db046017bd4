"""A notification's payload as an alert of Alertmanager's API v2.

The labels are what Alertmanager knows an alert by: only what stays through an incident is one, and
its severity, by which people route. One whose severity changed is another alert there; the one
before ends by itself, at its `endsAt`.
"""

from datetime import datetime, timedelta
from typing import Any

from rollcall.core import messages
from rollcall.notify import wording

HOLDS = timedelta(minutes=5)  # how long an alert outlives the last word of it


def render(payload: wording.Payload, now: datetime) -> dict[str, Any]:
    """Build the alert; one that is open ends so much later, unless it is posted again."""
    incident = payload["incident"]
    opened_at = datetime.fromisoformat(incident["openedAt"])
    # The former is the database's clock, the latter ours: an end before the begin is refused.
    until = messages.rfc3339(max(now, opened_at) + HOLDS)
    return {
        "labels": _labels(payload),
        "annotations": _annotations(payload),
        "startsAt": incident["openedAt"],
        "endsAt": incident["resolvedAt"] or until,
    }


def _labels(payload: wording.Payload) -> dict[str, str]:
    incident, job = payload["incident"], payload["cronjob"] or {}
    kind = str(incident["kind"])
    labels = {
        "alertname": "Rollcall" + "".join(word.capitalize() for word in kind.split("_")),
        "cluster": payload.get("cluster"),
        "namespace": job.get("namespace"),
        "cronjob": job.get("name"),
        "kind": kind,
        "severity": incident["severity"],
        "group": job.get("group"),
        "owner": job.get("owner"),
        "channel": (incident.get("evidence") or {}).get("channel"),
    }
    return _texts(labels)


def _annotations(payload: wording.Payload) -> dict[str, str]:
    incident = payload["incident"]
    facts = wording.facts(payload)
    annotations = {
        "summary": wording.problem(payload),
        "description": wording.said(payload),
        "reason": incident.get("reason"),
        "slot": facts.get("Slot"),
        "job": facts.get("Job"),
        "jobs": facts.get("Jobs"),
        "exit_code": facts.get("Exit code"),
        "last_runs": facts.get("Last runs"),
        "changes": wording.changes(payload),
        "output": wording.output(payload),
        "advice": wording.advice(payload),
        "runbook_url": wording.runbook(payload),
        "incident": incident["id"],
    }
    return _texts(annotations)


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value}

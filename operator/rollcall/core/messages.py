"""The payload of a notification: what a webhook receives and what other channels render.

Version 1. Additions keep the version; a changed meaning would raise it. Times are RFC 3339 in UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rollcall.core import executions, hints, incidents, policies

VERSION = 1
TEST = "test"
MOST_JOBS = 20  # that a message lists
DIGEST = "digest"
_TOLD_AS_NEW = frozenset(
    f"incident.{one}" for one in (incidents.Transition.CHANGED, incidents.Transition.REMINDER)
)
_ENDS = frozenset(f"incident.{one}" for one in incidents.ENDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The job that a notification is about."""

    namespace: str
    name: str
    uid: str
    group: str | None


def payload(
    *,
    step: incidents.Step,
    transition: incidents.Transition,
    at: datetime,
    cluster: str,
    subject: Subject,
    alerts: policies.Alerts,
    execution: executions.Execution | None,
    recent: Sequence[executions.Execution] = (),
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the message of one incident transition; `recent` are the job's runs, newest first.

    `changes` is what differs from the last success (`changes.told`).
    """
    incident = step.incident
    commands = hints.commands(incident, execution, namespace=subject.namespace, name=subject.name)
    return {
        "version": VERSION,
        "type": f"incident.{transition}",
        "time": rfc3339(at),
        "cluster": cluster,
        "incident": _incident(incident) | {"resolvedBy": _by_hand(step.resolution)},
        "cronjob": _cronjob(subject, alerts),
        "jobs": [],
        "execution": _execution(execution) if execution else None,
        "lastRuns": [_run(run) for run in hints.last_runs(recent)],
        "changes": changes,
        "advice": hints.advice(incident, execution),
        "commands": commands,
        "suppressed": step.told_suppressed,
    }


def of_cluster(
    incident: incidents.Incident,
    transition: incidents.Transition,
    *,
    at: datetime,
    cluster: str,
    jobs: Sequence[str] = (),
    suppressed: int = 0,
    resolution: incidents.Resolution | None = None,
) -> dict[str, Any]:
    """Build the message of a step of an incident that is about no single job.

    `jobs` are those of them that its reader may know of, as namespace/name.
    """
    return {
        "version": VERSION,
        "type": f"incident.{transition}",
        "time": rfc3339(at),
        "cluster": cluster,
        "incident": _incident(incident) | {"resolvedBy": _by_hand(resolution)},
        "cronjob": None,
        "jobs": [
            dict(zip(("namespace", "name"), job.split("/"), strict=True))
            for job in sorted(jobs)[:MOST_JOBS]
        ],
        "execution": None,
        "lastRuns": [],
        "changes": None,
        "advice": hints.advice(incident, None),
        "commands": hints.commands_of_cluster(incident),
        "suppressed": suppressed,
    }


def restated(payload: Mapping[str, Any], incident: incidents.Incident) -> dict[str, Any]:
    """Return the message with the incident as it is now."""
    return {**payload, "incident": {**payload["incident"], **_incident(incident)}}


def is_end(kind: str) -> bool:
    """Whether a message of this type is the last of its incident."""
    return kind in _ENDS


def together(payloads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Build one message of several that nobody had, oldest first: each incident as it stands last.

    Of one incident it is a message like any other, of several a digest.
    """
    by_incident: dict[str, list[Mapping[str, Any]]] = {}
    for one in payloads:
        by_incident.setdefault(one["incident"]["id"], []).append(one)
    latest = [_latest(steps) for steps in by_incident.values()]
    if len(latest) == 1:
        return latest[0]
    return {
        "version": VERSION,
        "type": DIGEST,
        "time": max(one["time"] for one in latest),
        "cluster": latest[0]["cluster"],
        "incidents": [{name: one.get(name) for name in _LISTED} for one in latest],
    }


_LISTED = ("type", "time", "incident", "cronjob", "jobs", "execution", "suppressed")


def _latest(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last message, which speaks for those before: who reads it had none of them."""
    first, last = steps[0], steps[-1]
    opened = f"incident.{incidents.Transition.OPENED}"
    is_new = first["type"] == opened and last["type"] in _TOLD_AS_NEW
    return {
        **last,
        "type": opened if is_new else last["type"],
        # What a person does about many jobs names none, and would hide those that were named.
        "jobs": next((step["jobs"] for step in reversed(steps) if step.get("jobs")), []),
        "suppressed": sum(step["suppressed"] for step in steps),
    }


def trial(
    *, channel: str, cluster: str, namespace: str, identifier: UUID, at: datetime
) -> dict[str, Any]:
    """Build the message by which a person tries a channel; it is about no job."""
    return {
        "version": VERSION,
        "type": TEST,
        "time": rfc3339(at),
        "cluster": cluster,
        "incident": {
            "id": str(identifier),
            "kind": TEST,
            "severity": policies.Severity.INFO.value,
            "status": "open",
            "openedAt": rfc3339(at),
            "resolvedAt": None,
            "reason": "Test",
            "message": f"somebody tries AlertChannel {channel}; nothing is wrong",
            "evidence": {},
            "acknowledged": None,
            "escalated": 0,
            "resolvedBy": None,
            "flapping": False,
        },
        "cronjob": {
            "namespace": namespace,
            "name": channel,
            "uid": "",
            "group": None,
            "owner": None,
            "runbookURL": None,
        },
        "jobs": [],
        "execution": None,
        "lastRuns": [],
        "changes": None,
        "advice": None,
        "commands": [],
        "suppressed": 0,
    }


def ended(payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return the message that ends what this one told of."""
    over = {"status": "resolved", "resolvedAt": rfc3339(at)}
    return {
        **payload,
        "type": f"incident.{incidents.Transition.RESOLVED}",
        "time": rfc3339(at),
        "incident": payload["incident"] | over,
    }


def rfc3339(at: datetime) -> str:
    """Write an instant in UTC, to the millisecond, with a Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _incident(incident: incidents.Incident) -> dict[str, Any]:
    return {
        "id": str(incident.id),
        "kind": incident.kind.value,
        "severity": incident.severity.value,
        "status": "open" if incident.is_open else "resolved",
        "openedAt": rfc3339(incident.opened_at),
        "resolvedAt": _optional(incident.resolved_at),
        "reason": incident.reason,
        "message": incident.message,
        # Names of jobs are for those who may know of them; a message has its own.
        "evidence": {name: one for name, one in incident.evidence.items() if name != "jobs"},
        "acknowledged": _acknowledged(incident.acknowledged),
        "escalated": incident.escalated,
        "flapping": incident.flapping,
    }


def _acknowledged(given: incidents.Acknowledgement | None) -> dict[str, Any] | None:
    return {"at": rfc3339(given.at), "by": given.by, "reason": given.reason} if given else None


def _by_hand(given: incidents.Resolution | None) -> dict[str, Any] | None:
    return {"by": given.by, "reason": given.reason} if given else None


def _cronjob(subject: Subject, alerts: policies.Alerts) -> dict[str, Any]:
    return {
        "namespace": subject.namespace,
        "name": subject.name,
        "uid": subject.uid,
        "group": subject.group,
        "owner": alerts.owner,
        "runbookURL": alerts.runbook_url,
    }


def _execution(execution: executions.Execution) -> dict[str, Any]:
    return {
        "id": str(execution.id),
        "jobName": execution.job_name,
        "slotTime": _slot(execution),
        "trigger": execution.trigger.value,
        "status": execution.status.value,
        "reason": execution.reason,
        "exitCode": execution.exit_code,
        "message": execution.message,
    }


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    return {"slotTime": rfc3339(run["at"]), "status": run["status"]}


def _slot(execution: executions.Execution) -> str | None:
    is_slot = execution.trigger is executions.Trigger.SCHEDULE
    return rfc3339(execution.slot_at) if is_slot else None


def _optional(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def key(identifier: UUID, version: int) -> str:
    """Return the idempotency key of one incident transition, the same for every try."""
    return f"{identifier}.{version}"


def key_together(key: str) -> str:
    """Return the key of one message for several, of which this is the first one's key."""
    return f"{key}.{DIGEST}"

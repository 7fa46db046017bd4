"""Values for tests: say only what matters, the rest is plausible."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rollcall.core import executions, findings, ids, incident_steps, incidents, policies, slots
from rollcall.services import ports

CLUSTER = "test"
SLOT_AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CREATED_AT = SLOT_AT - timedelta(days=30)


def job(name: str = "report", **changes: object) -> ports.TrackedJob:
    """Build a TrackedCronJob; its id follows from cluster and UID, and its UID from its name."""
    values: dict[str, Any] = {
        "cluster": CLUSTER,
        "uid": f"uid-of-{name}",
        "namespace": "shop",
        "name": name,
        "group": None,
        "policy": {},
        "created_at": CREATED_AT,
    }
    values |= changes
    identifier = ids.cronjob_id(cluster=values["cluster"], uid=values["uid"])
    return ports.TrackedJob(id=identifier, **values)


def revision(**changes: object) -> slots.Revision:
    """Build a schedule as applied: each five minutes, UTC, Forbid."""
    values: dict[str, Any] = {
        "generation": 1,
        "schedule": "*/5 * * * *",
        "time_zone": "Etc/UTC",
        "deadline": timedelta(days=1),
        "concurrency": "Forbid",
        "suspended": False,
        "effective_from": CREATED_AT,
    }
    values |= changes
    return slots.Revision(**values)


def applied(rhythm: slots.Revision | None = None, **changes: object) -> ports.Applied:
    """Build the outcome of an apply."""
    rhythm = rhythm or revision()
    values: dict[str, Any] = {
        "cronjob_uid": "cronjob-uid",
        "generation": rhythm.generation,
        "spec_hash": "hash",
        "revision": rhythm,
    }
    values |= changes
    return ports.Applied(**values)


def execution(of: ports.TrackedJob | None = None, **changes: object) -> executions.Execution:
    """Build the row of a slot; a manual run if `trigger` says so. Statuses bring what they need."""
    owner = (of or job()).id
    values: dict[str, Any] = {
        "slot_at": SLOT_AT,
        "trigger": executions.Trigger.SCHEDULE,
        "status": executions.Status.PENDING,
    }
    values |= changes
    slot_at, status = values["slot_at"], values["status"]
    if status in executions.NEVER_RAN or status is executions.Status.UNKNOWN:
        return _execution(owner, {"reason": "NotStarted", "message": "nothing ran"} | values)
    minutes = int(slot_at.timestamp()) // 60
    seen: dict[str, Any] = {
        "job_name": f"report-{minutes}",
        "job_uid": f"job-{owner.hex[:8]}-{minutes}-{values['trigger']}",
        "created_at": slot_at,
    }
    if status is executions.Status.RUNNING or status not in executions.OPEN:
        seen |= {"started_at": slot_at + timedelta(seconds=2), "attempts": 1}
    if status not in executions.OPEN:
        seen |= {"ended_at": slot_at + timedelta(seconds=32), "reason": status.value.capitalize()}
    return _execution(owner, seen | values)


def attempt(pod_uid: str = "pod-1", **changes: object) -> executions.Attempt:
    """Build a pod that was created with its slot and has not started yet."""
    values: dict[str, Any] = {
        "pod_uid": pod_uid,
        "pod_name": f"report-{pod_uid}",
        "job_uid": "job-1",
        "index": 0,
        "created_at": SLOT_AT,
        "started_at": None,
        "ended_at": None,
        "waiting_reason": None,
        "exit_code": None,
        "reason": None,
        "message": None,
    }
    values |= changes
    return executions.Attempt(**values)


def observation(of: ports.TrackedJob | None = None, **changes: object) -> executions.JobObservation:
    """Build the reading of a Job that was just created for its slot."""
    owner = of or job()
    minutes = int(SLOT_AT.timestamp()) // 60
    values: dict[str, Any] = {
        "namespace": owner.namespace,
        "job_name": f"{owner.name}-{minutes}",
        "job_uid": f"job-{owner.id.hex[:8]}-{minutes}",
        "tracked_uid": owner.uid,
        "owner_uid": "cronjob-uid",
        "slot_at": SLOT_AT,
        "created_at": SLOT_AT,
        "job_started_at": SLOT_AT,
        "suspended": False,
        "decided": None,
        "ended_at": None,
        "reason": None,
        "message": None,
    }
    values |= changes
    return executions.JobObservation(**values)


def finding(kind: policies.Kind = policies.Kind.FAILING, **changes: object) -> findings.Finding:
    """Build a rule that holds."""
    values: dict[str, Any] = {
        "kind": kind,
        "severity": policies.Severity.WARNING,
        "reason": "Error",
        "message": "1 run failed",
        "since": SLOT_AT,
        "evidence": {"count": 1},
    }
    values |= changes
    return findings.Finding(**values)


def alerts(**changes: object) -> policies.Alerts:
    """Build who is told and how often: all channels, every six hours."""
    values: dict[str, Any] = {
        "channels": None,
        "cooldown": timedelta(hours=6),
        "recovery_threshold": 1,
        "owner": None,
        "runbook_url": None,
    }
    values |= changes
    return policies.Alerts(**values)


def step(
    of: ports.TrackedJob | None = None,
    *,
    incident: incidents.Incident | None = None,
    found: findings.Finding | None = None,
    recovered: bool = False,
    now: datetime = SLOT_AT,
    kind: policies.Kind = policies.Kind.FAILING,
    inhibited_by: policies.Kind | None = None,
    **changes: object,
) -> incidents.Step:
    """Decide a step the real way: opening without `incident`, resolving with `recovered`."""
    decided = incident_steps.decide(
        incident,
        None if recovered else found or finding(kind, **changes),
        cronjob_id=(of or job()).id,
        inhibited_by=inhibited_by,
        alerts=alerts(),
        recovered=recovered,
        now=now,
    )
    if decided is None:
        raise AssertionError("nothing is to be written")
    return decided


def _execution(owner: UUID, values: dict[str, Any]) -> executions.Execution:
    slot_at = values["slot_at"]
    if values["trigger"] is executions.Trigger.SCHEDULE:
        identifier = ids.scheduled_execution_id(cronjob_id=owner, slot_at=slot_at)
    else:
        identifier = ids.job_execution_id(job_uid=values["job_uid"], slot_at=slot_at)
    return executions.Execution(**({"id": identifier, "cronjob_id": owner} | values))


def opened_of_cluster(
    finding: findings.Finding | None, *, channel: str | None = None, now: datetime
) -> incidents.Incident:
    """Open the incident of a finding about a cluster, or about one of its channels."""
    step = incident_steps.decide(
        None,
        finding,
        cronjob_id=None,
        cluster="prod",
        channel=channel,
        inhibited_by=None,
        alerts=alerts(),
        recovered=False,
        now=now,
    )
    assert step
    return step.incident

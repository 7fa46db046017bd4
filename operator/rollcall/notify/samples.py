"""Messages as examples, made by the code that makes all messages.

Templates are tried with them before anybody is told by them, and the reference shows them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rollcall.core import (
    changes,
    executions,
    findings,
    ids,
    incident_steps,
    incidents,
    messages,
    policies,
    reasons,
    run_rules,
    setups,
    words,
)

SLOT_AT = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
OPENED_AT = SLOT_AT + timedelta(seconds=65)
RESOLVED_AT = SLOT_AT + timedelta(days=1, seconds=52)
SUCCEEDED_AT = SLOT_AT - timedelta(days=2)
IMAGE = "registry.example.com/backup"
CRONJOB = UUID("019cab2e-0000-8000-8000-000000000001")
CLUSTER = "prod"
ALERTS = policies.Alerts(
    channels=None,
    cooldown=timedelta(hours=6),
    recovery_threshold=1,
    owner="team-data",
    runbook_url="https://wiki.example.com/backup",
)
RUN = executions.Execution(
    id=ids.scheduled_execution_id(cronjob_id=CRONJOB, slot_at=SLOT_AT),
    cronjob_id=CRONJOB,
    slot_at=SLOT_AT,
    trigger=executions.Trigger.SCHEDULE,
    status=executions.Status.FAILED,
    reason="OOMKilled",
    message="copied 41210 of 98500 orders\nsorting 57290 orders in memory",
    exit_code=137,
    job_name="backup-29540790",
)
RUNS = (*[executions.Status.SUCCEEDED] * 8, executions.Status.MISSED, executions.Status.FAILED)
FAILING = findings.Finding(
    kind=policies.Kind.FAILING,
    severity=policies.Severity.WARNING,
    reason="OOMKilled",
    message=run_rules.failing_message(RUN, 1),
    since=OPENED_AT,
    evidence={"count": 1, "exitCode": 137},
    execution_id=RUN.id,
)
LATE = findings.Finding(
    kind=policies.Kind.LATE,
    severity=policies.Severity.CRITICAL,
    reason="NotStarted",
    message=f"the run of {words.clock(SLOT_AT)} has not started for 1m5s",
    since=OPENED_AT,
)
WIDE = replace(
    LATE,
    kind=policies.Kind.MISSED_WIDELY,
    message=f"30 of 40 runs due within 5m until {words.clock(SLOT_AT)} did not start, "
    f"all because {reasons.REASONS['QuotaExceeded'].meaning}",
    evidence={"total": 30},
)
LOOKED_AFTER = {"at": messages.rfc3339(RESOLVED_AT), "by": "ada", "reason": None}


def every() -> Iterator[dict[str, Any]]:
    """Yield messages of each kind that differs in what it has."""
    opened, resolved = one_incident()
    yield opened
    yield resolved
    yield opened | {
        "type": f"incident.{incidents.Transition.ACKNOWLEDGED}",
        "incident": opened["incident"] | {"acknowledged": LOOKED_AFTER},
        "suppressed": 3,
    }
    bare = _message(_step(None, LATE, OPENED_AT), OPENED_AT, run=None)
    yield bare | {"cronjob": bare["cronjob"] | {"group": None, "owner": None, "runbookURL": None}}
    yield of_cluster()
    yield messages.trial(
        channel="team", cluster=CLUSTER, namespace="rollcall", identifier=CRONJOB, at=OPENED_AT
    )
    yield messages.together([*many(), of_cluster()])


def one_incident() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the messages of a problem's begin and end."""
    opened = _step(None, FAILING, OPENED_AT)
    resolved = _step(opened.incident, None, RESOLVED_AT)
    solved = (*RUNS[1:], executions.Status.SUCCEEDED)
    return _message(opened, OPENED_AT), _message(resolved, RESOLVED_AT, runs=solved)


def many() -> Iterator[dict[str, Any]]:
    """Yield the messages of several jobs that fail at once, some of them solved since."""
    opened, resolved = one_incident()
    names = ("backup", "invoices", "newsletter", "orders", "prices", "reminders", "stock")
    for number, name in enumerate(names):
        payload = resolved if name == "prices" else opened
        severity = "critical" if name in {"invoices", "orders"} else "warning"
        incident = {**payload["incident"], "id": str(UUID(int=number)), "severity": severity}
        incident["message"] = incident["message"].replace("backup", name)
        yield {**payload, "incident": incident, "cronjob": {**payload["cronjob"], "name": name}}


def of_cluster() -> dict[str, Any]:
    """Return a message that is about no single job."""
    return messages.of_cluster(
        _step(None, WIDE, OPENED_AT).incident,
        incidents.Transition.OPENED,
        at=OPENED_AT,
        cluster=CLUSTER,
        jobs=["shop/backup", "shop/invoices"],
    )


def _step(
    incident: incidents.Incident | None, finding: findings.Finding | None, now: datetime
) -> incidents.Step:
    step = incident_steps.decide(
        incident,
        finding,
        cronjob_id=CRONJOB,
        inhibited_by=None,
        alerts=ALERTS,
        recovered=finding is None,
        now=now,
    )
    if step is None:
        raise ValueError("an example of which nobody would be told")
    return step


def _message(
    step: incidents.Step,
    at: datetime,
    *,
    run: executions.Execution | None = RUN,
    runs: Sequence[executions.Status] = RUNS,
) -> dict[str, Any]:
    return messages.payload(
        step=step,
        transition=step.transition or incidents.Transition.OPENED,
        at=at,
        cluster=CLUSTER,
        subject=messages.Subject(namespace="shop", name="backup", uid="", group="billing"),
        alerts=ALERTS,
        execution=run,
        recent=[replace(RUN, status=status) for status in reversed(runs)] if run else (),
        changes=_changes(run) if run and step.incident.is_open else None,
    )


def _changes(run: executions.Execution) -> dict[str, Any] | None:
    """Compare with the success two nights before: a new tag, and less memory."""
    success = setups.Setup(
        run_id=ids.scheduled_execution_id(cronjob_id=CRONJOB, slot_at=SUCCEEDED_AT),
        slot_at=SUCCEEDED_AT,
        trigger=executions.Trigger.SCHEDULE,
        ended_at=SUCCEEDED_AT + timedelta(minutes=11),
        template_hash="one",
        version=setups.VERSION,
        images={"main": f"{IMAGE}:1.2"},
        parts={"main/resources": "3f1c9a07"},
        pods=[setups.Pod(ended_well=True, node="node-a", image_ids={})],
    )
    now = replace(
        success,
        run_id=run.id,
        slot_at=run.slot_at,
        template_hash="two",
        images={"main": f"{IMAGE}:1.3"},
        parts={"main/resources": "b7e2d415"},
    )
    compared = changes.compare(setups.Pair(run=now, success=success))
    return changes.told(compared) if compared else None

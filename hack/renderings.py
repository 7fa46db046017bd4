"""One incident as each kind of channel tells it, by the code that tells it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
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
    setups,
)
from rollcall.notify.alertmanager import alerts
from rollcall.notify.email import messages as email
from rollcall.notify.pagerduty import events
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import discord, teams
from rollcall.services import ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Render = Callable[[dict[str, Any]], str]

SLOT_AT = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
OPENED_AT = SLOT_AT + timedelta(seconds=65)
RESOLVED_AT = SLOT_AT + timedelta(days=1, seconds=52)
SUCCEEDED_AT = SLOT_AT - timedelta(days=2)
IMAGE = "registry.example.com/backup"
CRONJOB = UUID("019cab2e-0000-8000-8000-000000000001")
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
FOUND = findings.Finding(
    kind=policies.Kind.FAILING,
    severity=policies.Severity.WARNING,
    reason="OOMKilled",
    message="1 run failed, the last (backup-29540790) with exit code 137: OOMKilled",
    since=OPENED_AT,
    evidence={"count": 1, "exitCode": 137},
    execution_id=RUN.id,
)


def page() -> str:
    """Write what every kind of channel is sent, when the incident is opened and resolved."""
    opened, resolved = payloads()
    lines = []
    digest = messages.together(list(many()))
    for title, language, render in CHANNELS:
        lines += [f"## {title}", ""]
        for about, payload in (("Opened", opened), ("Resolved", resolved)):
            lines += [f"{about}:", "", f"```{language}", render(payload), "```", ""]
        if title not in PER_INCIDENT:
            lines += ["Digest:", "", f"```{language}", render(digest), "```", ""]
    return "\n".join(lines)


def payloads() -> Iterator[dict[str, Any]]:
    """Take the incident's two steps, and yield the message of each."""
    incident = None
    solved = (*RUNS[1:], executions.Status.SUCCEEDED)
    for finding, at, runs in ((FOUND, OPENED_AT, RUNS), (None, RESOLVED_AT, solved)):
        step = _step(incident, finding, at)
        if step and step.transition:
            incident = step.incident
            yield _payload(step, step.transition, at, runs)


def many() -> Iterator[dict[str, Any]]:
    """Yield the messages of several jobs that fail at once, some of them solved since."""
    opened, resolved = payloads()
    names = ("backup", "invoices", "newsletter", "orders", "prices", "reminders", "stock")
    for number, name in enumerate(names):
        payload = resolved if name == "prices" else opened
        severity = "critical" if name in {"invoices", "orders"} else "warning"
        incident = {**payload["incident"], "id": str(UUID(int=number)), "severity": severity}
        incident["message"] = incident["message"].replace("backup", name)
        yield {**payload, "incident": incident, "cronjob": {**payload["cronjob"], "name": name}}


def _step(
    incident: incidents.Incident | None, finding: findings.Finding | None, now: datetime
) -> incidents.Step | None:
    return incident_steps.decide(
        incident,
        finding,
        cronjob_id=CRONJOB,
        inhibited_by=None,
        alerts=ALERTS,
        recovered=finding is None,
        now=now,
    )


def _payload(
    step: incidents.Step,
    transition: incidents.Transition,
    at: datetime,
    runs: Sequence[executions.Status],
) -> dict[str, Any]:
    return messages.payload(
        step=step,
        transition=transition,
        at=at,
        cluster="prod",
        subject=messages.Subject(namespace="shop", name="backup", uid="", group="billing"),
        alerts=ALERTS,
        execution=RUN,
        recent=[replace(RUN, status=status) for status in reversed(runs)],
        changes=_changes() if step.incident.is_open else None,
    )


def _changes() -> dict[str, Any] | None:
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
    run = replace(
        success,
        run_id=RUN.id,
        slot_at=SLOT_AT,
        template_hash="two",
        images={"main": f"{IMAGE}:1.3"},
        parts={"main/resources": "b7e2d415"},
    )
    compared = changes.compare(setups.Pair(run=run, success=success))
    return changes.told(compared) if compared else None


def _email(payload: dict[str, Any]) -> str:
    first = payload["incidents"][0] if "incidents" in payload else payload
    identifier = first["incident"]["id"]
    key = messages.key(identifier, 1 if first["incident"]["resolvedAt"] is None else 2)
    mail = email.render(
        ports.Notification(
            id=1,
            incident_id=UUID(identifier),
            channel="mail",
            key=messages.key_together(key) if first is not payload else key,
            type=payload["type"],
            payload=payload,
            attempts=0,
            created_at=OPENED_AT,
        ),
        domain="example.com",
    )
    headers = [f"Subject: {mail.subject}", *(f"{name}: {it}" for name, it in mail.headers.items())]
    return "\n".join([*headers, "", mail.text.rstrip()])


def _json(render: Callable[[dict[str, Any]], Any]) -> Render:
    return lambda payload: json.dumps(render(payload), indent=2, ensure_ascii=False)


PER_INCIDENT = frozenset({"PagerDuty", "Alertmanager"})
CHANNELS: tuple[tuple[str, str, Render], ...] = (
    ("E-mail", "text", _email),
    ("Slack", "json", _json(slack.render)),
    ("PagerDuty", "json", _json(lambda payload: events.render(payload, routing_key="…"))),
    (
        "Alertmanager",
        "json",
        _json(lambda payload: alerts.render(payload, datetime.fromisoformat(payload["time"]))),
    ),
    ("Discord", "json", _json(discord.render)),
    ("Microsoft Teams", "json", _json(teams.render)),
)

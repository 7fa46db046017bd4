"""Payloads of notifications, built the real way: say only what matters."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from rollcall.core import executions, findings, incidents, messages, policies
from rollcall.services import ports
from support import builders

ALERTS = builders.alerts(owner="team-data", runbook_url="https://wiki.test/backup?a=1&b=2")


def payload(
    *,
    solved_after: timedelta | None = None,
    transition: incidents.Transition | None = None,
    suppressed: int = 0,
    alerts: policies.Alerts = ALERTS,
    execution: executions.Execution | None = None,
    found: findings.Finding | None = None,
) -> dict[str, Any]:
    """Build the message of an incident's first step, or of its last with `solved_after`."""
    step = builders.step(found=found)
    at = builders.SLOT_AT
    if solved_after is not None:
        at += solved_after
        step = builders.step(incident=step.incident, recovered=True, now=at)
    body = of(step, at, transition=transition, alerts=alerts, execution=execution)
    return body | {"suppressed": suppressed}


def of(
    step: incidents.Step,
    at: datetime,
    *,
    transition: incidents.Transition | None = None,
    alerts: policies.Alerts = ALERTS,
    execution: executions.Execution | None = None,
) -> dict[str, Any]:
    """Build the message of a step of shop/backup's incident."""
    return messages.payload(
        step=step,
        transition=transition or step.transition or incidents.Transition.OPENED,
        at=at,
        cluster="prod",
        subject=messages.Subject(namespace="shop", name="backup", uid="u", group=None),
        alerts=alerts,
        execution=execution,
    )


def failed(message: str, job_name: str = "report-1") -> executions.Execution:
    """Build a run that ended with exit code 3 and these last words."""
    return builders.execution(
        status=executions.Status.FAILED, exit_code=3, message=message, job_name=job_name
    )


def notification(
    body: dict[str, Any],
    key: str = "3f1c.1",
    channel: str = "team",
    thread: Mapping[str, Any] | None = None,
    attempts: int = 0,
) -> ports.Notification:
    """Build the row that carries a payload."""
    return ports.Notification(
        id=1,
        incident_id=UUID(int=1) if "incidents" in body else UUID(body["incident"]["id"]),
        channel=channel,
        key=key,
        type=body["type"],
        payload=body,
        attempts=attempts,
        created_at=builders.SLOT_AT,
        thread=thread,
    )


class Timeline:
    """One incident of shop/backup, step by step; each step gives its message."""

    def __init__(self) -> None:
        self.now = builders.SLOT_AT
        self.incident: incidents.Incident | None = None

    def problem(
        self,
        after: timedelta = timedelta(),
        execution: executions.Execution | None = None,
        **found: Any,  # noqa: ANN401 - the fields of a finding
    ) -> dict[str, Any]:
        """Let the rule hold, so much later than the step before; fails if nobody is told."""
        self.now += after
        return self._told(builders.step(incident=self.incident, now=self.now, **found), execution)

    def solved(self, after: timedelta) -> dict[str, Any]:
        """Let the rule hold no more."""
        self.now += after
        return self._told(builders.step(incident=self.incident, recovered=True, now=self.now), None)

    def _told(self, step: incidents.Step, execution: executions.Execution | None) -> dict[str, Any]:
        assert step.notify, step.why
        self.incident = step.incident
        return of(step, self.now, execution=execution)

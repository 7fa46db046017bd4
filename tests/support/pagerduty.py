"""A receiver that behaves as PagerDuty documents its Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/: 202 for a valid event, 400 with
the list of what is wrong, 413 beyond 512 KB. Events of one key are one alert; acknowledging or
resolving an unknown or resolved one does nothing; a trigger after a resolve opens a new alert.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from support.receiver import Answer, Request

LARGEST = 512 * 1024
SEVERITIES = {"critical", "error", "warning", "info"}
ACTIONS = {"trigger", "acknowledge", "resolve"}


@dataclass
class Alert:
    """One alert, as a person sees it in PagerDuty."""

    key: str
    payload: dict[str, Any]
    status: str = "triggered"
    triggers: int = 1


@dataclass
class PagerDuty:
    """The service behind one routing key."""

    routing_key: str
    alerts: list[Alert] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        """Take an event."""
        if len(request.body) > LARGEST:
            return _json(413, {"status": "payload too large"})
        event = json.loads(request.body)
        wrong = [*self._wrong(event)]
        if wrong:
            message = {"status": "invalid event", "message": "Event object is invalid"}
            return _json(400, message | {"errors": wrong})
        self._apply(event)
        done = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return _json(202, done)

    def open(self) -> list[Alert]:
        """Return the alerts that are not resolved."""
        return [alert for alert in self.alerts if alert.status != "resolved"]

    def _wrong(self, event: dict[str, Any]) -> list[str]:
        wrong = []
        if len(event.get("routing_key", "")) != 32:
            wrong.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        elif event["routing_key"] != self.routing_key:
            wrong.append("Invalid routing key")
        if event.get("event_action") not in ACTIONS:
            wrong.append("'event_action' is invalid")
        if len(event.get("dedup_key", "")) > 255:
            wrong.append("'dedup_key' is too long (maximum is 255 characters)")
        if event.get("event_action") == "trigger":
            wrong += _wrong_payload(event.get("payload") or {})
        return wrong

    def _apply(self, event: dict[str, Any]) -> None:
        found = [alert for alert in self.open() if alert.key == event["dedup_key"]]
        match event["event_action"]:
            case "trigger" if found:
                found[0].payload = event["payload"]
                found[0].triggers += 1
            case "trigger":
                self.alerts.append(Alert(key=event["dedup_key"], payload=event["payload"]))
            case "acknowledge" if found:
                found[0].status = "acknowledged"
            case "resolve" if found:
                found[0].status = "resolved"


def _wrong_payload(payload: dict[str, Any]) -> list[str]:
    wrong = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source")
        if not payload.get(name)
    ]
    if len(payload.get("summary", "")) > 1024:
        wrong.append("'payload.summary' is too long (maximum is 1024 characters)")
    if payload.get("severity") not in SEVERITIES:
        wrong.append(
            "'payload.severity' is invalid (must be one of critical, warning, error or info)"
        )
    return wrong


def _json(status: int, body: dict[str, Any]) -> Answer:
    return Answer(
        status=status,
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )

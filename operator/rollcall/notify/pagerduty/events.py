"""A notification's payload as an event of PagerDuty's Events API v2.

All events of an incident carry its id as `dedup_key`: the first opens an alert there, the later
ones change it, and the last resolves it. Reminders trigger too: they open it again where somebody
resolved it by hand although the problem lasts. An acknowledgement here is one there.
"""

from collections.abc import Mapping
from typing import Any

from rollcall.notify import http, wording

# https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
LONGEST_SUMMARY = 1024
LARGEST_EVENT = 512 * 1024  # bytes

ACTIONS: Mapping[str, str] = dict.fromkeys(wording.ENDED, "resolve") | {
    "incident.acknowledged": "acknowledge"
}
SEVERITIES: Mapping[str, str] = {"info": "info", "warning": "warning", "critical": "critical"}


def encode(payload: wording.Payload, *, routing_key: str) -> bytes:
    """Write the event within PagerDuty's limit; what can be long is left out of one beyond it."""
    event = render(payload, routing_key=routing_key)
    body = http.encode(event)
    if len(body) <= LARGEST_EVENT:
        return body
    details = event["payload"]["custom_details"]
    kept = {name: text for name, text in details.items() if name in {"Reason", "Since", "Slot"}}
    event["payload"]["custom_details"] = kept | {"Left out": "the details, they are too long"}
    return http.encode(event)


def render(payload: wording.Payload, *, routing_key: str) -> dict[str, Any]:
    """Build the event."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "dedup_key": str(payload["incident"]["id"]),
    }
    action = ACTIONS.get(payload["type"])
    if action:
        return event | {"event_action": action}
    event |= {"event_action": "trigger", "client": "Rollcall", "payload": _payload(payload)}
    runbook = wording.runbook(payload)
    if runbook and wording.is_address(runbook):
        event["links"] = [{"href": runbook, "text": "Runbook"}]
    return event


def _payload(payload: wording.Payload) -> dict[str, Any]:
    incident, job = payload["incident"], payload["cronjob"]
    cluster = str(payload.get("cluster"))
    about = wording.title(payload) or f"{wording.problem(payload)}: {wording.story(payload)}"
    return {
        "summary": wording.cut(about, LONGEST_SUMMARY),
        "source": f"{cluster}/{job['namespace']}/{job['name']}" if job else cluster,
        "severity": SEVERITIES.get(str(incident["severity"]), "error"),
        "timestamp": incident["openedAt"],
        "component": str(job["name"]) if job else cluster,
        "group": str(job.get("group") or job["namespace"]) if job else cluster,
        "class": str(incident["kind"]),
        "custom_details": _details(payload),
    }


def _details(payload: wording.Payload) -> dict[str, Any]:
    more = {
        "Message": wording.body(payload) or wording.story(payload),
        "Repeats": wording.repeats(payload),
        "Changes": wording.changes(payload),
        "Output": wording.output(payload),
        "Advice": wording.advice(payload),
        "Commands": wording.commands(payload),
        "Runbook": wording.runbook(payload),
        "Evidence": payload["incident"].get("evidence"),
    }
    return wording.facts(payload) | {name: value for name, value in more.items() if value}

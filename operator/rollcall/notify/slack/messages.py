"""A notification's payload as a Slack message: what is wrong in one line, then the facts.

Everything that came from a cluster is escaped, so that no name, error or log line can mention
people or forge a link, and cut to Slack's limits, beyond which it refuses the whole message.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rollcall.core import durations

# https://docs.slack.dev/reference/block-kit/blocks: longest header, section text, field.
LONGEST_HEADER = 150
LONGEST_SECTION = 3000
LONGEST_FIELD = 2000
LONGEST_OUTPUT = 1500  # of the program's last words: the end of them says what happened

GREEN, GREY, BLUE, AMBER, RED = "#2eb67d", "#8d8d8d", "#1264a3", "#e8912d", "#d40e0d"
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "critical": ("🔴", RED),
    "warning": ("🟠", AMBER),
    "info": ("🔵", BLUE),
}
ENDS: Mapping[str, tuple[str, str, str]] = {
    "incident.resolved": ("✅", GREEN, "RESOLVED"),
    "incident.withdrawn": ("⚪", GREY, "WITHDRAWN"),
}
PREFIXES: Mapping[str, str] = {
    "incident.changed": "NOW ",
    "incident.reminder": "STILL ",
    "incident.escalated": "NOBODY ACKNOWLEDGED ",
    "incident.acknowledged": "ACKNOWLEDGED ",
    "incident.unacknowledged": "STILL ",
}
KINDS: Mapping[str, str] = {
    "late": "has not started",
    "missed": "did not run",
    "failing": "is failing",
    "stale": "has had no success for too long",
    "overrunning": "is running for too long",
    "no_progress": "makes no progress",
    "errors": "reports errors",
    "skipped": "is skipped again and again",
    "suspended": "is suspended for long",
    "too_fast": "ended suspiciously fast",
    "cannot_start": "cannot start",
    "failure_rate": "fails often",
    "slow": "was slow",
    "silent": "is not heard any more",
    "counter": "reports odd numbers",
}

Payload = Mapping[str, Any]


def render(payload: Payload) -> dict[str, Any]:
    """Build the message: a header, a coloured part with the facts, and the text of pushes."""
    emoji, color, title = _title(payload)
    header = _cut(f"{emoji} {title}", LONGEST_HEADER)
    return {
        "text": escape(f"{header}: {_story(payload)}", LONGEST_SECTION),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}}
        ],
        "attachments": [{"color": color, "blocks": _details(payload)}],
    }


def escape(text: str, limit: int) -> str:
    """Escape Slack's three control characters and cut, never through an escaped one."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= limit:
        return escaped
    return re.sub(r"&[a-z]*$", "", escaped[: limit - 1]) + "…"


def _title(payload: Payload) -> tuple[str, str, str]:
    incident, job = payload["incident"], payload["cronjob"]
    kind = str(incident["kind"])
    subject = f"{job['namespace']}/{job['name']}"
    what = KINDS.get(kind, kind)
    if payload["type"] in ENDS:
        emoji, color, word = ENDS[payload["type"]]
        return emoji, color, f"{word}: {subject} ({what})"
    emoji, color = SEVERITIES.get(incident["severity"], ("⚪", GREY))
    word = PREFIXES.get(payload["type"], "") + str(incident["severity"]).upper()
    return emoji, color, f"{word}: {subject} {what}"


def _story(payload: Payload) -> str:
    incident = payload["incident"]
    message = str(incident.get("message") or "")
    if payload["type"] == "incident.resolved":
        return f"solved after {_lasted(incident)}. It was: {message}"
    if payload["type"] == "incident.withdrawn":
        return f"the job was deleted, {_lasted(incident)} after this was reported: {message}"
    if payload["type"] == "incident.acknowledged":
        return f"{_acknowledged(incident.get('acknowledged') or {})}. It is: {message}"
    if payload["type"] == "incident.unacknowledged":
        return f"nobody looks after it any more. It is: {message}"
    return message


def _acknowledged(given: Payload) -> str:
    words = f"{given.get('by') or 'somebody'} looks after it"
    return f"{words}: {given['reason']}" if given.get("reason") else words


def _details(payload: Payload) -> list[dict[str, Any]]:
    blocks = [_section(_story(payload))]
    if payload.get("suppressed"):
        blocks.append(_section(f"{payload['suppressed']} more since the last message"))
    output = _output(payload)
    if output:
        blocks.append(output)
    fields = _fields(payload)
    if fields:
        blocks.append({"type": "section", "fields": fields})
    footer = f"Rollcall in cluster {payload.get('cluster')}, incident {payload['incident']['id']}"
    blocks.append({"type": "context", "elements": [_text(escape(footer, LONGEST_FIELD))]})
    return blocks


def _output(payload: Payload) -> dict[str, Any] | None:
    """Show the program's last words while the problem is open."""
    words = str((payload.get("execution") or {}).get("message") or "").strip()
    if not words or payload["type"] in ENDS:
        return None
    if len(words) > LONGEST_OUTPUT:
        words = "…" + words[-LONGEST_OUTPUT:]
    fenced = escape(words.replace("```", "'''"), LONGEST_SECTION - 8)
    return {"type": "section", "text": _text(f"```\n{fenced}\n```")}


def _fields(payload: Payload) -> list[dict[str, Any]]:
    incident, job = payload["incident"], payload["cronjob"]
    execution = payload.get("execution") or {}
    evidence = incident.get("evidence") or {}
    facts = {
        "Reason": incident.get("reason"),
        "Since": _clock(incident.get("openedAt")),
        "Slot": _clock(execution.get("slotTime") or evidence.get("slotTime")),
        "Job": execution.get("jobName") or evidence.get("jobName"),
        "Exit code": execution.get("exitCode"),
        "Owner": job.get("owner"),
        "Group": job.get("group"),
    }
    fields = [
        _text(f"*{name}*\n{escape(str(value), LONGEST_FIELD - 50)}")
        for name, value in facts.items()
        if value is not None
    ]
    if job.get("runbookURL"):
        fields.append(_text(f"*Runbook*\n{_link(str(job['runbookURL']))}"))
    return fields


def _link(url: str) -> str:
    """Link what is an address; show anything else as text."""
    target = escape(url.replace("|", "%7C"), LONGEST_FIELD - 50)
    is_address = url.startswith(("http://", "https://")) and not re.search(r"\s", url)
    return f"<{target}>" if is_address and not target.endswith("…") else target


def _lasted(incident: Payload) -> str:
    opened_at, resolved_at = _instant(incident.get("openedAt")), _instant(incident["resolvedAt"])
    return durations.text(resolved_at - opened_at) if opened_at and resolved_at else "some time"


def _clock(raw: object) -> str | None:
    at = _instant(raw)
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else None


def _instant(raw: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(raw)).astimezone(UTC) if raw else None
    except ValueError:
        return None


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(escape(text, LONGEST_SECTION) or "(no message)")}


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"

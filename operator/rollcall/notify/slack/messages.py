"""A notification's payload as a Slack message: what is wrong in one line, then the facts.

Everything that came from a cluster is escaped, so that no name, error or log line can mention
people or forge a link, and cut to Slack's limits, beyond which it refuses the whole message.
"""

import re
from collections.abc import Mapping
from typing import Any

from rollcall.notify import digests, wording

# https://docs.slack.dev/reference/block-kit/blocks: longest header, section text, field.
LONGEST_HEADER = 150
LONGEST_SECTION = 3000
LONGEST_FIELD = 2000
MOST_LINES = 40  # of a digest

LOOKS = frozenset({"blocks", "attachments"})  # the parts of a message besides its plain text

GREEN, GREY, BLUE, AMBER, RED = "#2eb67d", "#8d8d8d", "#1264a3", "#e8912d", "#d40e0d"
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "critical": ("🔴", RED),
    "warning": ("🟠", AMBER),
    "info": ("🔵", BLUE),
}
ENDS: Mapping[str, tuple[str, str]] = {
    "incident.resolved": ("✅", GREEN),
    "incident.withdrawn": ("⚪", GREY),
}


def render(payload: wording.Payload) -> dict[str, Any]:
    """Build the message: a header, a coloured part with the facts, and the text of pushes."""
    if digests.is_digest(payload):
        return _digest(payload)
    emoji, color = _look(payload)
    header = wording.cut(f"{emoji} {wording.headline(payload)}", LONGEST_HEADER)
    own = wording.body(payload)
    details = [_section(own)] if own else _details(payload)
    return {
        "text": escape(f"{header}: {own or wording.story(payload)}", LONGEST_SECTION),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}}
        ],
        "attachments": [{"color": color, "blocks": [*details, _footer(wording.footer(payload))]}],
    }


def _digest(payload: wording.Payload) -> dict[str, Any]:
    """Build the message of many incidents: how many, and a line for each."""
    emoji, color = SEVERITIES.get(digests.worst(payload), ENDS["incident.resolved"])
    header = wording.cut(f"{emoji} {digests.headline(payload)}", LONGEST_HEADER)
    listed = digests.lines(payload, most=MOST_LINES, longest=LONGEST_SECTION)
    text = wording.body(payload) or "\n".join(f"• {line}" for line in listed)
    blocks = [_section(text), _footer(digests.footer(payload))]
    return {
        "text": escape(header, LONGEST_SECTION),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}}
        ],
        "attachments": [{"color": color, "blocks": blocks}],
    }


def standing(payload: wording.Payload) -> wording.Payload:
    """Return what tells how the incident stands, instead of what happened to it last."""
    if payload["type"] in ENDS:
        return payload
    state = "acknowledged" if payload["incident"].get("acknowledged") else "opened"
    return {**payload, "type": f"incident.{state}", "suppressed": 0}


def escape(text: str, limit: int) -> str:
    """Escape Slack's three control characters and cut, never through an escaped one."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= limit:
        return escaped
    return re.sub(r"&[a-z]*$", "", escaped[: limit - 1]) + "…"


def _look(payload: wording.Payload) -> tuple[str, str]:
    ended = ENDS.get(payload["type"])
    return ended or SEVERITIES.get(payload["incident"]["severity"], ("⚪", GREY))


def _details(payload: wording.Payload) -> list[dict[str, Any]]:
    blocks = [_section(wording.story(payload))]
    repeats = wording.repeats(payload)
    if repeats:
        blocks.append(_section(repeats))
    changes = wording.changes(payload)
    if changes:
        blocks.append(_section(changes))
    output = wording.output(payload)
    if output:
        blocks.append(_code(output))
    advice, commands = wording.advice(payload), wording.commands(payload)
    if advice:
        blocks.append(_section(f"What to do: {advice}"))
    if commands:
        blocks.append(_code(commands))
    fields = _fields(payload)
    if fields:
        blocks.append({"type": "section", "fields": fields})
    return blocks


def _fields(payload: wording.Payload) -> list[dict[str, Any]]:
    fields = [
        _text(f"*{name}*\n{escape(value, LONGEST_FIELD - 50)}")
        for name, value in wording.facts(payload).items()
    ]
    runbook = wording.runbook(payload)
    if runbook:
        fields.append(_text(f"*Runbook*\n{_link(runbook)}"))
    return fields


def _link(url: str) -> str:
    """Link what is an address; show anything else as text."""
    target = escape(url.replace("|", "%7C"), LONGEST_FIELD - 50)
    return f"<{target}>" if wording.is_address(url) and not target.endswith("…") else target


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(escape(text, LONGEST_SECTION) or "(no message)")}


def _code(text: str) -> dict[str, Any]:
    fenced = escape(text.replace("```", "'''"), LONGEST_SECTION - 8)
    return {"type": "section", "text": _text(f"```\n{fenced}\n```")}


def _footer(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_text(escape(text, LONGEST_FIELD))]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}

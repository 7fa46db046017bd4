"""A notification's payload as a message of Discord: one embed.

Everything that came from a cluster is written so that Markdown does not apply to it, and the
message may mention nobody. https://docs.discord.com/developers/resources/message#embed-object
"""

import re
from collections.abc import Mapping
from typing import Any

from rollcall.notify import digests, wording

LONGEST_TITLE = 256
LONGEST_DESCRIPTION = 1200  # of 4096: an embed may have 6000 characters in all
LONGEST_VALUE = 150  # of 1024, for the same reason
LONGEST_HINT = 400  # the same
LONGEST_CHANGES = 300  # the same
LONGEST_FOOTER = 300
LONGEST_LIST = 4096  # of a digest, which has nothing else
LONGEST_BODY = 4000  # of a text of the channel's own, beside which there are no fields
MOST_LINES = 40

GREEN, GREY, BLUE, AMBER, RED = 0x2EB67D, 0x8D8D8D, 0x1264A3, 0xE8912D, 0xD40E0D
SEVERITIES: Mapping[str, int] = {"critical": RED, "warning": AMBER, "info": BLUE}
ENDS: Mapping[str, int] = {"incident.resolved": GREEN, "incident.withdrawn": GREY}


def render(payload: wording.Payload) -> dict[str, Any]:
    """Build the message."""
    if digests.is_digest(payload):
        return _digest(payload)
    color = ENDS.get(payload["type"])
    if color is None:
        color = SEVERITIES.get(payload["incident"]["severity"], GREY)
    embed = {
        "title": _escape(wording.headline(payload), LONGEST_TITLE),
        "description": _description(payload),
        "color": color,
        "timestamp": payload["time"],
        "fields": [
            {"name": name, "value": _escape(value, LONGEST_VALUE), "inline": True}
            for name, value in _facts(payload).items()
        ],
        "footer": {"text": wording.cut(wording.footer(payload), LONGEST_FOOTER)},
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _digest(payload: wording.Payload) -> dict[str, Any]:
    """Build the message of many incidents: how many, and a line for each."""
    listed = digests.lines(payload, most=MOST_LINES, longest=LONGEST_LIST // 2)
    listed = [_escape(line, LONGEST_LIST // MOST_LINES) for line in listed]
    own = wording.body(payload)
    embed = {
        "title": _escape(digests.headline(payload), LONGEST_TITLE),
        "description": _escape(own, LONGEST_BODY) if own else "\n".join(listed),
        "color": SEVERITIES.get(digests.worst(payload), GREEN),
        "timestamp": payload["time"],
        "footer": {"text": wording.cut(digests.footer(payload), LONGEST_FOOTER)},
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _description(payload: wording.Payload) -> str:
    own = wording.body(payload)
    if own:
        return _escape(own, LONGEST_BODY)
    parts = [_escape(wording.story(payload), LONGEST_DESCRIPTION)]
    repeats = wording.repeats(payload)
    if repeats:
        parts.append(repeats)
    changes = wording.changes(payload)
    if changes:
        parts.append(_escape(changes, LONGEST_CHANGES))
    output = wording.output(payload)
    if output:
        parts.append(_code(output))
    advice, commands = wording.advice(payload), wording.commands(payload)
    if advice:
        parts.append(_escape(f"What to do: {advice}", LONGEST_HINT))
    if commands:
        parts.append(_code(wording.cut(commands, LONGEST_HINT)))
    return "\n".join(parts)


def _code(text: str) -> str:
    return f"```\n{text.replace('```', chr(39) * 3)}\n```"


def _facts(payload: wording.Payload) -> dict[str, str]:
    if wording.body(payload):
        return {}
    runbook = wording.runbook(payload)
    facts = wording.facts(payload) | ({"Runbook": runbook} if runbook else {})
    return {name: text for name, text in facts.items() if text.strip()}


def _escape(text: str, limit: int) -> str:
    """Show Markdown as it is, and cut; an address stays one, Discord links it by itself."""
    if wording.is_address(text):
        return text if len(text) <= limit else wording.cut(text, limit)
    # Never longer than the limit, whatever is escaped, and never cut within an escape.
    escaped = [re.sub(r"([\\*_~`|>#\[\]<])", r"\\\1", c) for c in text]
    kept: list[str] = []
    length = 0
    for part in escaped:
        if length + len(part) > limit - 1:
            return "".join(kept) + "…"
        kept.append(part)
        length += len(part)
    return "".join(kept) or "(no message)"

"""A notification's payload as an adaptive card, as a workflow of Microsoft Teams takes it.

https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
A message may have 28 KB. Text is written so that Markdown does not apply to it.
"""

import re
from collections.abc import Mapping
from typing import Any

from rollcall.notify import digests, http, wording

LARGEST = 28 * 1024  # bytes
# How long a text may be; where that is too much in all, as with many emojis, less.
LONGEST = (2000, 400, 100)
LONGEST_FACT = 300
MOST_LINES = 40  # of a digest

SEVERITIES: Mapping[str, str] = {
    "critical": "attention",
    "warning": "warning",
    "info": "accent",
}
ENDS: Mapping[str, str] = {"incident.resolved": "good", "incident.withdrawn": "default"}


def render(payload: wording.Payload) -> dict[str, Any]:
    """Build the message."""
    message: dict[str, Any] = {}
    for longest in LONGEST:
        message = _message(payload, longest)
        if len(http.encode(message)) <= LARGEST:
            break
    return message


def _message(payload: wording.Payload, longest: int) -> dict[str, Any]:
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": _body(payload, longest),
    }
    runbook = None if digests.is_digest(payload) else wording.runbook(payload)
    if runbook and wording.is_address(runbook) and len(runbook) <= longest:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Runbook", "url": runbook}]
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        ],
    }


def _body(payload: wording.Payload, longest: int) -> list[dict[str, Any]]:
    shorter = min(longest, LONGEST_FACT)
    if digests.is_digest(payload):
        return _digest(payload, longest)
    color = ENDS.get(payload["type"]) or SEVERITIES.get(payload["incident"]["severity"], "default")
    title = _escape(wording.headline(payload), shorter)
    own = wording.body(payload)
    details = [_text(_escape(own, 4 * longest))] if own else _details(payload, longest)
    return [
        _text(title, size="medium", weight="bolder", color=color),
        *details,
        _text(_escape(wording.footer(payload), shorter), size="small", isSubtle=True),
    ]


def _details(payload: wording.Payload, longest: int) -> list[dict[str, Any]]:
    body = [_text(_escape(wording.story(payload), longest) or "(no message)")]
    repeats = wording.repeats(payload)
    if repeats:
        body.append(_text(repeats))
    changes = wording.changes(payload)
    if changes:
        body.append(_text(_escape(changes, longest)))
    body.append({"type": "FactSet", "facts": _facts(payload, min(longest, LONGEST_FACT))})
    output = wording.output(payload)
    if output:
        body.append(_code(output[-longest:]))
    advice, commands = wording.advice(payload), wording.commands(payload)
    if advice:
        body.append(_text(_escape(f"What to do: {advice}", longest)))
    if commands:
        body.append(_code(wording.cut(commands, longest)))
    return body


def _digest(payload: wording.Payload, longest: int) -> list[dict[str, Any]]:
    """Write how many incidents there are, and a line for each."""
    color = SEVERITIES.get(digests.worst(payload), "good")
    listed = [
        _text(_escape(line, digests.LONGEST_LINE), spacing="small")
        for line in digests.lines(payload, most=MOST_LINES, longest=4 * longest)
    ]
    own = wording.body(payload)
    title = _escape(digests.headline(payload), LONGEST_FACT)
    footer = _escape(digests.footer(payload), LONGEST_FACT)
    return [
        _text(title, size="medium", weight="bolder", color=color),
        *([_text(_escape(own, 4 * longest))] if own else listed),
        _text(footer, size="small", isSubtle=True),
    ]


def _facts(payload: wording.Payload, longest: int) -> list[dict[str, str]]:
    return [
        {"title": name, "value": _escape(text, longest)}
        for name, text in wording.facts(payload).items()
    ]


def _text(text: str, **more: object) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _code(text: str) -> dict[str, Any]:
    """Show lines as they are: a run of text takes no Markdown."""
    run = {"type": "TextRun", "text": text, "fontType": "monospace", "size": "small"}
    return {"type": "RichTextBlock", "inlines": [run]}


def _escape(text: str, limit: int) -> str:
    return re.sub(r"([\\*_`\[\]#~<])", r"\\\1", wording.cut(text, limit))

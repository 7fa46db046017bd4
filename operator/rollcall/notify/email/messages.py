"""A notification's payload as an e-mail: a subject that says it all, plain text, and simple HTML.

Everything that came from a cluster is escaped in the HTML and without control characters in the
text; a subject is one line. The same message has the same `Message-ID`, whoever sends it how often,
so that a mail program shows it once; the messages of one incident name it in `References`, by which
mail programs keep them together.
"""

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass

from rollcall.core import texts
from rollcall.notify import digests, wording
from rollcall.services import ports

LONGEST_SUBJECT = 200
LONGEST_STORY = 10_000
MOST_LINES = 200  # of a digest
LONGEST_LIST = 40_000

GREEN, GREY, BLUE, AMBER, RED = "#1b7f52", "#6b6b6b", "#1264a3", "#b25e09", "#c00d0c"
SEVERITIES: Mapping[str, str] = {"critical": RED, "warning": AMBER, "info": BLUE}
ENDS: Mapping[str, str] = {"incident.resolved": GREEN, "incident.withdrawn": GREY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An e-mail, whoever sends it."""

    key: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


def render(notification: ports.Notification, *, domain: str) -> Message:
    """Write the e-mail; ids are names below `domain`."""
    payload = notification.payload
    if digests.is_digest(payload):
        return _digest(notification, domain)
    key = f"{notification.key}.{_short(notification.channel)}"
    return Message(
        key=key,
        subject=wording.cut(_line(wording.headline(payload)), LONGEST_SUBJECT),
        text=_text(payload),
        html=_html(payload),
        headers={
            "Message-ID": f"<{key}@{domain}>",
            "References": f"<{payload['incident']['id']}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def _digest(notification: ports.Notification, domain: str) -> Message:
    """Write the e-mail of many incidents: how many, and a line for each."""
    payload = notification.payload
    key = f"{notification.key}.{_short(notification.channel)}"
    subject = wording.cut(_line(digests.headline(payload)), LONGEST_SUBJECT)
    footer = digests.footer(payload)
    listed = [_line(one) for one in digests.lines(payload, most=MOST_LINES, longest=LONGEST_LIST)]
    color = SEVERITIES.get(digests.worst(payload), GREEN)
    items = "\n".join(f"<li>{html.escape(one)}</li>" for one in listed)
    own = wording.body(payload)
    listing = _paragraph(own) if own else f"<ul>\n{items}\n</ul>"
    body = (
        f'<h2 style="color:{color};font-size:18px">{html.escape(subject)}</h2>\n'
        f"{listing}\n{_html_footer(footer)}"
    )
    return Message(
        key=key,
        subject=subject,
        text="\n".join([*([texts.plain(own)] if own else listed), "", "-- ", _line(footer), ""]),
        html=_page(body),
        headers={"Message-ID": f"<{key}@{domain}>", "Auto-Submitted": "auto-generated"},
    )


def _text(payload: wording.Payload) -> str:
    own = wording.body(payload)
    parts = [texts.plain(own)] if own else _parts(payload)
    return "\n\n".join([*parts, f"-- \n{_line(wording.footer(payload))}"]) + "\n"


def _parts(payload: wording.Payload) -> list[str]:
    facts = _facts(payload)
    width = max(map(len, facts)) + 2
    parts = [texts.plain(_story(payload))]
    repeats = wording.repeats(payload)
    if repeats:
        parts.append(repeats)
    changes = wording.changes(payload)
    if changes:
        parts.append(texts.plain(changes))
    parts.append("\n".join(f"{name + ':':{width}}{text}" for name, text in facts.items()))
    output = wording.output(payload)
    if output:
        parts.append(f"Its last words:\n\n{_indented(output)}")
    advice, commands = wording.advice(payload), wording.commands(payload)
    if advice:
        parts.append(f"What to do: {texts.plain(advice)}")
    if commands:
        parts.append(_indented(commands))
    return parts


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in texts.plain(text).splitlines())


def _html(payload: wording.Payload) -> str:
    color = ENDS.get(payload["type"]) or SEVERITIES.get(payload["incident"]["severity"], GREY)
    headline = html.escape(_line(wording.headline(payload)))
    own = wording.body(payload)
    parts = [
        f'<h2 style="color:{color};font-size:18px">{headline}</h2>',
        *([_paragraph(own)] if own else _html_parts(payload)),
        _html_footer(wording.footer(payload)),
    ]
    return _page("\n".join(parts))


def _html_parts(payload: wording.Payload) -> list[str]:
    parts = [_paragraph(_story(payload))]
    repeats = wording.repeats(payload)
    if repeats:
        parts.append(_paragraph(repeats))
    changes = wording.changes(payload)
    if changes:
        parts.append(_paragraph(changes))
    rows = "".join(_row(name, text) for name, text in _facts(payload).items())
    parts.append(f'<table cellpadding="4">{rows}</table>')
    output = wording.output(payload)
    if output:
        parts.append(_code(output))
    advice, commands = wording.advice(payload), wording.commands(payload)
    if advice:
        parts.append(_paragraph(f"What to do: {advice}"))
    if commands:
        parts.append(_code(commands))
    return parts


def _html_footer(text: str) -> str:
    return f'<p style="color:{GREY};font-size:12px">{html.escape(_line(text))}</p>'


def _page(body: str) -> str:
    return f'<html><body style="font-family:sans-serif;font-size:14px">\n{body}\n</body></html>\n'


def _facts(payload: wording.Payload) -> dict[str, str]:
    facts = {name: _line(text) for name, text in wording.facts(payload).items()}
    runbook = wording.runbook(payload)
    return facts | ({"Runbook": _line(runbook)} if runbook else {})


def _row(name: str, text: str) -> str:
    shown = html.escape(text)
    if name == "Runbook" and wording.is_address(text):
        shown = f'<a href="{shown}">{shown}</a>'
    style = f"color:{GREY};text-align:left;vertical-align:top;font-weight:normal"
    return f'<tr><th style="{style}">{name}</th><td>{shown}</td></tr>'


def _code(text: str) -> str:
    style = "background:#f4f4f4;padding:8px;white-space:pre-wrap"
    return f'<pre style="{style}">{html.escape(texts.plain(text))}</pre>'


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(texts.plain(text)).replace(chr(10), '<br>')}</p>"


def _story(payload: wording.Payload) -> str:
    return wording.cut(wording.story(payload), LONGEST_STORY)


def _line(text: str) -> str:
    return " ".join(texts.plain(text).split())


def _short(channel: str) -> str:
    """Tell channels apart: each of them sends a message of its own."""
    return hashlib.sha256(channel.encode()).hexdigest()[:8]

"""One incident as each kind of channel tells it, by the code that tells it."""

from __future__ import annotations

import json
import textwrap
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rollcall.core import messages
from rollcall.notify import samples, templating, wording
from rollcall.notify.alertmanager import alerts
from rollcall.notify.email import messages as email
from rollcall.notify.pagerduty import events
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import discord, teams
from rollcall.services import ports

if TYPE_CHECKING:
    from collections.abc import Callable

    Render = Callable[[dict[str, Any]], str]

TITLE = "[{{ cluster }}] {{ headline }}"
BODY = """\
{{ story }}
{% if incidents %}
{% for one in incidents %}
{{ loop.index }}. {{ one.cronjob.owner | default("nobody") }} looks at {{ one.cronjob.name }}
{% endfor %}
{% else %}
{% for name, text in facts | items if name != "Last runs" %}
{{ name }}: {{ text }}
{% endfor %}
{% if cronjob.owner %}
On call: https://oncall.example.com/{{ cronjob.owner }}
{% endif %}
{% if output %}
It said last: {{ output | truncate(40) }}
{% endif %}
{% endif %}
"""


def page() -> str:
    """Write what every kind of channel is sent, when the incident is opened and resolved."""
    opened, resolved = samples.one_incident()
    lines = []
    digest = messages.together([*samples.many()])
    for title, language, render in CHANNELS:
        lines += [f"## {title}", ""]
        for about, payload in (("Opened", opened), ("Resolved", resolved)):
            lines += [f"{about}:", "", f"```{language}", render(payload), "```", ""]
        if title not in PER_INCIDENT:
            lines += ["Digest:", "", f"```{language}", render(digest), "```", ""]
    return "\n".join(lines)


def templates() -> str:
    """Write a channel with templates, and what it says."""
    opened, resolved = samples.one_incident()
    digest = messages.together([*samples.many()][:3])
    lines = ["```yaml", _channel(), "```", ""]
    texts = templating.Words({wording.TITLE: TITLE, wording.BODY: BODY})
    for about, payload in (("Opened", opened), ("Resolved", resolved), ("Digest", digest)):
        mail = _email({**payload, wording.WORDS: texts})
        shown = "\n".join(line for line in mail.split("\n") if not _is_header(line))
        lines += [f"{about}:", "", "```text", shown, "```", ""]
    return "\n".join(lines)


def _channel() -> str:
    return f"""\
spec:
  email:
    from: Rollcall <rollcall@example.com>
    to: [team-data@example.com]
    host: smtp.example.com
  templates:
    title: "{TITLE}"
    body: |
{textwrap.indent(BODY.rstrip(), "      ")}"""


def _is_header(line: str) -> bool:
    return line.startswith(("Message-ID:", "References:", "Auto-Submitted:"))


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
            created_at=samples.OPENED_AT,
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

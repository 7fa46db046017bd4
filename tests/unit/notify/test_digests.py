"""A digest, as each kind of channel tells it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import messages
from rollcall.core.policies import Severity
from rollcall.notify import digests, http
from rollcall.notify.email import messages as email
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import channel as webhook
from rollcall.notify.webhook import discord, teams
from support import builders, payloads

NASTY = st.text(alphabet=st.sampled_from("a<>&@*_`[]()#\\\n…🔴 "), max_size=400)


def digest(count: int = 3, text: str = "1 run failed") -> dict[str, Any]:
    """Build one of so many incidents: critical, warning, solved, and so on."""
    told = []
    for number in range(count):
        severity = (Severity.CRITICAL, Severity.WARNING, Severity.WARNING)[number % 3]
        body = payloads.payload(
            found=builders.finding(severity=severity, message=text),
            solved_after=timedelta(minutes=5) if number % 3 == 2 else None,
        )
        body["incident"] = body["incident"] | {"id": str(number)}
        body["cronjob"] = body["cronjob"] | {"name": f"job-{number:04}"}
        told.append(body)
    return messages.together(list(reversed(told)))


def test_the_headline_counts_by_severity() -> None:
    assert digests.headline(digest(7)) == "7 alerts: 3 critical, 2 warning, 2 solved"


def test_the_worst_comes_first_and_what_is_solved_last() -> None:
    assert digests.lines(digest(), most=10, longest=3000) == [
        "CRITICAL: shop/job-0000 is failing: 1 run failed",
        "WARNING: shop/job-0001 is failing: 1 run failed",
        "RESOLVED: shop/job-0002 (was failing): solved after 5m. It was: 1 run failed",
    ]


@pytest.mark.parametrize(("most", "longest"), [(10, 10_000), (1000, 500)])
def test_a_long_list_says_how_much_it_leaves_out(most: int, longest: int) -> None:
    lines = digests.lines(digest(1000), most=most, longest=longest)
    *listed, rest = lines
    assert 0 < len(listed) <= most
    assert rest == f"and {1000 - len(listed)} more: rollcall alerts list --since 24h"
    assert len("\n".join(lines)) <= longest


def test_what_is_solved_as_a_whole_looks_so() -> None:
    body = digest()
    body["incidents"] = [one for one in body["incidents"] if one["type"] == "incident.resolved"]
    assert digests.worst(body) == digests.SOLVED
    assert slack.render(body)["attachments"][0]["color"] == slack.GREEN
    assert discord.render(body)["embeds"][0]["color"] == discord.GREEN


def test_a_webhook_gets_all_of_it() -> None:
    body = digest(1000)
    assert webhook.FORMATS["rollcall"](body) == body
    assert len(body["incidents"]) == 1000


def test_slack_gets_a_header_and_a_list() -> None:
    message = slack.render(digest())
    assert message["text"] == "🔴 3 alerts: 1 critical, 1 warning, 1 solved"
    listed, footer = message["attachments"][0]["blocks"]
    assert listed["text"]["text"].splitlines()[0] == (
        "• CRITICAL: shop/job-0000 is failing: 1 run failed"
    )
    assert footer["elements"][0]["text"] == "Rollcall in cluster prod"


def test_an_email_lists_them_in_text_and_html() -> None:
    body = digest()
    mail = email.render(payloads.notification(body, key="a.1.digest"), domain="example.com")
    assert mail.subject == "3 alerts: 1 critical, 1 warning, 1 solved"
    assert mail.headers.keys() == {"Message-ID", "Auto-Submitted"}
    assert mail.text.splitlines()[0] == "CRITICAL: shop/job-0000 is failing: 1 run failed"
    assert "<li>CRITICAL: shop/job-0000 is failing: 1 run failed</li>" in mail.html


@given(NASTY, st.integers(2, 9))
def test_whatever_a_cluster_says_every_channel_would_take_it(text: str, count: int) -> None:
    body = digest(count, text)
    blocks = slack.render(body)["attachments"][0]["blocks"]
    assert all(len(one["text"]["text"]) <= slack.LONGEST_SECTION for one in blocks[:1])
    assert "<" not in blocks[0]["text"]["text"]
    (embed,) = discord.render(body)["embeds"]
    assert len(embed["description"]) <= discord.LONGEST_LIST
    assert len(http.encode(teams.render(body))) <= teams.LARGEST
    mail = email.render(payloads.notification(body, key="a.1.digest"), domain="example.com")
    assert "<a>" not in mail.html
    assert json.dumps(mail.subject)

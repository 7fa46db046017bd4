"""What all channels say alike."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, policies
from rollcall.notify import wording
from rollcall.notify.alertmanager import alerts
from rollcall.notify.email import messages as email
from rollcall.notify.pagerduty import events
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import discord, teams
from support import builders, payloads, setups


def test_no_kind_is_without_words() -> None:
    assert set(wording.KINDS) == {kind.value for kind in policies.Kind}


def test_what_is_over_is_told_as_past() -> None:
    late = builders.finding(policies.Kind.LATE)
    assert wording.headline(payloads.payload(found=late)).endswith("shop/backup has not started")
    over = payloads.payload(found=late, solved_after=timedelta(minutes=7))
    assert wording.headline(over) == "RESOLVED: shop/backup (had not started)"


def test_every_status_that_a_run_can_end_with_has_a_symbol() -> None:
    ended = {status.value for status in executions.Status if status not in executions.OPEN}
    assert set(wording.SYMBOLS) == ended


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("outage is over", "ada resolved it by hand after 7m: outage is over. It was: "),
        (None, "ada resolved it by hand after 7m. It was: "),
    ],
)
def test_what_somebody_resolved_is_not_called_solved(reason: str | None, words: str) -> None:
    body = payloads.payload(solved_after=timedelta(minutes=7))
    body["incident"] |= {"resolvedBy": {"by": "ada", "reason": reason}}
    assert wording.story(body).startswith(words)


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        pytest.param(["succeeded", "missed", "failed"], "✓○✗ (newest last)", id="ended"),
        pytest.param(["succeeded", "running"], "✓… (newest last)", id="going-on"),
    ],
)
def test_the_last_runs_are_one_line(statuses: list[str], line: str) -> None:
    body = payloads.payload() | {"lastRuns": [{"status": status} for status in statuses]}
    assert wording.facts(body)["Last runs"] == line


def test_without_runs_there_is_no_line_and_a_payload_of_before_is_still_shown() -> None:
    body = payloads.payload()
    assert "Last runs" not in wording.facts(body)
    for name in ("lastRuns", "advice", "commands", "changes"):
        del body[name]
    assert wording.facts(body)["Reason"] == "Error"
    assert (wording.advice(body), wording.commands(body)) == (None, None)
    assert wording.changes(body) is None


CHANGED = (
    "Changed since the last success, 2026-03-02 12:01 UTC: image of app:"
    " registry.test/shop/app:1.2 → registry.test/shop/app:1.3; env of app"
)


def test_what_changed_is_said_while_the_problem_lasts() -> None:
    assert wording.changes(payloads.payload() | {"changes": setups.changed()}) == CHANGED
    over = payloads.payload(solved_after=timedelta(minutes=7)) | {"changes": setups.changed()}
    assert wording.changes(over) is None


def test_of_very_many_changes_the_beginning_is_said() -> None:
    many = setups.changed() | {"text": "x" * 5000}
    said = wording.changes(payloads.payload() | {"changes": many})
    assert said
    assert len(said) == wording.LONGEST_CHANGES


TELLS = {
    "slack": slack.render,
    "discord": discord.render,
    "teams": teams.render,
    "pagerduty": lambda body: events.render(body, routing_key="key"),
    "alertmanager": lambda body: alerts.render(body, builders.SLOT_AT),
    "email": lambda body: email.render(payloads.notification(body), domain="example.com"),
}


@pytest.mark.parametrize("render", TELLS.values(), ids=TELLS)
def test_every_kind_of_channel_says_what_changed(
    render: Callable[[dict[str, Any]], object],
) -> None:
    assert "env of app" in str(render(payloads.payload() | {"changes": setups.changed()}))
    assert "last success" not in str(render(payloads.payload()))

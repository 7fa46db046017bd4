"""What all channels say alike."""

from datetime import timedelta

import pytest

from rollcall.core import executions, policies
from rollcall.notify import wording
from support import builders, payloads


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
    for name in ("lastRuns", "advice", "commands"):
        del body[name]
    assert wording.facts(body)["Reason"] == "Error"
    assert (wording.advice(body), wording.commands(body)) == (None, None)

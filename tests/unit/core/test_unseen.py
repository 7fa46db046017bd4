"""What is told of our own blindness."""

from datetime import timedelta
from typing import Any

from rollcall.core import policies, unseen, wide
from rollcall.core.blindness import Blind
from rollcall.core.policies import Kind, Severity
from support import builders

NOW = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
RULE = policies.defaults().rules[Kind.BLIND]


def gap(length: timedelta = 12 * MINUTE, jobs: int = 3) -> unseen.Gap:
    return unseen.Gap(period=Blind(from_at=NOW - length, until_at=NOW), jobs=jobs)


def blind(**changes: object) -> wide.Answer:
    known: dict[str, Any] = {"seen_at": None, "gap": None, "told_at": None, "why": None}
    return unseen.blind(RULE, now=NOW, **known | changes)


def test_a_cluster_that_was_not_seen_for_two_minutes_is_critical() -> None:
    assert blind(seen_at=NOW - 2 * MINUTE + SECOND) == wide.Answer(is_over=False)
    answer = blind(seen_at=NOW - 2 * MINUTE, why="no answer")
    assert answer.finding
    assert answer.finding.severity is Severity.CRITICAL
    assert answer.finding.message.startswith("Rollcall has not seen the cluster since 2026-")
    assert answer.finding.message.endswith("judges no slot meanwhile: no answer")
    assert not answer.is_over


def test_while_it_is_seen_it_is_over() -> None:
    assert blind() == wide.OVER


def test_blindness_that_nobody_could_tell_of_is_told_afterwards_once() -> None:
    answer = blind(gap=gap())
    assert answer.finding
    assert "could not see the cluster for 12m, from" in answer.finding.message
    assert "slots of 3 jobs fell due in that time" in answer.finding.message
    assert answer.is_over
    assert blind(gap=gap(), told_at=NOW - MINUTE) == wide.OVER
    assert blind(gap=gap(), told_at=NOW - 13 * MINUTE).finding


def test_a_short_gap_is_not_worth_a_word() -> None:
    assert blind(gap=gap(MINUTE)) == wide.OVER


def test_the_last_message_names_the_time_that_it_was_about() -> None:
    before = builders.step(kind=Kind.BLIND, now=NOW - MINUTE).incident
    after = unseen.with_gap(before, gap(jobs=1))
    assert after
    assert "for 12m" in after.message
    assert "slots of 1 job fell" in after.message


def test_a_gap_without_slots_says_so() -> None:
    assert unseen.text(gap(jobs=0)).endswith(": no slot fell due in that time")


def test_what_was_told_afterwards_keeps_its_words() -> None:
    before = builders.step(kind=Kind.BLIND, now=NOW).incident
    assert unseen.with_gap(before, gap()) is before
    assert unseen.with_gap(before, None) is before
    assert unseen.with_gap(None, gap()) is None

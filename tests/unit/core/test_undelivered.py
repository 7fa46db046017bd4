"""Channels that do not deliver."""

from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import incident_steps, incidents, policies, rule_specs, undelivered, wide
from rollcall.core.policies import Kind, Severity
from support import builders

NOW = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
RULE = policies.defaults().rules[Kind.CANNOT_DELIVER]
TWO_STEPS = rule_specs.read(Kind.CANNOT_DELIVER, {"warning": "5m", "critical": "1h"}, None)


def unready(minutes: int) -> undelivered.Unready:
    return undelivered.Unready(since=NOW - minutes * MINUTE, why="Secret slack is missing")


def loss(minutes: int = 0, count: int = 1, jobs: list[str] | None = None) -> undelivered.Loss:
    return undelivered.Loss(
        count=count, last_at=NOW - minutes * MINUTE, why="it answered 403", jobs=jobs or []
    )


def answer(rule: policies.Rule = RULE, **changes: object) -> wide.Answer:
    known: dict[str, Any] = {"unready": None, "loss": None, "before": None}
    return undelivered.cannot_deliver(rule, "pager", now=NOW, **known | changes)


def opened(found: wide.Answer) -> incidents.Incident:
    return builders.opened_of_cluster(found.finding, channel="pager", now=NOW)


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        ({}, None),
        ({"unready": unready(4)}, None),
        ({"unready": unready(5)}, Severity.WARNING),
        ({"unready": unready(60)}, Severity.CRITICAL),
        ({"loss": loss()}, Severity.WARNING),
        ({"loss": loss(), "unready": unready(0)}, Severity.WARNING),
        ({"loss": loss(), "unready": unready(60)}, Severity.CRITICAL),
        ({"loss": loss(9)}, Severity.WARNING),
        ({"loss": loss(10)}, None),
        ({"loss": loss(10), "unready": unready(4)}, None),
    ],
)
def test_it_is_told_after_a_while_and_at_once_if_a_message_is_lost(
    found: dict[str, Any], severity: Severity | None
) -> None:
    finding = answer(TWO_STEPS, **found).finding
    assert (finding and finding.severity) == severity


def test_it_is_over_when_it_is_ready_and_nothing_was_lost_for_a_while() -> None:
    assert answer(loss=loss(10)) == wide.OVER
    assert answer(unready=unready(0)) == wide.Answer(is_over=False)


def test_a_rule_without_thresholds_finds_nothing() -> None:
    silent = rule_specs.read(Kind.CANNOT_DELIVER, {}, None)
    assert answer(silent, loss=loss(), unready=unready(99)).finding is None


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            {"unready": unready(5)},
            "not ready since 2026-03-02 11:55 UTC; what is written for it waits: Secret slack",
        ),
        (
            {"unready": unready(5), "loss": loss(0, 3)},
            "ready since 2026-03-02 11:55 UTC and gave up 3 messages within a day: Secret slack",
        ),
        ({"loss": loss()}, "AlertChannel pager gave up 1 message within a day: it answered 403"),
        (
            {"loss": loss(0, 1000)},
            "pager gave up at least 1000 messages within a day: it answered",
        ),
    ],
)
def test_it_says_what_is_the_matter(found: dict[str, Any], text: str) -> None:
    finding = answer(**found).finding
    assert finding
    assert text in finding.message


def test_the_jobs_of_lost_messages_are_listed_with_a_bound() -> None:
    finding = answer(loss=loss(jobs=[f"shop/job-{number:03}" for number in range(120)])).finding
    assert finding
    assert finding.evidence["total"] == 120
    assert len(finding.evidence["jobs"]) == wide.MOST_LISTED


def test_it_gets_no_better_while_it_lasts_and_a_loss_is_told_once() -> None:
    before = opened(answer(TWO_STEPS, loss=loss(), unready=unready(60)))
    assert before.reason == undelivered.LOST
    later = answer(TWO_STEPS, unready=unready(5), before=before).finding
    assert later
    assert (later.severity, later.reason) == (Severity.CRITICAL, undelivered.LOST)


def test_that_messages_are_lost_by_now_is_news() -> None:
    before = opened(answer(unready=unready(5)))
    assert before.reason == undelivered.NOT_READY
    lost = answer(unready=unready(6), loss=loss(), before=before).finding
    assert lost
    assert lost.reason == undelivered.LOST


def test_two_channels_that_fail_at_once_are_two_incidents() -> None:
    one = opened(answer(loss=loss()))
    step = incident_steps.decide(
        None, answer(loss=loss()).finding, cronjob_id=None, cluster="prod", channel="slack",
        inhibited_by=None, alerts=builders.alerts(), recovered=False, now=NOW,
    )  # fmt: skip
    assert step
    assert step.incident.id != one.id
    assert (step.incident.channel, one.channel) == ("slack", "pager")

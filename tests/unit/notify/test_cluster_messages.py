"""What is about the cluster as a whole, as each kind of channel tells it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import incidents, messages
from rollcall.core.policies import Kind, Severity
from rollcall.notify import digests, wording
from rollcall.notify.alertmanager import alerts
from rollcall.notify.pagerduty import events
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import discord, teams
from support import builders, payloads

STEP = builders.step(
    kind=Kind.MISSED_WIDELY,
    severity=Severity.CRITICAL,
    message="30 of 40 runs due within 5m did not start",
    evidence={"total": 30, "jobs": ["other/a"]},
)
JOBS = ["shop/a", "shop/b"]


def payload(step: incidents.Step = STEP, jobs: list[str] = JOBS) -> dict[str, Any]:
    assert step.transition
    return messages.of_cluster(
        step.incident, step.transition, at=builders.SLOT_AT, cluster="prod", jobs=jobs
    )


def test_the_headline_names_the_cluster() -> None:
    assert wording.headline(payload()) == "CRITICAL: cluster prod has many jobs that do not start"


def test_jobs_are_named_as_far_as_they_are_known_and_the_others_counted() -> None:
    assert wording.facts(payload())["Jobs"] == "shop/a, shop/b and 28 more"
    assert wording.facts(payload(jobs=[]))["Jobs"] == "30"


def test_what_is_over_names_none() -> None:
    later = builders.SLOT_AT + timedelta(hours=1)
    over = builders.step(incident=STEP.incident, recovered=True, now=later)
    said = payload(over, jobs=[])
    assert wording.headline(said) == "RESOLVED: cluster prod (had many jobs that did not start)"
    assert "Jobs" not in wording.facts(said)


def test_in_a_digest_it_names_the_cluster_too() -> None:
    digest = messages.together([payloads.payload(), payload()])
    first, *_ = digests.lines(digest, most=10, longest=1000)
    assert first.startswith("CRITICAL: cluster prod has many jobs that do not start: 30 of 40")


def test_alertmanager_gets_labels_of_no_job() -> None:
    alert = alerts.render(payload(), builders.SLOT_AT)
    assert alert["labels"] == {
        "alertname": "RollcallMissedWidely",
        "cluster": "prod",
        "kind": "missed_widely",
        "severity": "critical",
    }
    assert alert["annotations"]["jobs"] == "shop/a, shop/b and 28 more"


def test_alertmanager_tells_two_channels_that_do_not_deliver_apart() -> None:
    lost = builders.step(kind=Kind.CANNOT_DELIVER, evidence={"channel": "pager", "lost": 1})
    alert = alerts.render(payload(lost, jobs=[]), builders.SLOT_AT)
    assert alert["labels"]["channel"] == "pager"
    assert alert["annotations"]["summary"] == "AlertChannel pager in cluster prod does not deliver"
    assert "jobs" not in alert["annotations"]


def test_pagerduty_gets_the_cluster_as_its_source() -> None:
    event = events.render(payload(), routing_key="key")["payload"]
    assert (event["source"], event["component"], event["group"]) == ("prod", "prod", "prod")


@pytest.mark.parametrize("render", [slack.render, discord.render, teams.render])
def test_chats_show_it(render: Callable[[wording.Payload], object]) -> None:
    text = str(render(payload()))
    assert "shop/b and 28 more" in text
    assert "other/a" not in text

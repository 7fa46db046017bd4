"""Which event PagerDuty gets, and that it is one that it takes."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, incidents, policies, reasons
from rollcall.notify.pagerduty import channel, events
from support import builders, payloads

KEY = "0123456789abcdef0123456789abcdef"


def render(body: dict[str, Any]) -> dict[str, Any]:
    return events.render(body, routing_key=KEY)


def test_a_failing_job_triggers_an_alert_with_all_its_facts() -> None:
    body = payloads.payload(execution=payloads.failed("disk full"), suppressed=2)
    assert render(body) == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": body["incident"]["id"],
        "client": "Rollcall",
        "links": [{"href": "https://wiki.test/backup?a=1&b=2", "text": "Runbook"}],
        "payload": {
            "summary": "shop/backup is failing: 1 run failed",
            "source": "prod/shop/backup",
            "severity": "warning",
            "timestamp": "2026-03-02T12:00:00.000Z",
            "component": "backup",
            "group": "shop",
            "class": "failing",
            "custom_details": {
                "Reason": "Error",
                "Since": "2026-03-02 12:00 UTC",
                "Slot": "2026-03-02 12:00 UTC",
                "Job": "report-1",
                "Exit code": "3",
                "Owner": "team-data",
                "Message": "1 run failed",
                "Repeats": "2 more since the last message",
                "Output": "disk full",
                "Advice": reasons.REASONS["Error"].action,
                "Commands": "kubectl -n shop describe job report-1\n"
                "kubectl -n shop logs job/report-1 --all-containers --tail=100",
                "Runbook": "https://wiki.test/backup?a=1&b=2",
                "Evidence": {"count": 1},
            },
        },
    }


@pytest.mark.parametrize(
    "transition",
    sorted(set(incidents.Transition) - incidents.ENDS - {incidents.Transition.ACKNOWLEDGED}),
)
def test_whatever_else_is_not_the_end_triggers(transition: incidents.Transition) -> None:
    assert render(payloads.payload(transition=transition))["event_action"] == "trigger"


@pytest.mark.parametrize("transition", sorted(incidents.ENDS))
def test_an_end_resolves_and_needs_nothing_but_the_key(transition: incidents.Transition) -> None:
    body = payloads.payload(transition=transition, solved_after=timedelta(minutes=1))
    assert render(body) == {
        "routing_key": KEY,
        "event_action": "resolve",
        "dedup_key": body["incident"]["id"],
    }


def test_an_acknowledgement_is_one_there() -> None:
    body = payloads.payload() | {"type": "incident.acknowledged"}
    assert render(body) == {
        "routing_key": KEY,
        "event_action": "acknowledge",
        "dedup_key": body["incident"]["id"],
    }


@pytest.mark.parametrize("severity", list(policies.Severity))
def test_severities_are_those_of_pagerduty(severity: policies.Severity) -> None:
    body = payloads.payload(found=builders.finding(severity=severity))
    assert render(body)["payload"]["severity"] == severity.value


def test_a_severity_of_a_later_version_is_an_error() -> None:
    body = payloads.payload()
    body["incident"] |= {"severity": "fatal"}
    assert render(body)["payload"]["severity"] == "error"


def test_a_runbook_that_is_no_address_is_not_linked() -> None:
    event = render(payloads.payload(alerts=builders.alerts(runbook_url="javascript:alert(1)")))
    assert "links" not in event
    assert event["payload"]["custom_details"]["Runbook"] == "javascript:alert(1)"


@given(text=st.text(max_size=3000))
def test_a_summary_has_at_most_1024_characters(text: str) -> None:
    event = render(payloads.payload(found=builders.finding(message=text)))
    assert 0 < len(event["payload"]["summary"]) <= 1024


def test_an_event_beyond_512_kilobytes_is_sent_without_its_details() -> None:
    evidence = {"list": ["🔴" * 100] * 1000}
    body = payloads.payload(found=builders.finding(evidence=evidence))
    encoded = events.encode(body, routing_key=KEY)
    assert len(encoded) < 10_000
    assert json.loads(encoded)["payload"]["custom_details"] == {
        "Reason": "Error",
        "Since": "2026-03-02 12:00 UTC",
        "Left out": "the details, they are too long",
    }


def test_a_routing_key_is_required_and_not_shown() -> None:
    with pytest.raises(errors.InvalidSpec, match="write routingKeySecretRef"):
        channel.read({})
    assert KEY not in repr(channel.read({"routingKey": KEY}))


def test_the_address_is_that_of_the_us_region_unless_another_is_named() -> None:
    assert channel.read({"routingKey": KEY}).url == "https://events.pagerduty.com/v2/enqueue"
    elsewhere = "https://events.eu.pagerduty.com/v2/enqueue"
    assert channel.read({"routingKey": KEY, "url": elsewhere}).url == elsewhere
    with pytest.raises(errors.InvalidSpec, match=r"pagerDuty\.url: write an address"):
        channel.read({"routingKey": KEY, "url": "events.pagerduty.com"})

"""Which alert an Alertmanager gets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, policies, reasons
from rollcall.notify.alertmanager import alerts, channel
from support import builders, payloads

NOW = builders.SLOT_AT + timedelta(minutes=20)


def render(body: dict[str, Any], now: datetime = NOW) -> dict[str, Any]:
    return alerts.render(body, now)


def test_a_failing_job_is_an_alert_that_holds_for_five_minutes() -> None:
    body = payloads.payload(execution=payloads.failed("disk full"))
    assert render(body) == {
        "labels": {
            "alertname": "RollcallFailing",
            "cluster": "prod",
            "namespace": "shop",
            "cronjob": "backup",
            "kind": "failing",
            "severity": "warning",
            "owner": "team-data",
        },
        "annotations": {
            "summary": "shop/backup is failing",
            "description": "1 run failed",
            "reason": "Error",
            "slot": "2026-03-02 12:00 UTC",
            "job": "report-1",
            "exit_code": "3",
            "output": "disk full",
            "advice": reasons.REASONS["Error"].action,
            "runbook_url": "https://wiki.test/backup?a=1&b=2",
            "incident": body["incident"]["id"],
        },
        "startsAt": "2026-03-02T12:00:00.000Z",
        "endsAt": "2026-03-02T12:25:00.000Z",
    }


def test_a_solved_problem_has_ended_when_it_was_solved_and_is_the_same_alert() -> None:
    opened = render(payloads.payload())
    solved = render(payloads.payload(solved_after=timedelta(minutes=7)))
    assert solved["labels"] == opened["labels"]
    assert solved["startsAt"] == opened["startsAt"]
    assert solved["endsAt"] == "2026-03-02T12:07:00.000Z"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (policies.Kind.LATE, "RollcallLate"),
        (policies.Kind.NO_PROGRESS, "RollcallNoProgress"),
    ],
)
def test_every_kind_is_an_alert_of_its_own_name(kind: policies.Kind, name: str) -> None:
    assert render(payloads.payload(found=builders.finding(kind)))["labels"]["alertname"] == name


@given(skew=st.timedeltas(min_value=timedelta(hours=-2), max_value=timedelta(hours=2)))
def test_an_alert_never_ends_before_it_begins(skew: timedelta) -> None:
    alert = render(payloads.payload(), builders.SLOT_AT + skew)
    begin, end = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
    assert end - begin >= alerts.HOLDS


def test_labels_and_annotations_are_texts_and_none_is_empty() -> None:
    body = payloads.payload(alerts=builders.alerts(), found=builders.finding(message=""))
    alert = render(body)
    values = [*alert["labels"].values(), *alert["annotations"].values()]
    assert all(isinstance(value, str) and value for value in values)
    assert "owner" not in alert["labels"]
    assert "description" not in alert["annotations"]


@pytest.mark.parametrize(
    ("url", "posted_to"),
    [
        ("http://am.monitoring.svc:9093", "http://am.monitoring.svc:9093/api/v2/alerts"),
        ("http://am.monitoring.svc:9093/", "http://am.monitoring.svc:9093/api/v2/alerts"),
        ("https://a.test/alerts/?tenant=1", "https://a.test/alerts/api/v2/alerts?tenant=1"),
    ],
)
def test_the_address_is_that_of_the_alertmanager_itself(url: str, posted_to: str) -> None:
    assert channel.read({"url": url}).url == posted_to


def test_an_address_is_required_and_secrets_are_not_shown() -> None:
    with pytest.raises(errors.InvalidSpec, match="alertmanager: write url or urlSecretRef"):
        channel.read({})
    settings = channel.read({"url": "https://u:password@a.test", "bearerToken": "token-1"})
    assert "password" not in repr(settings)
    assert "token-1" not in repr(settings)


@pytest.mark.parametrize("token", ["a\nX-Other: b", "tökén"])
def test_a_token_that_is_no_header_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        channel.read({"url": "https://a.test", "bearerToken": token})
    assert refused.value.reason == "InvalidSecret"
    assert token not in str(refused.value)


def test_openings_are_read_in_any_zone() -> None:
    body = payloads.payload()
    body["incident"] |= {"openedAt": "2026-03-02T13:00:00+01:00"}
    assert render(body, datetime(2026, 3, 2, 12, 0, tzinfo=UTC))["endsAt"].startswith(
        "2026-03-02T12:05"
    )

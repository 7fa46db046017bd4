"""What a job's spec says about findings, over the installation's defaults."""

from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import errors, policies, windows
from rollcall.core.policies import AUTO, Kind, Severity

BUILT_IN = policies.defaults()


def _escalation(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"alerts": {"escalation": list(steps)}}


def test_an_empty_spec_has_the_defaults() -> None:
    policy = policies.read({}, BUILT_IN)
    assert policy.rules == BUILT_IN.rules
    assert policy.rules[Kind.STALE].thresholds == {Severity.CRITICAL: AUTO}
    assert policy.alerts == policies.Alerts(
        channels=None,
        cooldown=timedelta(hours=6),
        recovery_threshold=1,
        owner=None,
        runbook_url=None,
    )


def test_a_rule_with_a_threshold_has_exactly_those_it_names() -> None:
    rule = policies.read({"rules": {"failing": {"critical": 5}}}, BUILT_IN).rules[Kind.FAILING]
    assert rule.thresholds == {Severity.CRITICAL: 5}


def test_a_rule_that_is_only_disabled_keeps_its_thresholds() -> None:
    rule = policies.read({"rules": {"late": {"enabled": False}}}, BUILT_IN).rules[Kind.LATE]
    assert (rule.enabled, rule.thresholds) == (False, BUILT_IN.rules[Kind.LATE].thresholds)


def test_the_installation_replaces_the_built_in_rules_and_the_job_both() -> None:
    ours = policies.defaults({"missed": {"warning": 2}}, recovery_threshold=2)
    assert policies.read({}, ours).rules[Kind.MISSED].thresholds == {Severity.WARNING: 2}
    own = policies.read({"alerts": {"recoveryThreshold": 3}}, ours)
    assert own.alerts.recovery_threshold == 3


def test_which_errors_count_goes_with_the_thresholds() -> None:
    ours = policies.defaults({"errors": {"warning": 1, "types": ["timeout"]}})
    assert policies.read({}, ours).rules[Kind.ERRORS].types == {"timeout"}
    own = {"rules": {"errors": {"critical": 5}}}
    assert policies.read(own, ours).rules[Kind.ERRORS].types is None
    other = {"rules": {"errors": {"types": ["quota"]}}}
    assert policies.read(other, ours).rules[Kind.ERRORS] == policies.Rule(
        enabled=True, thresholds={Severity.WARNING: 1}, types=frozenset({"quota"})
    )


def test_a_job_has_windows_if_it_says_so() -> None:
    assert policies.read({}, BUILT_IN).window is None
    asked = policies.read({"window": {"initial": "7d"}}, BUILT_IN).window
    assert asked == windows.Wish(initial=timedelta(days=7))


def test_no_channels_is_not_the_same_as_none_named() -> None:
    assert policies.read({"alerts": {"channels": []}}, BUILT_IN).alerts.channels == ()


def test_alerts_are_read() -> None:
    raw = {"channels": ["a"], "cooldown": "90s", "owner": "team", "runbookURL": "https://x.test"}
    alerts = policies.read({"alerts": raw}, BUILT_IN).alerts
    assert (alerts.channels, alerts.cooldown) == (("a",), timedelta(seconds=90))
    assert (alerts.owner, alerts.runbook_url) == ("team", "https://x.test")


def test_escalation_and_maintenance_are_read() -> None:
    raw = {
        "escalation": [
            {"after": "30m", "channels": ["pager"]},
            {"after": "2h", "severity": "critical"},
        ],
        "maintenance": [{"schedule": "0 2 * * 0", "duration": "4h", "reason": "backups"}],
    }
    alerts = policies.read({"alerts": raw}, BUILT_IN).alerts
    assert alerts.escalation == (
        policies.EscalationStep(after=timedelta(minutes=30), channels=("pager",)),
        policies.EscalationStep(after=timedelta(hours=2), severity=Severity.CRITICAL),
    )
    (window,) = alerts.maintenance
    assert (window.duration, window.reason) == (timedelta(hours=4), "backups")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"rules": {"retrying": {}}}, "InvalidRule", "rules.retrying: known are"),
        ({"rules": {"missed": {"critical": 0}}}, "InvalidRule", "rules.missed.critical"),
        ({"rules": {"missed": {"critical": True}}}, "InvalidRule", "whole number"),
        ({"rules": {"failing": {"warning": "1h"}}}, "InvalidRule", "whole number"),
        ({"rules": {"late": {"warning": "auto"}}}, "InvalidDuration", "rules.late.warning"),
        ({"rules": {"late": {"warning": 5}}}, "InvalidDuration", "above zero"),
        ({"rules": {"late": {"warning": "0s"}}}, "InvalidDuration", "above zero"),
        ({"rules": {"stale": {"info": "9" * 30 + "h"}}}, "InvalidDuration", "too long"),
        ({"alerts": {"cooldown": "soon"}}, "InvalidDuration", "alerts.cooldown"),
        ({"rules": {"errors": {"types": []}}}, "InvalidRule", "rules.errors.types"),
        ({"rules": {"errors": {"types": "timeout"}}}, "InvalidRule", "write a list"),
        ({"window": {"max": "often"}}, "InvalidDuration", "window.max"),
        ({"rules": {"failure_rate": {"info": 101}}}, "InvalidRule", "from 1 to 100"),
        ({"rules": {"failure_rate": {"info": True}}}, "InvalidRule", "from 1 to 100"),
        ({"rules": {"failure_rate": {"window": "day"}}}, "InvalidDuration", "rate.window"),
        ({"rules": {"failure_rate": {"minExecutions": 0}}}, "InvalidRule", "minExecutions"),
        (
            {"rules": {"cannot_start": {"unschedulable": {"info": 5}}}},
            "InvalidDuration",
            "unschedulable.info",
        ),
        (_escalation({"after": "1h"}), "InvalidEscalation", "write channels or severity"),
        (_escalation({"channels": ["a"]}), "InvalidDuration", r"alerts.escalation\[0\].after"),
        (
            _escalation({"after": "1h", "severity": "info"}, {"after": "1h", "severity": "info"}),
            "InvalidEscalation",
            "one after the other",
        ),
        (
            {"alerts": {"maintenance": [{"schedule": "often", "duration": "1h"}]}},
            "InvalidMaintenance",
            r"alerts.maintenance\[0\].schedule",
        ),
    ],
    ids=[
        "unknown rule", "zero", "a boolean", "a duration as count", "auto without meaning",
        "a number as duration", "zero duration", "absurdly long", "words", "no type of error",
        "a type without a list", "a window", "more than all", "a boolean percentage",
        "a window in words", "fewer than one run", "a node that comes after five",
        "a step to nobody", "a step at no time", "steps at once", "maintenance",
    ],
)  # fmt: skip
def test_a_wrong_policy_names_the_field(spec: dict[str, Any], reason: str, words: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=words) as caught:
        policies.read(spec, BUILT_IN)
    assert caught.value.reason == reason


def test_severities_have_an_order() -> None:
    assert [one.weight for one in (Severity.INFO, Severity.WARNING, Severity.CRITICAL)] == [0, 1, 2]


def test_what_a_rule_does_not_say_is_as_the_installation_says() -> None:
    ours = policies.defaults({"failure_rate": {"window": "7d", "minExecutions": 3}})
    rule = policies.read({}, ours).rules[Kind.FAILURE_RATE]
    assert rule.thresholds == {Severity.WARNING: 20}
    assert (rule.window, rule.least) == (timedelta(days=7), 3)
    own = {"rules": {"failure_rate": {"critical": 50, "minExecutions": 2}}}
    rule = policies.read(own, ours).rules[Kind.FAILURE_RATE]
    assert rule.thresholds == {Severity.CRITICAL: 50}
    assert (rule.window, rule.least) == (timedelta(days=7), 2)


def test_the_heartbeat_is_that_of_the_spec() -> None:
    assert policies.read({}, BUILT_IN).heartbeat == timedelta(seconds=15)
    own = {"tracking": {"heartbeatInterval": "1m30s"}}
    assert policies.read(own, BUILT_IN).heartbeat == timedelta(seconds=90)


def test_a_job_has_no_rules_about_the_cluster_and_the_installation_has() -> None:
    rules = policies.defaults({"missed_widely": {"warning": 5, "minJobs": 3}}).rules
    assert rules[Kind.MISSED_WIDELY].thresholds == {Severity.WARNING: 5}
    assert rules[Kind.MISSED_WIDELY].least == 3
    with pytest.raises(errors.InvalidSpec, match="it is about the cluster"):
        policies.read({"rules": {"blind": {"critical": "5m"}}}, policies.defaults())


def test_people_are_told_of_the_cluster_as_the_installation_says() -> None:
    installation = policies.defaults(cooldown=timedelta(hours=2))
    alerts = policies.of_cluster(installation)
    assert (alerts.channels, alerts.cooldown) == (None, timedelta(hours=2))

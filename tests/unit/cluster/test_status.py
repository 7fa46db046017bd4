"""The status of a job, built from the last outcome and the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from rollcall.cluster import inventory, outcomes, status, troubles
from rollcall.core import executions, health, incidents, injection, policies
from rollcall.services import ports
from support import builders

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = inventory.Key("team", "report")
READY = outcomes.Condition(status="True", reason="Reconciled")
OUTCOME = outcomes.Outcome(
    generation=4,
    ready=READY,
    sidecar=outcomes.Sidecar(),
    cronjob=outcomes.CronJob(name="report", uid="c", generation=2),
)


def summary(
    state: ports.JobState | None = None,
    *,
    last: executions.Execution | None = None,
    active: list[executions.Execution] | None = None,
    open_ones: list[incidents.Incident] | None = None,
    heard: datetime | None = None,
    unheard: int = 0,
    cronjob_uid: str | None = "c",
) -> ports.Summary:
    row = ports.JobRow(
        job=builders.job(),
        cronjob_uid=cronjob_uid,
        generation=2,
        spec_hash="hash",
        state=state or ports.JobState(),
        deleted_at=None,
        next_check_at=NOW,
    )
    return ports.Summary(
        row=row,
        last=last,
        active=active or [],
        incidents=open_ones or [],
        last_heartbeat_at=heard,
        unheard=unheard,
    )


def incident(kind: policies.Kind, severity: policies.Severity, message: str) -> incidents.Incident:
    return incidents.Incident(
        id=uuid4(),
        cronjob_id=builders.job().id,
        kind=kind,
        severity=severity,
        reason="R",
        message=message,
        opened_at=NOW,
    )


def build(
    outcome: outcomes.Outcome = OUTCOME,
    ledger: ports.Summary | None = None,
    before: dict[str, Any] | None = None,
    now: datetime = NOW,
    trouble: troubles.Trouble | None = None,
) -> dict[str, Any]:
    return status.build(outcome, ledger, before=before or {}, now=now, trouble=trouble)


def condition(built: dict[str, Any], kind: str) -> tuple[str, str, str]:
    (found,) = [one for one in built["conditions"] if one["type"] == kind]
    return found["status"], found["reason"], found["message"]


def present(built: dict[str, Any]) -> dict[str, Any]:
    """Return it as the API server stores it after a merge patch."""
    return {
        key: present(value) if isinstance(value, dict) else value
        for key, value in built.items()
        if value is not None
    }


def test_every_condition_speaks_of_the_generation_that_was_looked_at() -> None:
    built = build(ledger=summary())
    assert built["observedGeneration"] == 4
    assert [one["type"] for one in built["conditions"]] == [
        "Ready",
        "Stalled",
        "Healthy",
        "Reporting",
    ]
    assert {one["observedGeneration"] for one in built["conditions"]} == {4}


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    before = build(ledger=summary())
    later = NOW + timedelta(hours=1)
    refused = replace(OUTCOME, ready=replace(READY, message="other words"))
    built = build(refused, summary(), before, later)
    assert built["conditions"][0]["lastTransitionTime"] == "2026-03-02T12:00:00Z"
    broken = replace(OUTCOME, ready=replace(READY, status="False"))
    built = build(broken, summary(), before, later)
    assert built["conditions"][0]["lastTransitionTime"] == "2026-03-02T13:00:00Z"


@pytest.mark.parametrize(
    "before",
    [
        {"conditions": None},
        {"conditions": "x"},
        {"conditions": [None, {"type": "Ready"}]},
        {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "never"}]},
    ],
)
def test_an_odd_old_status_does_no_harm(before: dict[str, Any]) -> None:
    built = build(ledger=summary(), before=before)
    assert built["conditions"][0]["lastTransitionTime"] == "2026-03-02T12:00:00Z"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (health.Health.HEALTHY, "True"),
        (health.Health.SUSPENDED, "True"),
        (health.Health.NEW, "Unknown"),
        (health.Health.UNKNOWN, "Unknown"),
        (health.Health.DEGRADED, "False"),
        (health.Health.FAILING, "False"),
    ],
)
def test_healthy_says_the_same_as_the_word(word: health.Health, expected: str) -> None:
    built = build(ledger=summary(ports.JobState(health=word)))
    assert built["health"] == word.value
    assert condition(built, "Healthy")[:2] == (expected, word.value)


def test_healthy_tells_the_worst_incident() -> None:
    worst = incident(policies.Kind.MISSED, policies.Severity.CRITICAL, "1 slot was missed")
    built = build(ledger=summary(ports.JobState(health=health.Health.FAILING), open_ones=[worst]))
    assert condition(built, "Healthy") == ("False", "Failing", "1 slot was missed")


def test_refused_pods_are_what_is_wrong_with_the_runs() -> None:
    built = build(replace(OUTCOME, pods_refused="exceeded quota"), summary())
    assert condition(built, "Healthy") == ("False", "PodsRefused", "exceeded quota")


@pytest.mark.parametrize(
    ("outcome", "ledger", "expected"),
    [
        (OUTCOME, summary(), ("Unknown", "NoRunYet")),
        (OUTCOME, summary(heard=NOW), ("True", "Heard")),
        (OUTCOME, summary(heard=NOW, unheard=1), ("False", "NeverHeard")),
        (OUTCOME, summary(unheard=3), ("False", "NeverHeard")),
        (
            replace(
                OUTCOME,
                sidecar=outcomes.Sidecar(
                    obstacle=injection.Obstacle(reason="WindowsPod", message="x")
                ),
            ),
            summary(unheard=3),
            ("False", "NotInjected"),
        ),
        (
            replace(
                OUTCOME,
                sidecar=outcomes.Sidecar(
                    obstacle=injection.Obstacle(reason="ImageUnavailable", message="x")
                ),
            ),
            summary(),
            ("False", "ImageUnavailable"),
        ),
        (replace(OUTCOME, sidecar=None), summary(heard=NOW), ("Unknown", "NotReady")),
        (OUTCOME, None, ("Unknown", "NoRunYet")),
    ],
    ids=["new", "heard", "silent", "silent-thrice", "windows", "image", "not-ready", "unknown"],
)
def test_reporting_says_whether_pods_are_heard(
    outcome: outcomes.Outcome, ledger: ports.Summary | None, expected: tuple[str, str]
) -> None:
    assert condition(build(outcome, ledger), "Reporting")[:2] == expected


def test_why_a_job_has_no_sidecar_stands_in_status_and_condition() -> None:
    obstacle = injection.Obstacle(reason="PortTaken", message="container web uses port 7655")
    built = build(replace(OUTCOME, sidecar=outcomes.Sidecar(obstacle=obstacle)), summary())
    assert built["sidecar"] == {"injected": False, "reason": "PortTaken"}
    assert condition(built, "Reporting")[2] == "PortTaken: container web uses port 7655"


@pytest.mark.parametrize(
    ("rules", "deaf"),
    [
        ({"errors": {"warning": 1}, "late": {"warning": "1m"}}, "errors"),
        ({"silent": {"critical": "2m"}}, "silent"),
        ({"no_progress": {"info": "1h"}, "errors": {"warning": 1}}, "no_progress, errors"),
        ({"errors": {"warning": 1, "enabled": False}, "no_progress": {"enabled": True}}, ""),
    ],
    ids=["one", "another", "both", "none"],
)
def test_rules_that_find_nothing_without_reports_are_named(
    rules: dict[str, Any], deaf: str
) -> None:
    words = f"; without reports these rules find nothing: {deaf}" if deaf else ""
    ours = summary(unheard=1)
    asked = replace(ours, row=replace(ours.row, job=builders.job(policy={"rules": rules})))
    assert condition(build(OUTCOME, asked), "Reporting")[2] == (
        f"the last run was never heard; its pods may not reach the ingest address{words}"
    )
    obstacle = injection.Obstacle(reason="Disabled", message="tracking.sidecar is Never")
    mute = replace(OUTCOME, sidecar=outcomes.Sidecar(obstacle=obstacle))
    assert condition(build(mute, asked), "Reporting")[2] == (
        f"Disabled: tracking.sidecar is Never{words}"
    )


def test_a_sidecar_that_only_beats_says_so_and_which_rules_find_nothing() -> None:
    outcome = replace(OUTCOME, sidecar=outcomes.Sidecar(beats_only=True))
    rules = {"silent": {"critical": "2m"}, "errors": {"warning": 1}}
    ours = summary(heard=NOW)
    asked = replace(ours, row=replace(ours.row, job=builders.job(policy={"rules": rules})))
    built = build(outcome, asked)
    assert built["sidecar"] == {"injected": True, "reason": "HostNetwork"}
    status_, reason, message = condition(built, "Reporting")
    assert (status_, reason) == ("True", "Heard")
    assert message == (
        "HostNetwork: heartbeats only, programs get no ROLLCALL_URL; "
        "without reports these rules find nothing: errors"
    )
    assert condition(build(outcome, summary()), "Reporting")[2].startswith("HostNetwork: ")


def test_a_pod_on_the_nodes_network_that_is_never_heard_is_told_of_its_dns() -> None:
    outcome = replace(OUTCOME, sidecar=outcomes.Sidecar(beats_only=True))
    message = condition(build(outcome, summary(unheard=1)), "Reporting")[2]
    assert message.endswith("without dnsPolicy ClusterFirstWithHostNet")


def test_an_unready_job_keeps_what_was_applied_before() -> None:
    before = present(build(ledger=summary()))
    broken = outcomes.unready({"metadata": {"generation": 5}}, "InvalidSchedule", "no")
    built = build(broken, summary(), before)
    assert built["sidecar"] == {"injected": True, "reason": None}
    assert built["cronJob"] == {"name": "report", "uid": "c", "generation": 2}
    assert condition(built, "Stalled")[:2] == ("True", "InvalidSchedule")


def test_a_job_that_was_never_registered_has_conditions_only() -> None:
    broken = outcomes.unready({"metadata": {"generation": 1}}, "InvalidSchedule", "no")
    assert set(present(build(broken))) == {
        "observedGeneration",
        "conditions",
        "health",
        "activeCount",
        "consecutiveFailures",
        "openIncidents",
    }


def test_the_ledger_is_shown() -> None:
    state = ports.JobState(
        last_success_at=NOW - timedelta(hours=1),
        last_schedule_at=NOW,
        next_slot_at=NOW + timedelta(minutes=5),
        consecutive_failures=2,
        health=health.Health.DEGRADED,
    )
    run = builders.execution(status=executions.Status.FAILED, reason="OOMKilled")
    active = builders.execution(
        slot_at=NOW + timedelta(minutes=5), status=executions.Status.RUNNING
    )
    built = build(ledger=summary(state, last=run, active=[active]))
    assert built["lastScheduleTime"] == "2026-03-02T12:00:00Z"
    assert built["lastSuccessfulTime"] == "2026-03-02T11:00:00Z"
    assert built["nextScheduleTime"] == "2026-03-02T12:05:00Z"
    assert built["consecutiveFailures"] == 2
    assert (built["active"], built["activeCount"]) == ([active.job_name], 1)
    assert built["lastExecution"] == {
        "jobName": run.job_name,
        "slotTime": "2026-03-02T12:00:00Z",
        "trigger": "schedule",
        "status": "failed",
        "reason": "OOMKilled",
        "startTime": "2026-03-02T12:00:02Z",
        "completionTime": "2026-03-02T12:00:32Z",
    }


def test_at_most_ten_incidents_are_listed_and_all_are_counted() -> None:
    many = [incident(policies.Kind.LATE, policies.Severity.WARNING, "x" * 5000) for _ in range(12)]
    built = build(ledger=summary(open_ones=many))
    assert built["openIncidents"] == 12
    assert len(built["incidents"]) == 10
    assert len(built["incidents"][0]["message"]) == 1024


def test_what_no_longer_holds_is_taken_away() -> None:
    run = builders.execution(status=executions.Status.FAILED)
    before = present(build(ledger=summary(last=run)))
    missed = builders.execution(status=executions.Status.MISSED)
    built = build(ledger=summary(last=missed), before=before)
    assert built["lastExecution"]["jobName"] is None
    assert built["active"] is None
    assert built["incidents"] is None


def test_only_a_difference_is_worth_a_write() -> None:
    built = build(ledger=summary())
    stored = present(built)
    assert not status.differs(built, stored)
    assert not status.differs(built, {**stored, "ofAnotherVersion": 1})
    assert status.differs(built, {})
    assert status.differs(built, {**stored, "active": ["gone"]})
    later = build(ledger=summary(), before=stored, now=NOW + timedelta(days=1))
    assert not status.differs(later, stored)


RUNNING = builders.execution(status=executions.Status.RUNNING)
PENDING = builders.execution(status=executions.Status.PENDING, started_at=None)
STUCK = replace(PENDING, reason="ImagePullBackOff")


@pytest.mark.parametrize(
    ("ledger", "is_news"),
    [
        pytest.param(summary(last=RUNNING), False, id="nothing"),
        pytest.param(summary(ports.JobState(next_slot_at=NOW), last=RUNNING), False, id="a time"),
        pytest.param(summary(last=RUNNING, unheard=3), True, id="another condition"),
        pytest.param(summary(last=PENDING), False, id="a run that has only begun"),
        pytest.param(summary(last=STUCK), True, id="a run that cannot start"),
        pytest.param(summary(ports.JobState(health=health.Health.FAILING)), True, id="health"),
    ],
)
def test_news_is_what_somebody_waits_for(ledger: ports.Summary, *, is_news: bool) -> None:
    stored = present(build(ledger=summary(last=RUNNING)))
    assert status.is_news(build(ledger=ledger, before=stored), stored) is is_news


def test_how_many_runs_were_not_heard_is_no_news() -> None:
    stored = present(build(ledger=summary(unheard=1)))
    assert not status.is_news(build(ledger=summary(unheard=2), before=stored), stored)


def test_a_sidecar_that_could_not_start_is_told_instead_of_silence() -> None:
    trouble = troubles.Trouble(at=NOW, reason="SidecarCannotStart", message="p is untracked")
    built = build(ledger=summary(heard=NOW, unheard=1), trouble=trouble)
    assert condition(built, "Reporting") == ("False", "SidecarCannotStart", "p is untracked")
    assert status.is_news(built, build(ledger=summary(heard=NOW, unheard=1)))


def test_until_when_new_pods_get_no_sidecar_stands_in_the_condition_however_long_the_words() -> (
    None
):
    known = troubles.Troubles(changed=lambda _key: None, clock=lambda: NOW)
    known.tell(KEY, troubles.Trouble(at=NOW, reason="ImageUnavailable", message="x" * 1020))
    for number in range(3):
        known.failed(KEY, str(number), "ImageUnavailable")
    outcome = replace(OUTCOME, sidecar=outcomes.Sidecar(obstacle=known.withheld(KEY)))
    silent = {"silent": {"warning": "2m"}}
    row = replace(summary().row, job=replace(builders.job(), policy={"rules": silent}))
    message = condition(build(outcome, replace(summary(), row=row)), "Reporting")[2]
    assert "new pods get none until 2026-03-02T12:10:00Z" in message
    assert message.endswith("these rules find nothing: silent")


def test_what_is_read_back_from_a_status_is_what_was_told() -> None:
    trouble = troubles.Trouble(at=NOW, reason="ImageUnavailable", message="p; q is untracked")
    silent = {"silent": {"warning": "2m"}}
    row = replace(summary().row, job=replace(builders.job(), policy={"rules": silent}))
    built = build(ledger=replace(summary(), row=row), trouble=trouble)
    known = troubles.Troubles(changed=lambda _key: None, clock=lambda: NOW)
    known.recall(KEY, {"metadata": {"uid": "u"}, "status": built})
    assert known.told(KEY) == trouble
    assert "silent" in condition(built, "Reporting")[2]

"""The payload of a notification."""

from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

from rollcall.core import acts, hints, incidents, messages, reasons
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.policies import Kind, Severity
from support import builders

SUBJECT = messages.Subject(namespace="shop", name="report", uid="u", group="billing")


def payload(step: incidents.Step, execution: Execution | None = None) -> dict[str, Any]:
    assert step.transition
    return messages.payload(
        step=step,
        transition=step.transition,
        at=builders.SLOT_AT,
        cluster="east",
        subject=SUBJECT,
        alerts=builders.alerts(owner="team", runbook_url="https://runbook.test"),
        execution=execution,
    )


def test_an_opened_incident_says_what_where_and_who() -> None:
    step = builders.step()
    said = payload(step, builders.execution(status=Status.FAILED, exit_code=3))
    assert said == {
        "version": 1,
        "type": "incident.opened",
        "time": "2026-03-02T12:00:00.000Z",
        "cluster": "east",
        "incident": {
            "id": str(step.incident.id),
            "kind": "failing",
            "severity": "warning",
            "status": "open",
            "openedAt": "2026-03-02T12:00:00.000Z",
            "resolvedAt": None,
            "reason": "Error",
            "message": "1 run failed",
            "evidence": {"count": 1},
            "acknowledged": None,
            "escalated": 0,
            "resolvedBy": None,
            "flapping": False,
        },
        "cronjob": {
            "namespace": "shop",
            "name": "report",
            "uid": "u",
            "group": "billing",
            "owner": "team",
            "runbookURL": "https://runbook.test",
        },
        "execution": {
            "id": str(builders.execution().id),
            "jobName": "report-29540880",
            "slotTime": "2026-03-02T12:00:00.000Z",
            "trigger": "schedule",
            "status": "failed",
            "reason": "Failed",
            "exitCode": 3,
            "message": None,
        },
        "jobs": [],
        "lastRuns": [],
        "changes": None,
        "advice": reasons.REASONS["Error"].action,
        "commands": [
            "kubectl -n shop describe job report-29540880",
            "kubectl -n shop logs job/report-29540880 --all-containers --tail=100",
        ],
        "suppressed": 0,
    }


def test_the_last_runs_are_told_by_slot_and_status() -> None:
    said = messages.payload(
        step=builders.step(),
        transition=incidents.Transition.OPENED,
        at=builders.SLOT_AT,
        cluster="east",
        subject=SUBJECT,
        alerts=builders.alerts(),
        execution=None,
        recent=[builders.execution(status=Status.FAILED)],
    )
    assert said["lastRuns"] == [{"slotTime": "2026-03-02T12:00:00.000Z", "status": "failed"}]


def test_a_resolved_incident_says_when() -> None:
    end = builders.step(
        incident=builders.step().incident,
        recovered=True,
        now=builders.SLOT_AT + timedelta(milliseconds=1500),
    )
    incident = payload(end)["incident"]
    assert isinstance(incident, dict)
    assert (incident["status"], incident["resolvedAt"]) == ("resolved", "2026-03-02T12:00:01.500Z")


def test_an_acknowledged_incident_says_by_whom() -> None:
    wish = acts.Wish(act=acts.Act.ACKNOWLEDGE, actor="ada", reason="disk is full")
    step = acts.take(builders.step().incident, wish, builders.SLOT_AT)
    said = payload(step)
    incident = said["incident"]
    assert isinstance(incident, dict)
    assert said["type"] == "incident.acknowledged"
    assert incident["acknowledged"] == {
        "at": "2026-03-02T12:00:00.000Z",
        "by": "ada",
        "reason": "disk is full",
    }


def test_a_run_by_hand_has_no_slot() -> None:
    by_hand = builders.execution(status=Status.FAILED, trigger=Trigger.MANUAL)
    execution = payload(builders.step(), by_hand)["execution"]
    assert isinstance(execution, dict)
    assert execution["slotTime"] is None


def test_other_zones_are_written_in_utc() -> None:
    east = builders.SLOT_AT.astimezone(timezone(timedelta(hours=5)))
    assert messages.rfc3339(east) == "2026-03-02T12:00:00.000Z"


def test_each_step_of_an_incident_has_its_own_key() -> None:
    incident = builders.step().incident
    assert messages.key(incident.id, 2) == f"{incident.id}.2"


def test_a_repeated_message_has_the_incident_as_it_is_now() -> None:
    opened = builders.step()
    now = builders.step(
        incident=opened.incident, found=builders.finding(message="3 runs failed", reason="Other")
    )
    said = messages.restated(payload(opened), now.incident)
    assert said["incident"]["message"] == "3 runs failed"
    assert said["cronjob"] == payload(opened)["cronjob"]


def test_a_trial_says_that_nothing_is_wrong_and_can_be_ended() -> None:
    opened = messages.trial(
        channel="team",
        cluster="east",
        namespace="rollcall-system",
        identifier=UUID(int=1),
        at=builders.SLOT_AT,
    )
    assert opened["type"] == messages.TEST
    assert opened["incident"]["message"] == "somebody tries AlertChannel team; nothing is wrong"
    assert opened.keys() == payload(builders.step()).keys()
    assert opened["incident"].keys() == payload(builders.step())["incident"].keys()
    ended = messages.ended(opened, builders.SLOT_AT + timedelta(seconds=1))
    assert ended["type"] == "incident.resolved"
    assert ended["incident"]["resolvedAt"] == "2026-03-02T12:00:01.000Z"
    assert ended["incident"]["id"] == opened["incident"]["id"]


def test_what_is_about_the_cluster_names_no_job_but_those_that_the_reader_may_know() -> None:
    evidence = {"total": 30, "mostly": "ControllerDown", "jobs": ["secret/one"]}
    step = builders.step(kind=Kind.MISSED_WIDELY, evidence=evidence, reason="ManyNotStarted")
    jobs = [f"shop/job-{number:02}" for number in range(30)]
    opened = incidents.Transition.OPENED
    said = messages.of_cluster(
        step.incident, opened, at=builders.SLOT_AT, cluster="prod", jobs=jobs
    )
    assert said["cronjob"] is None
    assert said["jobs"][0] == {"namespace": "shop", "name": "job-00"}
    assert len(said["jobs"]) == messages.MOST_JOBS
    assert said["incident"]["evidence"] == {"total": 30, "mostly": "ControllerDown"}
    assert said["advice"] == reasons.REASONS["ControllerDown"].action
    assert said["commands"][0] == "kubectl get trackedcronjobs -A"


def test_of_blindness_the_api_server_is_asked_and_of_what_is_over_nobody() -> None:
    step = builders.step(kind=Kind.BLIND)
    assert hints.commands_of_cluster(step.incident) == ["kubectl get --raw '/readyz?verbose'"]
    over = builders.step(incident=step.incident, recovered=True).incident
    assert hints.commands_of_cluster(over) == []


def test_messages_of_one_incident_become_its_last_one() -> None:
    opened = builders.step()
    told = payload(opened) | {"suppressed": 1}
    raised = builders.step(incident=opened.incident, severity=Severity.CRITICAL)
    last = payload(raised) | {"suppressed": 2}
    assert messages.together([told, last]) == last | {"type": "incident.opened", "suppressed": 3}


def test_an_act_about_many_jobs_hides_none_of_those_that_nobody_has_heard_of_yet() -> None:
    opened, acknowledged = incidents.Transition.OPENED, incidents.Transition.ACKNOWLEDGED
    incident = builders.step(kind=Kind.MISSED_WIDELY).incident
    told, act, other = (
        messages.of_cluster(
            incident, transition, at=builders.SLOT_AT, cluster="prod", jobs=jobs, suppressed=count
        )
        for transition, jobs, count in (
            (opened, ["shop/a", "shop/b"], 1), (acknowledged, [], 0), (opened, [], 0),
        )
    )  # fmt: skip
    whole = messages.together([told, act])
    assert whole == act | {"jobs": told["jobs"], "suppressed": 1}
    assert len(whole["jobs"]) == 2
    assert messages.together([other, act])["jobs"] == []


def test_an_end_stays_one_when_it_is_told_with_the_beginning() -> None:
    opened = builders.step()
    solved = payload(builders.step(incident=opened.incident, recovered=True))
    assert messages.together([payload(opened), solved])["type"] == "incident.resolved"
    assert messages.is_end("incident.resolved")
    assert not messages.is_end("incident.opened")


def test_messages_of_several_incidents_become_a_digest_that_lists_each_once() -> None:
    one, two = builders.step(), builders.step(kind=Kind.LATE)
    solved = payload(builders.step(incident=one.incident, recovered=True))
    later = payload(two) | {"time": "2026-03-02T13:00:00.000Z"}
    digest = messages.together([payload(one), later, solved])
    assert digest.keys() == {"version", "type", "time", "cluster", "incidents"}
    assert (digest["type"], digest["time"]) == ("digest", "2026-03-02T13:00:00.000Z")
    assert [item["type"] for item in digest["incidents"]] == [
        "incident.resolved", "incident.opened",
    ]  # fmt: skip
    assert digest["incidents"][1] == {
        name: later[name]
        for name in ("type", "time", "incident", "cronjob", "jobs", "execution", "suppressed")
    }


def test_a_message_for_several_has_a_key_of_its_own() -> None:
    assert messages.key_together("a.1") == "a.1.digest"

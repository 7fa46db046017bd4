"""What helps whoever is told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollcall.core import executions, hints
from rollcall.core.policies import Kind
from support import builders

OPEN = builders.step(reason="SomethingElse").incident
OVER = builders.step(incident=OPEN, recovered=True, now=builders.SLOT_AT).incident
FAILED = builders.execution(
    status=executions.Status.FAILED, reason="OOMKilled", job_name="backup-1"
)
RAISE = "Raise the limit, or let the program use less."


def test_the_last_runs_are_the_ten_newest_with_the_oldest_first() -> None:
    recent = [
        builders.execution(
            slot_at=builders.SLOT_AT - timedelta(minutes=5 * number),
            status=executions.Status.MISSED if number else executions.Status.SUCCEEDED,
        )
        for number in range(12)
    ]
    runs = hints.last_runs(recent)
    assert [run["status"] for run in runs] == ["missed"] * 9 + ["succeeded"]
    assert runs[-1]["at"] == builders.SLOT_AT


@pytest.mark.parametrize(
    ("reason", "run", "advice"),
    [
        pytest.param("OOMKilled", None, RAISE, id="of-the-incident"),
        pytest.param("ExitCode", FAILED, RAISE, id="of-the-run"),
        pytest.param("ExitCode", None, None, id="unknown"),
        pytest.param("OwnerDeleted", None, None, id="nothing-to-do"),
    ],
)
def test_advice_follows_from_the_reason(
    reason: str, run: executions.Execution | None, advice: str | None
) -> None:
    assert hints.advice(builders.step(reason=reason).incident, run) == advice


def test_a_solved_problem_needs_no_advice_and_no_commands() -> None:
    assert hints.advice(OVER, FAILED) is None
    assert hints.commands(OVER, FAILED, namespace="shop", name="backup") == []


def test_a_run_is_looked_at_by_its_job() -> None:
    assert hints.commands(OPEN, FAILED, namespace="shop", name="backup") == [
        "kubectl -n shop describe job backup-1",
        "kubectl -n shop logs job/backup-1 --all-containers --tail=100",
    ]


def test_what_a_program_reported_is_looked_at_by_its_run() -> None:
    incident = builders.step(kind=Kind.ERRORS, reason="ErrorsReported").incident
    assert hints.commands(incident, FAILED, namespace="shop", name="backup") == [
        f"rollcall errors show {FAILED.id}",
        "rollcall dead-letters list -n shop --cronjob backup --state open",
    ]


def test_dead_letters_without_errors_are_looked_at_by_themselves() -> None:
    incident = builders.step(kind=Kind.ERRORS, reason="DeadLetters").incident
    assert hints.commands(incident, FAILED, namespace="shop", name="backup") == [
        "rollcall dead-letters list -n shop --cronjob backup --state open"
    ]


@pytest.mark.parametrize("run", [None, builders.execution(job_name=None)], ids=["none", "no-job"])
def test_without_a_job_the_cronjob_is_looked_at(run: executions.Execution | None) -> None:
    assert hints.commands(OPEN, run, namespace="shop", name="backup") == [
        "kubectl -n shop describe cronjob backup"
    ]


@pytest.mark.parametrize(
    ("kind", "advice"),
    [(Kind.BLIND, "API server"), (Kind.CANNOT_DELIVER, "status of the AlertChannel")],
)
def test_what_is_about_no_run_has_advice_of_its_own(kind: Kind, advice: str) -> None:
    assert advice in (hints.advice(builders.step(kind=kind, reason="NotSeen").incident, None) or "")


def test_a_channel_is_looked_at_and_tried() -> None:
    incident = replace(builders.step(kind=Kind.CANNOT_DELIVER).incident, channel="pager")
    assert hints.commands_of_cluster(incident) == [
        "kubectl describe alertchannel pager",
        "rollcall channel test pager",
        f"rollcall alerts show {incident.id}",
    ]

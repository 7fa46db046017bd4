"""What programs report, held against the job's rules."""

from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, findings, policies, rules
from rollcall.core.executions import Status, Trigger
from rollcall.core.findings import Reported
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
RULES = {
    "no_progress": {"warning": "10m", "critical": "1h"},
    "errors": {"warning": 3, "critical": 100},
}


def facts(*told: tuple[executions.Execution, Reported], rules: object = RULES) -> findings.Facts:
    """Build the facts of a job whose runs, newest first, reported so."""
    return findings.Facts(
        now=AT,
        policy=policies.read({"rules": rules}, policies.defaults()),
        rhythms=(),
        concurrency="Forbid",
        suspended=False,
        recent=[run for run, _ in told],
        unstarted=None,
        last_success_at=AT,
        active_since=None,
        first_slot_final=True,
        typical_duration=None,
        reported={run.id: one for run, one in told},
    )


def run(status: Status = Status.RUNNING, slot: int = 0, **changes: Any) -> executions.Execution:  # noqa: ANN401 - fields of an execution
    slot_at = AT - (slot + 1) * timedelta(hours=1)
    return builders.execution(slot_at=slot_at, status=status, **changes)


def found(kind: Kind, given: findings.Facts) -> tuple[Severity, str, str] | None:
    finding = rules.check(given)[kind].finding
    return (finding.severity, finding.reason, finding.message) if finding else None


def again(kind: Kind, given: findings.Facts) -> timedelta | None:
    at = rules.check(given)[kind].look_again_at
    return at - given.now if at else None


@pytest.mark.parametrize(
    ("still_for", "severity", "next_look"),
    [
        (9 * MINUTE, None, MINUTE),
        (10 * MINUTE, Severity.WARNING, MINUTE),
        (60 * MINUTE, Severity.CRITICAL, MINUTE),
    ],
    ids=["just before", "warning", "critical"],
)
def test_a_run_whose_numbers_stand_still_makes_no_progress(
    still_for: timedelta, severity: Severity | None, next_look: timedelta
) -> None:
    going = run()
    given = facts((going, Reported(moved_at=AT - still_for, heard_at=AT)))
    finding = rules.check(given)[Kind.NO_PROGRESS].finding
    assert (finding.severity if finding else None) == severity
    assert again(Kind.NO_PROGRESS, given) == next_look
    if finding:
        assert finding.execution_id == going.id
        assert finding.message.startswith(f"{going.job_name} has made no progress for")


def test_a_run_that_is_not_heard_may_move_and_is_looked_at_again_soon() -> None:
    away = Reported(moved_at=AT - 60 * MINUTE, heard_at=AT - 52 * MINUTE)
    given = facts((run(), away))
    assert found(Kind.NO_PROGRESS, given) is None
    assert again(Kind.NO_PROGRESS, given) == MINUTE
    heard = facts((run(), Reported(moved_at=AT - 20 * MINUTE, heard_at=AT)), (run(slot=1), away))
    assert found(Kind.NO_PROGRESS, heard) is not None


@pytest.mark.parametrize("silent_for", [timedelta(0), MINUTE, 60 * MINUTE])
def test_what_stood_still_while_it_was_heard_stays_found_when_it_falls_silent(
    silent_for: timedelta,
) -> None:
    heard_at = AT - silent_for
    told = Reported(moved_at=heard_at - 10 * MINUTE, heard_at=heard_at - timedelta(seconds=15))
    severity, _, message = found(Kind.NO_PROGRESS, facts((run(), told))) or (None, None, "")
    assert severity is Severity.WARNING
    assert message.endswith(("for 10m", "for 10m45s"))


@pytest.mark.parametrize(
    ("ran", "told"),
    [
        (run(), Reported()),
        (run(Status.SUCCEEDED), Reported(moved_at=AT - 60 * MINUTE, heard_at=AT)),
        (run(Status.PENDING), Reported(moved_at=AT - 60 * MINUTE, heard_at=AT)),
    ],
    ids=["never told any numbers", "ended", "not started again yet"],
)
def test_other_runs_are_held_to_no_progress(ran: executions.Execution, told: Reported) -> None:
    assert rules.check(facts((ran, told)))[Kind.NO_PROGRESS] == findings.NOTHING


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Reported(errors=2), None),
        (Reported(errors=3), (Severity.WARNING, "ErrorsReported", "3 errors")),
        (Reported(errors=100), (Severity.CRITICAL, "ErrorsReported", "100 errors")),
        (Reported(dead_letters=1), (Severity.WARNING, "DeadLetters", "1 dead letter")),
        (
            Reported(errors=1, dead_letters=2),
            (Severity.WARNING, "ErrorsReported", "1 error and 2 dead letters"),
        ),
    ],
    ids=["too few", "enough", "very many", "a dead letter", "both"],
)
def test_reported_errors_are_found(
    told: Reported, expected: tuple[Severity, str, str] | None
) -> None:
    ran = run(Status.SUCCEEDED)
    if expected:
        expected = (*expected[:2], f"{ran.job_name} reported {expected[2]}")
    assert found(Kind.ERRORS, facts((ran, told))) == expected


def test_errors_are_over_with_the_next_run_that_ends_without() -> None:
    bad = (run(Status.FAILED, 1), Reported(errors=5))
    assert found(Kind.ERRORS, facts((run(), Reported()), bad)) is not None
    assert found(Kind.ERRORS, facts((run(Status.SUCCEEDED), Reported()), bad)) is None
    missed = builders.execution(slot_at=AT, status=Status.MISSED)
    assert found(Kind.ERRORS, facts((missed, Reported()), bad)) is not None


def test_a_dead_letter_is_found_beside_a_run_with_more_errors_that_are_too_few() -> None:
    letter = (run(Status.SUCCEEDED, 1), Reported(dead_letters=1))
    given = facts((run(), Reported(errors=2)), letter)
    severity, reason, message = found(Kind.ERRORS, given) or (None, None, "")
    assert (severity, reason) == (Severity.WARNING, "DeadLetters")
    assert message == f"{letter[0].job_name} reported 1 dead letter"


def test_errors_of_a_run_by_hand_alarm_nobody() -> None:
    by_hand = run(Status.SUCCEEDED, trigger=Trigger.MANUAL)
    assert found(Kind.ERRORS, facts((by_hand, Reported(errors=5)))) is None


@pytest.mark.parametrize("kind", [Kind.NO_PROGRESS, Kind.ERRORS])
def test_without_a_threshold_nothing_is_found_and_no_look_is_asked_for(kind: Kind) -> None:
    told = Reported(moved_at=AT - 600 * MINUTE, heard_at=AT, errors=1000, dead_letters=1)
    assert rules.check(facts((run(), told), rules={}))[kind] == findings.NOTHING

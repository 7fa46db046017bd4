"""What programs report, held against the job's rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, findings, policies, report_rules, rules
from rollcall.core.executions import Status, Trigger
from rollcall.core.findings import Example, Reported
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
RULES = {
    "no_progress": {"warning": "10m", "critical": "1h"},
    "errors": {"warning": 3, "critical": 100},
}


def hearing(
    run: executions.Execution,
    *,
    heard: timedelta,
    since: timedelta = timedelta(hours=9),
    through: timedelta = timedelta(0),
    **changes: Any,  # noqa: ANN401 - fields of a policy
) -> findings.Facts:
    """Build the facts of a run that was heard so long ago; reports were kept since and through."""
    given = facts((run, Reported()), rules=changes.pop("rules", None), **changes)
    known = findings.Hearing(heard_at=AT - heard, since=AT - since, through=AT - through)
    return replace(given, hearing={run.id: known})


def facts(
    *told: tuple[executions.Execution, Reported], rules: object = RULES, **spec: object
) -> findings.Facts:
    """Build the facts of a job whose runs, newest first, reported so."""
    return findings.Facts(
        now=AT,
        policy=policies.read({"rules": rules, **spec}, policies.defaults()),
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


EXAMPLES = {
    "of many": (
        Reported(errors=3, example=Example(text="timeout: a\nb", times=2)),
        "3 errors: most often timeout: a b",
    ),
    "of one": (
        Reported(errors=1, dead_letters=1, example=Example(text="timeout: a")),
        "1 error and 1 dead letter: timeout: a",
    ),
    "of many, each another": (
        Reported(errors=3, example=Example(text="timeout: a")), "3 errors: timeout: a",
    ),
    "of a dead letter": (
        Reported(dead_letters=1, example=Example(text="order-1: no")),
        "1 dead letter: order-1: no",
    ),
    "with a secret": (
        Reported(errors=4, example=Example(text="auth: password=hunter2")),
        "4 errors: auth: password=***",
    ),
    "that is long": (
        Reported(errors=4, example=Example(text=f"auth: {'word ' * 100}")),
        f"4 errors: auth:{' word' * 38} wo …",
    ),
    "that is long and unbroken": (
        Reported(errors=4, example=Example(text=f"auth: {'x' * 500}")),
        f"4 errors: auth: {'x' * 192} …",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_says_what_went_wrong(told: Reported, expected: str) -> None:
    ran = run(Status.SUCCEEDED)
    _, _, message = found(Kind.ERRORS, facts((ran, told))) or (None, None, "")
    assert message == f"{ran.job_name} reported {expected}"


@pytest.mark.parametrize(
    ("stage", "shown"),
    [("load", "load"), ("load\n@all", "load @all"), ("password=hunter2", "password=***")],
    ids=["a word", "lines", "a secret"],
)
def test_the_stage_in_which_a_run_stands_still_is_named(stage: str, shown: str) -> None:
    told = Reported(moved_at=AT - 20 * MINUTE, heard_at=AT, stage=stage)
    _, _, message = found(Kind.NO_PROGRESS, facts((run(), told))) or (None, None, "")
    assert message.endswith(f"has made no progress for 20m, in stage {shown}")


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


def test_a_run_that_is_not_heard_any_more_is_silent() -> None:
    going = run()
    given = hearing(going, heard=5 * MINUTE)
    finding = rules.check(given)[Kind.SILENT].finding
    assert finding
    assert (finding.severity, finding.reason) == (Severity.WARNING, "NotHeard")
    assert finding.message == f"{going.job_name} is running and has not been heard for 5m"
    assert finding.execution_id == going.id
    assert again(Kind.SILENT, given) == MINUTE
    early = hearing(going, heard=4 * MINUTE)
    assert (found(Kind.SILENT, early), again(Kind.SILENT, early)) == (None, MINUTE)


@pytest.mark.parametrize(
    ("since", "through"),
    [
        (timedelta(minutes=4), timedelta(0)),
        (timedelta(hours=9), timedelta(seconds=90)),
        (timedelta(0), timedelta(0)),
    ],
    ids=["the api came back later", "the api went meanwhile", "the api has just come back"],
)
def test_time_in_which_nobody_could_be_heard_does_not_count(
    since: timedelta, through: timedelta
) -> None:
    assert (
        found(Kind.SILENT, hearing(run(), heard=6 * MINUTE, since=since, through=through)) is None
    )


def test_a_run_that_has_just_started_is_asked_for_when_it_can_be_silent() -> None:
    young = run(started_at=AT - MINUTE / 2)
    assert not report_rules.can_be_silent(young, AT)
    assert again(Kind.SILENT, facts((young, Reported()))) == 4.5 * MINUTE
    old = replace(young, started_at=AT - MINUTE)
    assert report_rules.can_be_silent(old, AT)
    assert again(Kind.SILENT, facts((old, Reported()))) is None
    assert report_rules.can_be_silent(replace(young, started_at=None), AT)


def test_where_no_api_says_that_it_keeps_reports_nobody_is_silent() -> None:
    given = hearing(run(), heard=60 * MINUTE)
    (known,) = given.hearing.values()
    for unknown in (replace(known, since=None), replace(known, through=None)):
        deaf = replace(given, hearing=dict.fromkeys(given.hearing, unknown))
        assert rules.check(deaf)[Kind.SILENT] == findings.NOTHING


def test_four_heartbeats_and_a_minute_are_always_allowed() -> None:
    asked = {"silent": {"warning": "10s"}}
    short, long = {"heartbeatInterval": "5s"}, {"heartbeatInterval": "10m"}
    second = timedelta(seconds=1)
    for tracking, allowed in ((short, MINUTE), (long, 40 * MINUTE)):
        heard = hearing(run(), heard=allowed - second, rules=asked, tracking=tracking)
        assert found(Kind.SILENT, heard) is None
        silent = hearing(run(), heard=allowed, rules=asked, tracking=tracking)
        assert found(Kind.SILENT, silent) is not None


@pytest.mark.parametrize("status", [Status.PENDING, Status.SUCCEEDED])
def test_only_running_runs_are_silent(status: Status) -> None:
    assert rules.check(hearing(run(status), heard=60 * MINUTE))[Kind.SILENT] == findings.NOTHING


def test_silence_is_over_when_the_run_is_heard_or_ends_and_not_when_the_api_goes() -> None:
    going = run()
    given = hearing(going, heard=5 * MINUTE)
    finding = rules.check(given)[Kind.SILENT].finding
    assert finding
    incident = builders.step(found=finding, now=AT).incident
    away = hearing(going, heard=5 * MINUTE, through=4 * MINUTE)
    assert found(Kind.SILENT, away) is None
    assert not rules.recovered(incident, away)
    assert rules.recovered(incident, hearing(going, heard=-MINUTE))
    assert rules.recovered(incident, replace(given, hearing={}))
    ended = [replace(going, status=Status.FAILED)]
    assert rules.recovered(incident, replace(given, recent=ended))


def test_the_rules_that_a_job_itself_wants_reports_for_are_named() -> None:
    asked = {
        "late": {"warning": "1m"},
        "silent": {"warning": "2m"},
        "no_progress": {"enabled": True},
        "errors": {"critical": 1, "enabled": False},
        "counter": {"info": 1},
    }
    assert report_rules.named(asked) == [Kind.SILENT, Kind.COUNTER]


def test_without_a_limit_nobody_is_silent() -> None:
    given = hearing(run(), heard=60 * MINUTE)
    none = policies.Rule(enabled=True, thresholds={})
    policy = replace(given.policy, rules={**given.policy.rules, Kind.SILENT: none})
    assert rules.check(replace(given, policy=policy))[Kind.SILENT] == findings.NOTHING

"""What is wrong with a job, how badly, and when to look again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, policies, rules
from rollcall.core.executions import Status, Trigger
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def facts(*recent: executions.Execution, **changes: object) -> rules.Facts:
    values: dict[str, Any] = {
        "now": AT,
        "policy": policies.read({}, policies.defaults()),
        "schedule": "0 * * * *",
        "time_zone": "Etc/UTC",
        "concurrency": "Allow",
        "suspended": False,
        "recent": recent,
        "unstarted": None,
        "last_success_at": AT,
        "active_since": AT - 30 * HOUR,
        "first_slot_final": True,
        "typical_duration": None,
    }
    return rules.Facts(**values | changes)


def run(hours_ago: int = 0, status: Status = Status.FAILED, **changes: Any) -> executions.Execution:  # noqa: ANN401 - fields of an execution
    return builders.execution(slot_at=AT - hours_ago * HOUR, status=status, **changes)


def found(kind: Kind, given: rules.Facts) -> tuple[Severity, str] | None:
    finding = rules.check(given)[kind].finding
    return (finding.severity, finding.reason) if finding else None


def again(kind: Kind, given: rules.Facts) -> timedelta | None:
    at = rules.check(given)[kind].look_again_at
    return at - given.now if at else None


@pytest.mark.parametrize(
    ("waited", "severity", "next_look"),
    [
        (5 * MINUTE - timedelta(seconds=1), None, timedelta(seconds=1)),
        (5 * MINUTE, Severity.WARNING, 55 * MINUTE),
        (HOUR, Severity.CRITICAL, None),
    ],
    ids=["just before", "warning", "critical"],
)
def test_a_slot_that_does_not_start_is_late(
    waited: timedelta, severity: Severity | None, next_look: timedelta | None
) -> None:
    given = facts(unstarted=AT - waited)
    assert found(Kind.LATE, given) == ((severity, "NotStarted") if severity else None)
    assert again(Kind.LATE, given) == next_look


def test_a_late_job_says_what_its_pod_waits_for() -> None:
    waiting = run(1, Status.PENDING, reason="ImagePullBackOff")
    assert found(Kind.LATE, facts(waiting)) == (Severity.CRITICAL, "ImagePullBackOff")


def test_a_queued_job_is_not_late() -> None:
    assert found(Kind.LATE, facts(run(1, Status.QUEUED))) is None


def test_a_slot_that_waits_for_a_running_job_under_forbid_is_not_late() -> None:
    given = facts(run(2, Status.RUNNING), unstarted=AT - HOUR)
    assert found(Kind.LATE, given) == (Severity.CRITICAL, "NotStarted")
    assert found(Kind.LATE, replace(given, concurrency="Forbid")) is None


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (2, "warning"), (3, "critical")])
def test_failures_in_a_row_raise_the_severity(count: int, severity: str) -> None:
    runs = [run(number, reason="OOMKilled") for number in range(count)]
    assert found(Kind.FAILING, facts(*runs)) == (Severity(severity), "OOMKilled")


def test_a_success_by_hand_ends_the_row_and_a_failure_by_hand_does_not_count() -> None:
    by_hand: dict[str, Any] = {"trigger": Trigger.MANUAL}
    assert found(Kind.FAILING, facts(run(0, Status.SUCCEEDED, **by_hand), run(1))) is None
    assert found(Kind.FAILING, facts(run(0, **by_hand))) is None


def test_neutral_ends_neither_count_nor_end_the_row() -> None:
    runs = [run(), run(1, Status.CANCELLED), run(2, Status.SKIPPED), run(3)]
    assert rules.failures_in_a_row(runs) == [runs[0], runs[3]]


def test_a_missed_slot_is_critical_until_anything_runs() -> None:
    missed = run(1, Status.MISSED, reason="QuotaExceeded")
    assert found(Kind.MISSED, facts(missed)) == (Severity.CRITICAL, "QuotaExceeded")
    assert found(Kind.MISSED, facts(run(), missed)) is None
    assert found(Kind.MISSED, facts(run(0, Status.SKIPPED), missed)) is not None


def test_successes_are_counted_since_the_last_failure_or_miss() -> None:
    good = [run(number, Status.SUCCEEDED) for number in range(3)]
    assert rules.successes_in_a_row([*good, run(3, Status.MISSED), run(4, Status.SUCCEEDED)]) == 3
    assert rules.successes_in_a_row([run(), *good]) == 0


def test_no_success_for_twice_the_longest_gap_is_stale() -> None:
    assert found(Kind.STALE, facts(last_success_at=AT - 2 * HOUR)) == (
        Severity.CRITICAL,
        "NoSuccess",
    )
    assert again(Kind.STALE, facts(last_success_at=AT - HOUR)) == HOUR


@pytest.mark.parametrize(
    "changes",
    [{"suspended": True}, {"active_since": None}, {"first_slot_final": False}],
    ids=["suspended", "never expected", "new"],
)
def test_a_job_of_which_nothing_is_expected_is_not_stale(changes: dict[str, Any]) -> None:
    assert found(Kind.STALE, facts(last_success_at=None)) is not None
    assert found(Kind.STALE, facts(last_success_at=None, **changes)) is None


@pytest.mark.parametrize(
    ("typical", "limit"),
    [(None, 2 * HOUR), (MINUTE, 2 * HOUR), (HOUR, 3 * HOUR)],
    ids=["no history", "short", "long"],
)
def test_a_run_is_overrunning_after_three_times_its_typical_duration(
    typical: timedelta | None, limit: timedelta
) -> None:
    early = facts(run(9, Status.RUNNING, started_at=AT - limit + MINUTE), typical_duration=typical)
    assert (found(Kind.OVERRUNNING, early), again(Kind.OVERRUNNING, early)) == (None, MINUTE)
    assert found(Kind.OVERRUNNING, replace(early, now=AT + MINUTE)) == (
        Severity.WARNING,
        "StillRunning",
    )


def test_a_disabled_rule_finds_nothing_and_asks_for_no_look() -> None:
    off = policies.read({"rules": {"late": {"enabled": False}}}, policies.defaults())
    assert rules.check(facts(unstarted=AT - HOUR, policy=off))[Kind.LATE] == rules.NOTHING


def test_below_the_threshold_nothing_is_found() -> None:
    later = policies.read({"rules": {"failing": {"critical": 2}}}, policies.defaults())
    assert found(Kind.FAILING, facts(run(), policy=later)) is None


def test_a_schedule_without_a_gap_has_no_automatic_limit() -> None:
    never = facts(schedule="0 0 30 2 *", last_success_at=AT - 1000 * HOUR)
    assert rules.check(never)[Kind.STALE] == rules.NOTHING

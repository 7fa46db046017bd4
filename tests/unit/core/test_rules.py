"""What is wrong with a job, how badly, and when to look again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import blindness, causes, executions, findings, policies, rules, slots
from rollcall.core.executions import Status, Trigger
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def rhythm(schedule: str, **times: Any) -> slots.Rhythm:  # noqa: ANN401 - begin_at, end_at
    begin = {"begin_at": builders.CREATED_AT}
    return slots.Rhythm(schedule=schedule, time_zone="Etc/UTC", **begin | times)


def facts(*recent: executions.Execution, **changes: object) -> findings.Facts:
    values: dict[str, Any] = {
        "now": AT,
        "policy": policies.read({}, policies.defaults()),
        "rhythms": [rhythm("0 * * * *")],
        "concurrency": "Allow",
        "suspended": False,
        "recent": recent,
        "unstarted": None,
        "last_success_at": AT,
        "active_since": AT - 30 * HOUR,
        "first_slot_final": True,
        "typical_duration": None,
    }
    return findings.Facts(**values | changes)


def run(hours_ago: int = 0, status: Status = Status.FAILED, **changes: Any) -> executions.Execution:  # noqa: ANN401 - fields of an execution
    return builders.execution(slot_at=AT - hours_ago * HOUR, status=status, **changes)


def found(kind: Kind, given: findings.Facts) -> tuple[Severity, str] | None:
    finding = rules.check(given)[kind].finding
    return (finding.severity, finding.reason) if finding else None


def again(kind: Kind, given: findings.Facts) -> timedelta | None:
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


def test_a_late_job_says_which_quota_keeps_its_pods_out() -> None:
    quota = "exceeded quota: pods, requested: pods=1, used: pods=0, limited: pods=0"
    waiting = run(1, Status.PENDING, reason="QuotaExceeded", message=quota)
    finding = rules.check(facts(waiting))[Kind.LATE].finding
    assert finding
    assert finding.reason == "QuotaExceeded"
    assert finding.message == (
        f"the slot of 2026-03-02 11:00 UTC has not started for 1h: QuotaExceeded: {quota}"
    )


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


def test_a_missed_slot_is_critical_until_anything_runs() -> None:
    missed = run(1, Status.MISSED, reason="QuotaExceeded")
    assert found(Kind.MISSED, facts(missed)) == (Severity.CRITICAL, "QuotaExceeded")
    assert found(Kind.MISSED, facts(run(), missed)) is None
    assert found(Kind.MISSED, facts(run(0, Status.SKIPPED), missed)) is not None


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
    assert rules.check(facts(unstarted=AT - HOUR, policy=off))[Kind.LATE] == findings.NOTHING


def test_below_the_threshold_nothing_is_found() -> None:
    later = policies.read({"rules": {"failing": {"critical": 2}}}, policies.defaults())
    assert found(Kind.FAILING, facts(run(), policy=later)) is None


def test_a_schedule_without_a_gap_has_no_automatic_limit() -> None:
    never = facts(rhythms=[rhythm("0 0 30 2 *")], last_success_at=AT - 1000 * HOUR)
    assert rules.check(never)[Kind.STALE] == findings.NOTHING


def edited(earlier: str, later: str) -> findings.Facts:
    """Build a job whose schedule was edited an hour ago, and whose last success was before that."""
    at = AT - HOUR
    both = [rhythm(earlier, end_at=at), rhythm(later, begin_at=at)]
    return facts(rhythms=both, last_success_at=AT - 2 * HOUR)


def test_an_edit_makes_no_job_stale_and_what_comes_after_it_does() -> None:
    assert found(Kind.STALE, edited("@daily", "*/30 * * * *")) == (Severity.CRITICAL, "NoSuccess")
    assert again(Kind.STALE, edited("@daily", "@hourly")) == HOUR
    assert again(Kind.STALE, edited("@hourly", "@daily")) == 47 * HOUR


def test_an_edit_does_not_mend_what_was_stale() -> None:
    assert found(Kind.STALE, edited("* * * * *", "@daily")) == (Severity.CRITICAL, "NoSuccess")


def test_a_late_slot_without_a_job_says_what_keeps_it_from_starting() -> None:
    why = causes.Cause("QuotaExceeded", "exceeded quota: few-jobs")
    finding = rules.check(facts(unstarted=AT - HOUR, obstacle=why))[Kind.LATE].finding
    assert finding
    assert finding.reason == "QuotaExceeded"
    assert finding.message.endswith("for 1h: QuotaExceeded: exceeded quota: few-jobs")


def test_a_limit_that_was_reached_while_we_were_blind_counts_later() -> None:
    blind = blindness.Blind(from_at=AT - 3 * MINUTE, until_at=AT)
    given = facts(unstarted=AT - 7 * MINUTE, sight=blindness.Sight(blind=[blind]))
    assert found(Kind.LATE, given) is None
    assert again(Kind.LATE, given) == MINUTE
    assert found(Kind.LATE, replace(given, now=AT + MINUTE)) == (Severity.WARNING, "NotStarted")


def test_slots_that_only_a_gap_tells_count_as_missed() -> None:
    rows = [run(30 - number, Status.MISSED) for number in range(10)][::-1]
    gap = slots.Gap(
        cronjob_id=builders.job().id,
        from_at=AT - 20 * HOUR,
        until_at=AT - HOUR,
        status="missed",
        reason="QuotaExceeded",
        message="exceeded quota",
        count=20,
    )
    finding = rules.check(facts(*rows, gaps=[gap]))[Kind.MISSED].finding
    assert finding
    assert finding.evidence["count"] == 30
    assert finding.reason == "QuotaExceeded"
    assert finding.message.startswith("30 slots in a row were missed, the last at 2026-03-02 11:00")
    unknown = replace(gap, status="unknown")
    assert rules.check(facts(gaps=[unknown]))[Kind.MISSED].finding is None
    assert rules.check(facts(gaps=[gap]))[Kind.MISSED].finding is not None
    ran = run(0, Status.SUCCEEDED)
    assert rules.check(facts(ran, gaps=[gap]))[Kind.MISSED].finding is None

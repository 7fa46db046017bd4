"""What is wrong with a job, how badly, and when to look again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import (
    blindness,
    causes,
    executions,
    findings,
    incidents,
    policies,
    rule_specs,
    rules,
    slots,
    streaks,
)
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
        "the run of 2026-03-02 11:00 UTC has not started for 1h:"
        " the namespace's quota pods is used up: 0 of 0 pods (1 more wanted)"
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
    assert finding.message.endswith(
        "for 1h: a quota of the namespace is used up: exceeded quota: few-jobs"
    )


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
    assert finding.message.startswith(
        "30 runs in a row did not start, the last of 2026-03-02 11:00"
    )
    unknown = replace(gap, status="unknown")
    assert rules.check(facts(gaps=[unknown]))[Kind.MISSED].finding is None
    assert rules.check(facts(gaps=[gap]))[Kind.MISSED].finding is not None
    ran = run(0, Status.SUCCEEDED)
    assert rules.check(facts(ran, gaps=[gap]))[Kind.MISSED].finding is None


def ended(took: timedelta, hours_ago: int = 0, **changes: Any) -> executions.Execution:  # noqa: ANN401 - fields of an execution
    """Build a success that took so long."""
    at = AT - hours_ago * HOUR
    times = {"started_at": at, "ended_at": at + took}
    return run(hours_ago, Status.SUCCEEDED, **times | changes)


def incident(kind: Kind, **changes: object) -> incidents.Incident:
    return builders.step(kind=kind, **changes).incident


def policy(**named: object) -> policies.Policy:
    return policies.read({"rules": named}, policies.defaults())


def test_every_kind_has_a_rule_a_default_and_a_word_on_how_it_ends() -> None:
    assert set(rules.RULES) == set(Kind) - rule_specs.OF_CLUSTER
    assert set(rules.OF_CLUSTER) == rule_specs.OF_CLUSTER
    assert set(rule_specs.BUILT_IN) == set(Kind)
    assert all(rule.holds and rule.over for rule in rules.RULES.values())


def test_what_explains_another_is_not_explained_by_it_in_the_end() -> None:
    def explained_by(kind: Kind) -> set[Kind]:
        direct = rules.INHIBITED_BY.get(kind, frozenset())
        return set(direct).union(*(explained_by(one) for one in direct))

    assert [kind for kind in Kind if kind in explained_by(kind)] == []


@pytest.mark.parametrize("kind", rules.RULES)
def test_every_rule_can_be_turned_off(kind: Kind) -> None:
    off = policies.read({"rules": {kind: {"enabled": False}}}, policies.defaults())
    given = facts(run(), suspended_since=AT - 1000 * HOUR, unstarted=AT - HOUR, policy=off)
    assert rules.check(given)[kind] == findings.NOTHING
    assert rules.recovered(incident(kind), given)


def test_misses_that_nobody_saw_are_told_once_though_something_has_run_since() -> None:
    blind = blindness.Blind(from_at=AT - 6 * HOUR, until_at=AT - HOUR)
    sight = blindness.Sight(blind=[blind])
    misses = [run(ago, Status.MISSED, reason="QuotaExceeded") for ago in (3, 4, 5)]
    recent = (run(2, Status.SUCCEEDED), *misses, run(7, Status.MISSED))
    unseen = streaks.unseen_misses(recent, [], after=AT - 6 * HOUR, sight=sight)
    check = rules.check(facts(*recent, unseen=unseen))[Kind.MISSED]
    assert check.finding
    assert (check.finding.severity, check.finding.reason) == (Severity.CRITICAL, "QuotaExceeded")
    assert check.finding.message == (
        "while Rollcall could not see, 3 runs did not start, the last of 2026-03-02 09:00 UTC:"
        " a quota of the namespace is used up: nothing ran; a later one has run"
    )
    assert check.look_again_at == AT
    assert found(Kind.MISSED, facts(*recent)) is None


def test_of_one_miss_that_nobody_saw_the_sentence_is_about_one() -> None:
    sight = blindness.Sight(blind=[blindness.Blind(from_at=AT - 4 * HOUR, until_at=AT)])
    recent = (run(1, Status.SUCCEEDED), run(3, Status.MISSED))
    unseen = streaks.unseen_misses(recent, [], after=AT - 4 * HOUR, sight=sight)
    finding = rules.check(facts(*recent, unseen=unseen))[Kind.MISSED].finding
    assert finding
    assert finding.message == (
        "while Rollcall could not see, the run of 2026-03-02 09:00 UTC did not start:"
        " nothing ran; a later one has run"
    )


def test_a_missed_slot_says_until_when_it_could_have_started() -> None:
    quota = "exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=10,"
    row = run(1, Status.MISSED, reason="QuotaExceeded", ended_at=AT)
    finding = rules.check(facts(replace(row, message=f"{quota} limited: count/jobs.batch=10")))[
        Kind.MISSED
    ].finding
    assert finding
    assert finding.message == (
        "the run of 2026-03-02 11:00 UTC did not start: the namespace's quota few is used up:"
        " 10 of 10 Jobs (1 more wanted); it could have started until 2026-03-02 12:00 UTC"
    )
    without = rules.check(facts(replace(row, ended_at=None)))[Kind.MISSED].finding
    assert without
    assert without.message.endswith(
        "did not start: a quota of the namespace is used up: nothing ran"
    )


def skips(count: int, *before: executions.Execution) -> findings.Facts:
    holder = run(count, Status.RUNNING)
    rows = [
        run(number, Status.SKIPPED, message="report-1 was still running") for number in range(count)
    ]
    return facts(*rows, holder, *before, concurrency="Forbid")


def test_slots_that_are_skipped_again_and_again_are_found_until_one_runs() -> None:
    assert found(Kind.SKIPPED, skips(2)) is None
    finding = rules.check(skips(3))[Kind.SKIPPED].finding
    assert finding
    assert (finding.severity, finding.since) == (Severity.WARNING, AT - 2 * HOUR)
    assert finding.message == (
        "3 slots in a row were skipped, the last at 2026-03-02 12:00 UTC:"
        " report-1 was still running"
    )
    given = skips(3)
    later = [run(0, Status.SUCCEEDED), *given.recent]
    assert found(Kind.SKIPPED, replace(given, recent=later)) is None
    by_hand = [run(0, Status.SUCCEEDED, trigger=Trigger.MANUAL), *given.recent]
    assert found(Kind.SKIPPED, replace(given, recent=by_hand)) is not None


def test_one_skipped_slot_is_enough_for_who_wants_to_know() -> None:
    given = replace(skips(1), policy=policy(skipped={"info": 1}))
    finding = rules.check(given)[Kind.SKIPPED].finding
    assert finding
    assert finding.message.startswith("a slot was skipped, the last at 2026-03-02 12:00 UTC: ")


def test_a_run_that_waits_for_its_pods_keeps_slots_out_and_ends_no_row() -> None:
    waiting = run(3, Status.PENDING)
    rows = [run(0, Status.SKIPPED), run(1, Status.SKIPPED), run(2, Status.MISSED), waiting]
    assert found(Kind.SKIPPED, facts(*rows, run(4, Status.SKIPPED))) is not None
    assert (
        found(Kind.SKIPPED, facts(*rows, run(4, Status.SUCCEEDED), run(5, Status.SKIPPED))) is None
    )


def test_a_suspension_is_found_only_where_the_job_asks_for_it() -> None:
    given = facts(suspended=True, suspended_since=AT - 47 * HOUR)
    assert rules.check(given)[Kind.SUSPENDED] == findings.NOTHING
    asked = replace(given, policy=policy(suspended={"warning": "2d"}))
    assert found(Kind.SUSPENDED, asked) is None
    assert again(Kind.SUSPENDED, asked) == HOUR
    finding = rules.check(replace(asked, now=AT + HOUR))[Kind.SUSPENDED].finding
    assert finding
    assert finding.message == ("suspended for 2d, since 2026-02-28 13:00 UTC: no slot is started")
    resumed = replace(asked, suspended=False, suspended_since=None, now=AT + HOUR)
    assert rules.check(resumed)[Kind.SUSPENDED] == findings.NOTHING


HASTY = policy(too_fast={"warning": "1m", "critical": "2s"})


@pytest.mark.parametrize(
    ("seconds", "severity"),
    [(1, Severity.CRITICAL), (2, Severity.WARNING), (59, Severity.WARNING), (60, None)],
)
def test_a_success_in_no_time_is_found(seconds: int, severity: Severity | None) -> None:
    given = facts(ended(timedelta(seconds=seconds)), policy=HASTY)
    assert found(Kind.TOO_FAST, given) == ((severity, "Duration") if severity else None)


def test_a_fast_success_says_how_fast_it_was() -> None:
    fast = ended(timedelta(seconds=3))
    finding = rules.check(facts(fast, policy=HASTY))[Kind.TOO_FAST].finding
    assert finding
    assert finding.message == f"{fast.job_name} succeeded after 3s, in less than 1m"
    assert finding.execution_id == fast.id


def test_only_successes_of_slots_are_too_fast_and_any_normal_one_ends_it() -> None:
    fast = ended(timedelta(seconds=3), 2)
    failed, gone = run(1), run(1, Status.SUCCEEDED, started_at=None)
    by_hand = ended(timedelta(seconds=3), trigger=Trigger.MANUAL)
    assert found(Kind.TOO_FAST, facts(by_hand, failed, gone, policy=HASTY)) is None
    assert found(Kind.TOO_FAST, facts(by_hand, failed, gone, fast, policy=HASTY)) is not None
    normal = ended(HOUR, trigger=Trigger.MANUAL)
    assert found(Kind.TOO_FAST, facts(normal, fast, policy=HASTY)) is None


def test_failing_is_over_after_as_many_successes_as_the_job_wants() -> None:
    twice = policies.read({"alerts": {"recoveryThreshold": 2}}, policies.defaults())
    once = facts(run(0, Status.SUCCEEDED), run(1), policy=twice)
    assert not rules.recovered(incident(Kind.FAILING), once)
    assert rules.recovered(incident(Kind.LATE), once)
    both = replace(once, recent=[run(0, Status.SUCCEEDED), run(1, Status.SUCCEEDED)])
    assert rules.recovered(incident(Kind.FAILING), both)


def test_an_info_explains_nothing_that_is_worse_than_itself() -> None:
    both = {Kind.FAILING: Severity.INFO, Kind.STALE: Severity.CRITICAL}
    assert rules.inhibitor(Kind.STALE, both) is None
    assert rules.inhibitor(Kind.STALE, both | {Kind.STALE: Severity.INFO}) is Kind.FAILING
    assert rules.inhibitor(Kind.STALE, both | {Kind.LATE: Severity.WARNING}) is Kind.LATE
    assert rules.inhibitor(Kind.FAILING, both) is None


@pytest.mark.parametrize(
    ("late", "cannot_start", "told", "explained"),
    [
        ("warning", "critical", set(), {Kind.LATE: Kind.CANNOT_START, Kind.CANNOT_START: None}),
        ("warning", "warning", {Kind.LATE}, {Kind.LATE: None, Kind.CANNOT_START: Kind.LATE}),
        (
            "warning",
            "critical",
            {Kind.LATE},
            {Kind.LATE: Kind.CANNOT_START, Kind.CANNOT_START: None},
        ),
    ],
    ids=["found at once", "late was told first", "it becomes worse"],
)
def test_of_late_and_cannot_start_one_is_told(
    late: str, cannot_start: str, told: set[Kind], explained: dict[Kind, Kind | None]
) -> None:
    both = {Kind.LATE: Severity(late), Kind.CANNOT_START: Severity(cannot_start)}
    assert {kind: rules.inhibitor(kind, both, told) for kind in both} == explained
    assert rules.inhibitor(Kind.LATE, {Kind.LATE: Severity.WARNING}, told) is None

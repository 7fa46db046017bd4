"""How often runs fail, and how long they take."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import executions, findings, policies, rules, streaks
from rollcall.core.executions import Status, Trigger
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def facts(*recent: executions.Execution, rules: object = None, **changes: Any) -> findings.Facts:  # noqa: ANN401 - any fact
    values: dict[str, Any] = {
        "now": AT,
        "policy": policies.read({"rules": rules}, policies.defaults()),
        "rhythms": (),
        "concurrency": "Forbid",
        "suspended": False,
        "recent": recent,
        "unstarted": None,
        "last_success_at": AT,
        "active_since": None,
        "first_slot_final": True,
        "typical_duration": None,
    }
    return findings.Facts(**values | changes)


def run(hours_ago: int, status: Status, **changes: object) -> executions.Execution:
    return builders.execution(slot_at=AT - hours_ago * HOUR, status=status, **changes)


def runs(pattern: str) -> list[executions.Execution]:
    """Build hourly runs, newest first: F failed, S succeeded, P was partial, M was missed."""
    names = {"F": Status.FAILED, "S": Status.SUCCEEDED, "P": Status.PARTIAL, "M": Status.MISSED}
    return [run(hours_ago, names[word]) for hours_ago, word in enumerate(pattern)]


def took(*minutes: float, **newest: object) -> list[executions.Execution]:
    """Build successes that took so long, newest first."""
    times = [
        {"started_at": AT - number * HOUR, "ended_at": AT - number * HOUR + one * MINUTE}
        for number, one in enumerate(minutes)
    ]
    found = [run(number, Status.SUCCEEDED, **time) for number, time in enumerate(times)]
    return [replace(found[0], **newest), *found[1:]]  # type: ignore[arg-type]


def found(kind: Kind, given: findings.Facts) -> findings.Finding | None:
    return rules.check(given)[kind].finding


def severity(kind: Kind, given: findings.Facts) -> Severity | None:
    finding = found(kind, given)
    return finding.severity if finding else None


ALONE = {"failing": {"enabled": False}}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("FSSSS", Severity.WARNING),
        ("FSSSSS", None),
        ("FFFF", None),
        ("FFFFF", Severity.WARNING),
        ("FSSSPM", None),
        ("SSSSF", Severity.WARNING),
        ("S" * 24 + "FFFFFF", None),
    ],
    ids=[
        "a fifth", "a sixth", "too few to say", "all", "others do not count", "after successes",
        "longer ago than the window",
    ],
)  # fmt: skip
def test_runs_that_fail_often_are_found(pattern: str, expected: Severity | None) -> None:
    assert severity(Kind.FAILURE_RATE, facts(*runs(pattern), rules=ALONE)) == expected


def test_a_rate_says_what_it_counted() -> None:
    recent = runs("SFSFSS")
    finding = found(Kind.FAILURE_RATE, facts(*recent))
    assert finding
    assert finding.message == "33 % of the runs of the last 1d failed (2 of 6)"
    assert finding.evidence == {"percent": 33, "failed": 2, "executions": 6}
    assert finding.execution_id == recent[1].id


def test_runs_by_hand_are_in_no_rate() -> None:
    by_hand = [replace(one, trigger=Trigger.MANUAL) for one in runs("FFFFF")]
    assert found(Kind.FAILURE_RATE, facts(*by_hand, *runs("SSSSS"), rules=ALONE)) is None
    good = [replace(one, trigger=Trigger.MANUAL) for one in runs("SSSSS")]
    assert found(Kind.FAILURE_RATE, facts(*good, *runs("FSSSS"), rules=ALONE)) is not None


def test_failures_in_one_row_are_told_by_failing_alone() -> None:
    assert found(Kind.FAILURE_RATE, facts(*runs("SFFFFF"))) is None
    assert found(Kind.FAILURE_RATE, facts(*runs("FFFFFS"))) is None
    assert found(Kind.FAILURE_RATE, facts(*runs("SFSFSS"))) is not None
    for failing in ({"critical": 9}, {"info": 1}):
        untold = facts(*runs("SFFFFF"), rules={"failing": failing})
        assert found(Kind.FAILURE_RATE, untold) is not None
    dense = facts(*runs("SFFFF"), tally=streaks.Tally(failed=5, total=6))
    assert found(Kind.FAILURE_RATE, dense) is not None


def test_of_very_many_runs_the_store_tells_how_many_failed() -> None:
    given = facts(*runs("SSSSS"), tally=streaks.Tally(failed=300, total=1000))
    finding = found(Kind.FAILURE_RATE, given)
    assert finding
    assert (finding.evidence["percent"], finding.execution_id) == (30, None)
    fewer = replace(given, tally=streaks.Tally(failed=199, total=1000))
    assert found(Kind.FAILURE_RATE, fewer) is None


def test_a_rate_that_has_fallen_is_over_with_a_success() -> None:
    incident = builders.step(kind=Kind.FAILURE_RATE).incident
    assert not rules.recovered(incident, facts(*runs("FSSSSSSSS")))
    assert rules.recovered(incident, facts(*runs("SFSSSSSSS")))


def test_a_run_far_above_the_median_of_those_before_it_is_slow() -> None:
    usual = [8.0, 12.0] * 10
    assert found(Kind.SLOW, facts(*took(24.8, *usual))) is None
    slow = took(25, *usual)
    finding = found(Kind.SLOW, facts(*slow))
    assert finding
    assert (finding.severity, finding.execution_id) == (Severity.INFO, slow[0].id)
    assert finding.message == f"{slow[0].job_name} took 25m, where 24m49s is slow"


@pytest.mark.parametrize(
    ("minutes", "usual", "is_slow"),
    [
        (0.6, [0.1] * 20, True),
        (0.59, [0.1] * 20, False),
        (15, [10.0] * 20, True),
        (14.9, [10.0] * 20, False),
        (60, [10.0] * 19, False),
    ],
    ids=["by half a minute", "by less", "by half of it", "by less than half", "too few before it"],
)
def test_what_never_varies_may_vary_a_little(
    minutes: float, usual: list[float], *, is_slow: bool
) -> None:
    assert (found(Kind.SLOW, facts(*took(minutes, *usual))) is not None) == is_slow


def test_a_job_may_say_itself_what_is_slow() -> None:
    given = facts(*took(7), rules={"slow": {"warning": "5m", "critical": "10m"}})
    assert severity(Kind.SLOW, given) is Severity.WARNING
    assert severity(Kind.SLOW, replace(given, recent=took(10))) is Severity.CRITICAL
    assert severity(Kind.SLOW, replace(given, recent=took(4, 10))) is None
    by_hand = took(7, trigger=Trigger.MANUAL)
    assert severity(Kind.SLOW, replace(given, recent=by_hand)) is None


def test_failures_say_in_words_how_the_last_run_ended() -> None:
    newest = run(0, Status.FAILED, reason="OOMKilled", exit_code=137)
    finding = found(Kind.FAILING, facts(newest))
    assert finding
    assert finding.message == (
        f"{newest.job_name} failed with exit code 137 (SIGKILL):"
        " out of memory, it used more than its limit"
    )
    assert finding.evidence == {"count": 1, "exitCode": 137, "exitClass": "SIGKILL"}
    row = [replace(newest, exit_code=None, reason=None), run(1, Status.FAILED)]
    finding = found(Kind.FAILING, facts(*row))
    assert finding
    assert finding.message == (
        f"2 runs in a row failed, the last ({newest.job_name}): it ended with an error"
    )

"""What cannot start, from when on it is told, and when that is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollcall.core import (
    causes,
    executions,
    findings,
    incidents,
    policies,
    reasons,
    rules,
)
from rollcall.core.executions import Status, Trigger
from rollcall.core.policies import Kind, Severity
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
REFUSED = causes.Cause("QuotaExceeded", "exceeded quota: few-jobs")


def facts(*recent: executions.Execution, **changes: Any) -> findings.Facts:  # noqa: ANN401 - any fact
    values: dict[str, Any] = {
        "now": AT,
        "policy": policies.read({}, policies.defaults()),
        "rhythms": (),
        "concurrency": "Allow",
        "suspended": False,
        "recent": recent,
        "unstarted": None,
        "last_success_at": AT,
        "active_since": None,
        "first_slot_final": True,
        "typical_duration": None,
    }
    return findings.Facts(**values | changes)


def waiting(
    waited: timedelta, reason: str = "ImagePullBackOff", **changes: object
) -> executions.Execution:
    """Build a run that waits for its reason so long; its slot was two hours ago."""
    values: dict[str, Any] = {
        "slot_at": AT - 2 * HOUR,
        "status": Status.PENDING,
        "reason": reason,
        "message": "no such tag",
        "waiting_since": AT - waited,
    }
    return builders.execution(**values | changes)


def found(given: findings.Facts) -> findings.Finding | None:
    return rules.check(given)[Kind.CANNOT_START].finding


def severity(given: findings.Facts) -> Severity | None:
    finding = found(given)
    return finding.severity if finding else None


def again(given: findings.Facts) -> timedelta | None:
    at = rules.check(given)[Kind.CANNOT_START].look_again_at
    return at - given.now if at else None


def test_a_run_that_waits_for_its_image_cannot_start() -> None:
    stuck = waiting(5 * MINUTE)
    finding = found(facts(stuck))
    assert finding
    assert (finding.severity, finding.reason) == (Severity.CRITICAL, "ImagePullBackOff")
    assert finding.execution_id == stuck.id
    assert finding.message == (
        "the run of 2026-03-02 10:00 UTC has been unable to start for 5m:"
        " an image cannot be pulled: no such tag"
    )
    assert (severity(facts(waiting(4 * MINUTE))), again(facts(waiting(4 * MINUTE)))) == (
        None,
        MINUTE,
    )


def test_the_first_minute_after_the_slot_counts_and_a_queue_does_not() -> None:
    slot_at = AT - 5 * MINUTE
    assert found(facts(waiting(4 * MINUTE, slot_at=slot_at))) is not None
    assert found(facts(waiting(4 * MINUTE - timedelta(seconds=1), slot_at=slot_at))) is None


@pytest.mark.parametrize(
    ("waited", "expected", "next_look"),
    [(9, None, MINUTE), (10, Severity.WARNING, 20 * MINUTE), (30, Severity.CRITICAL, None)],
)
def test_a_node_may_take_longer_to_come(
    waited: int, expected: Severity | None, next_look: timedelta | None
) -> None:
    given = facts(waiting(waited * MINUTE, "Unschedulable"))
    assert (severity(given), again(given)) == (expected, next_look)


def test_every_reason_to_wait_that_names_something_counts() -> None:
    waits = {name for name, one in reasons.REASONS.items() if one.about == reasons.WAITS}
    named = {name for name in waits if found(facts(waiting(HOUR, name)))}
    assert waits - named == {"CrashLoopBackOff", "Waiting"}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.QUEUED},
        {"status": Status.RUNNING},
        {"trigger": Trigger.MANUAL},
        {"waiting_since": None},
    ],
    ids=["queued", "in its init containers", "by hand", "since nobody knows when"],
)
def test_what_does_not_wait_for_a_reason_can_start(changes: dict[str, Any]) -> None:
    assert found(facts(waiting(HOUR, **changes))) is None


def test_of_several_the_worst_is_told_and_of_two_the_one_that_waits_longer() -> None:
    unscheduled = waiting(20 * MINUTE, "Unschedulable")
    missing = [waiting(waited * MINUTE, slot_at=AT - waited * MINUTE) for waited in (6, 7)]
    finding = found(facts(missing[0], missing[1], unscheduled))
    assert finding
    assert finding.execution_id == missing[1].id


def test_a_slot_whose_job_is_refused_cannot_start() -> None:
    finding = found(facts(unstarted=AT - 6 * MINUTE, obstacle=REFUSED))
    assert finding
    assert finding.evidence["slotTime"] == (AT - 6 * MINUTE).isoformat()
    assert finding.message == (
        "the run of 2026-03-02 11:54 UTC has been unable to start for 6m:"
        " a quota of the namespace is used up: exceeded quota: few-jobs"
    )
    down = causes.Cause("ControllerDown", "it stands still")
    assert found(facts(unstarted=AT - HOUR, obstacle=down)) is None
    assert found(facts(unstarted=AT - HOUR)) is None
    assert found(facts(obstacle=REFUSED)) is None
    earlier = builders.execution(slot_at=AT - HOUR, status=Status.RUNNING)
    given = facts(earlier, unstarted=AT - 6 * MINUTE, obstacle=REFUSED)
    assert found(given) is not None
    assert found(replace(given, concurrency="Forbid")) is None


def test_a_slot_that_waits_for_what_made_the_one_before_it_missed_is_no_news() -> None:
    missed = builders.execution(slot_at=AT - HOUR, status=Status.MISSED, reason="QuotaExceeded")
    given = facts(missed, unstarted=AT - 6 * MINUTE, obstacle=REFUSED)
    assert found(given) is None
    assert found(replace(given, recent=[replace(missed, reason="Suspended")])) is not None


def kept(given: findings.Facts) -> incidents.Incident:
    finding = found(given)
    assert finding
    return builders.step(found=finding).incident


def test_it_is_over_when_the_run_starts_or_ends_and_not_when_it_waits_for_something_else() -> None:
    stuck = waiting(HOUR)
    incident = kept(facts(stuck))
    assert not rules.recovered(incident, facts(replace(stuck, reason=None, message=None)))
    for status in (Status.RUNNING, Status.QUEUED, Status.FAILED):
        assert rules.recovered(incident, facts(replace(stuck, status=status)))
    assert rules.recovered(incident, facts())


def test_it_is_over_when_the_slot_is_final() -> None:
    given = facts(unstarted=AT - HOUR, obstacle=REFUSED)
    incident = kept(given)
    assert not rules.recovered(incident, replace(given, obstacle=None))
    assert rules.recovered(incident, replace(given, unstarted=AT))
    assert rules.recovered(incident, replace(given, unstarted=None))


def test_each_of_both_limits_has_its_own_thresholds() -> None:
    own = {"rules": {"cannot_start": {"warning": "1m"}}}
    rule = policies.read(own, policies.defaults()).rules[Kind.CANNOT_START]
    assert rule.thresholds == {Severity.WARNING: MINUTE}
    assert rule.unschedulable == {
        Severity.WARNING: 10 * MINUTE,
        Severity.CRITICAL: 30 * MINUTE,
    }
    own = {"rules": {"cannot_start": {"unschedulable": {"info": "2h"}}}}
    rule = policies.read(own, policies.defaults()).rules[Kind.CANNOT_START]
    assert rule.thresholds == {Severity.CRITICAL: 5 * MINUTE}
    assert rule.unschedulable == {Severity.INFO: 2 * HOUR}

"""When an incident steps on, and when somebody is told."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import findings, incidents, policies
from rollcall.core.incidents import Transition
from rollcall.core.policies import Kind, Severity
from support import builders

NOW = builders.SLOT_AT
HOUR = timedelta(hours=1)


def decide(
    incident: incidents.Incident | None,
    finding: findings.Finding | None,
    *,
    now: datetime = NOW,
    inhibited_by: Kind | None = None,
    recovered: bool = True,
) -> incidents.Step | None:
    return incidents.decide(
        incident,
        finding,
        cronjob_id=builders.job().id,
        inhibited_by=inhibited_by,
        alerts=builders.alerts(),
        recovered=recovered,
        now=now,
    )


def said(step: incidents.Step | None) -> tuple[Transition | None, bool, str] | None:
    return (step.transition, step.notify, step.why) if step else None


def opened(severity: Severity = Severity.WARNING) -> incidents.Incident:
    return builders.step(severity=severity).incident


def test_nothing_found_and_nothing_open_is_no_step() -> None:
    assert decide(None, None) is None


def test_the_first_finding_opens_and_is_told() -> None:
    assert said(decide(None, builders.finding())) == (Transition.OPENED, True, "Opened")


def test_the_same_finding_again_changes_nothing() -> None:
    assert decide(opened(), builders.finding(), now=NOW + HOUR) is None


def test_a_raised_severity_is_told_at_once() -> None:
    step = decide(opened(), builders.finding(severity=Severity.CRITICAL))
    assert said(step) == (Transition.CHANGED, True, "SeverityRaised")


def test_a_lowered_severity_is_kept_and_not_told() -> None:
    step = decide(opened(severity=Severity.CRITICAL), builders.finding())
    assert said(step) == (Transition.CHANGED, False, "WithinCooldown")


def failed(code: int, how: str | None, count: int) -> findings.Finding:
    evidence = {"exitCode": code, "exitClass": how, "count": count}
    return builders.finding(evidence=evidence)


def test_a_program_that_is_killed_where_it_failed_before_is_told_once_and_another_code_is_not() -> (
    None
):
    before = builders.step(found=failed(1, None, 1)).incident
    assert said(decide(before, failed(2, None, 2))) == (None, False, "WithinCooldown")
    step = decide(before, failed(137, "SIGKILL", 2))
    assert said(step) == (Transition.CHANGED, True, "NewReason")
    assert step
    assert said(decide(step.incident, failed(1, None, 3))) == (None, False, "WithinCooldown")
    assert said(decide(step.incident, failed(137, "SIGKILL", 3))) == (
        None,
        False,
        "WithinCooldown",
    )
    assert said(decide(step.incident, failed(139, "SIGSEGV", 3))) == (
        Transition.CHANGED,
        True,
        "NewReason",
    )


def test_a_new_reason_is_told_once() -> None:
    step = decide(opened(), builders.finding(reason="OOMKilled"))
    assert said(step) == (Transition.CHANGED, True, "NewReason")
    assert step is not None
    back = decide(step.incident, builders.finding(), now=NOW + HOUR)
    assert said(back) == (None, False, "WithinCooldown")


def test_repeats_within_the_cooldown_are_counted_and_said_by_the_reminder() -> None:
    repeat = decide(opened(), builders.finding(evidence={"count": 2}), now=NOW + HOUR)
    assert repeat is not None
    assert (said(repeat), repeat.incident.suppressed) == ((None, False, "WithinCooldown"), 1)
    reminder = decide(repeat.incident, builders.finding(evidence={"count": 3}), now=NOW + 6 * HOUR)
    assert reminder is not None
    assert said(reminder) == (Transition.REMINDER, True, "CooldownOver")
    assert (reminder.told_suppressed, reminder.incident.suppressed) == (2, 0)


def test_an_inhibited_incident_is_told_when_nothing_inhibits_it_any_more() -> None:
    stale = builders.finding(Kind.STALE)
    kept = decide(None, stale, inhibited_by=Kind.FAILING)
    assert said(kept) == (Transition.OPENED, False, "InhibitedBy:failing")
    assert kept is not None
    assert incidents.remind_at(kept.incident, builders.alerts()) is None
    assert said(decide(kept.incident, stale)) == (Transition.OPENED, True, "NoLongerInhibited")


def test_what_was_never_told_is_resolved_silently() -> None:
    kept = decide(None, builders.finding(Kind.STALE), inhibited_by=Kind.FAILING)
    assert kept is not None
    assert said(decide(kept.incident, None)) == (Transition.RESOLVED, False, "NeverAnnounced")


def test_without_enough_successes_an_incident_stays_open() -> None:
    assert decide(opened(), None, recovered=False) is None


def test_a_resolved_incident_is_told_and_closed() -> None:
    step = decide(opened(), None, now=NOW + HOUR)
    assert said(step) == (Transition.RESOLVED, True, "Resolved")
    assert step is not None
    assert step.incident.resolved_at == NOW + HOUR


def test_a_deleted_job_withdraws_its_incident() -> None:
    step = incidents.withdraw(opened(), NOW + HOUR)
    assert said(step) == (Transition.WITHDRAWN, True, "Withdrawn")
    assert not step.incident.is_open


FINDINGS = st.none() | st.builds(
    lambda severity, reason, count: builders.finding(
        severity=severity, reason=reason, evidence={"count": count}
    ),
    st.sampled_from(policies.Severity),
    st.sampled_from(["Error", "OOMKilled"]),
    st.integers(1, 4),
)
LOOKS = st.lists(
    st.tuples(FINDINGS, st.sampled_from([None, Kind.MISSED]), st.booleans(), st.integers(0, 9))
)


@given(LOOKS)
def test_any_series_of_looks_keeps_to_the_table_and_tells_an_end_only_of_what_was_told(
    looks: list[tuple[findings.Finding | None, Kind | None, bool, int]],
) -> None:
    current, last, now = None, None, NOW
    told = False
    for finding, inhibited_by, recovered, hours in looks:
        now += hours * HOUR + timedelta(seconds=1)
        step = decide(current, finding, now=now, inhibited_by=inhibited_by, recovered=recovered)
        if step is None:
            continue
        if step.transition:
            assert step.transition in incidents.TRANSITIONS[last]
            last = step.transition
            if current:
                assert step.incident.version == current.version + 1
        if step.transition in incidents.ENDS:
            assert step.notify is told
        else:
            assert not (step.notify and inhibited_by)
        told = (told or step.notify) and step.incident.is_open
        current = step.incident if step.incident.is_open else None
        last = last if current else None

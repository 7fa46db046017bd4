"""When an incident steps on, and when somebody is told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import acts, errors, findings, incident_steps, incidents, policies
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
    silenced_by: str | None = None,
    recovered: bool = True,
) -> incidents.Step | None:
    return incident_steps.decide(
        incident,
        finding,
        cronjob_id=builders.job().id,
        inhibited_by=inhibited_by,
        silenced_by=silenced_by,
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


def test_what_is_not_over_goes_on_as_it_was_found_last() -> None:
    step = decide(opened(), None, recovered=False, now=NOW + 6 * HOUR)
    assert said(step) == (Transition.REMINDER, True, "CooldownOver")
    kept = decide(None, builders.finding(), silenced_by="maintenance")
    assert kept is not None
    spoken = decide(kept.incident, None, recovered=False, now=NOW + HOUR)
    assert said(spoken) == (Transition.OPENED, True, "NoLongerSilenced")


def test_a_resolved_incident_is_told_and_closed() -> None:
    step = decide(opened(), None, now=NOW + HOUR)
    assert said(step) == (Transition.RESOLVED, True, "Resolved")
    assert step is not None
    assert step.incident.resolved_at == NOW + HOUR


def test_a_deleted_job_withdraws_its_incident() -> None:
    step = incident_steps.withdraw(opened(), NOW + HOUR)
    assert said(step) == (Transition.WITHDRAWN, True, "Withdrawn")
    assert not step.incident.is_open


def act(
    incident: incidents.Incident, verb: acts.Act, now: datetime = NOW + HOUR
) -> incidents.Incident:
    return acts.take(incident, acts.Wish(act=verb, actor="ada"), now).incident


def test_an_acknowledged_incident_is_not_reminded_of_and_repeats_are_counted() -> None:
    acknowledged = act(opened(), acts.Act.ACKNOWLEDGE)
    assert incidents.remind_at(acknowledged, builders.alerts()) is None
    repeat = decide(acknowledged, builders.finding(evidence={"count": 2}), now=NOW + 9 * HOUR)
    assert repeat is not None
    assert (said(repeat), repeat.incident.suppressed) == ((None, False, "Acknowledged"), 1)


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        (builders.finding(severity=Severity.CRITICAL), "SeverityRaised"),
        (builders.finding(reason="OOMKilled"), "NewReason"),
    ],
    ids=["worse", "another reason"],
)
def test_news_end_an_acknowledgement(finding: findings.Finding, why: str) -> None:
    step = decide(act(opened(), acts.Act.ACKNOWLEDGE), finding, now=NOW + 2 * HOUR)
    assert said(step) == (Transition.CHANGED, True, why)
    assert step is not None
    assert step.incident.acknowledged is None


def test_a_lowered_severity_leaves_an_acknowledgement_alone() -> None:
    step = decide(act(opened(Severity.CRITICAL), acts.Act.ACKNOWLEDGE), builders.finding())
    assert said(step) == (Transition.CHANGED, False, "Acknowledged")
    assert step is not None
    assert step.incident.acknowledged


def test_reminders_go_on_when_nobody_looks_after_it_any_more() -> None:
    again = act(act(opened(), acts.Act.ACKNOWLEDGE), acts.Act.UNACKNOWLEDGE)
    step = decide(again, builders.finding(), now=NOW + 6 * HOUR)
    assert said(step) == (Transition.REMINDER, True, "CooldownOver")


def test_what_was_acknowledged_before_it_was_told_is_told_only_when_nobody_looks_after_it() -> None:
    stale = builders.finding(Kind.STALE)
    kept = decide(None, stale, inhibited_by=Kind.FAILING)
    assert kept is not None
    acknowledged = decide(act(kept.incident, acts.Act.ACKNOWLEDGE), stale)
    assert said(acknowledged) == (None, False, "Acknowledged")
    assert acknowledged is not None
    again = act(acknowledged.incident, acts.Act.UNACKNOWLEDGE)
    assert said(decide(again, stale)) == (Transition.OPENED, True, "Unacknowledged")


def test_what_begins_under_a_silence_is_told_when_it_is_over() -> None:
    kept = decide(None, builders.finding(), silenced_by="maintenance")
    assert said(kept) == (Transition.OPENED, False, "SilencedBy:maintenance")
    assert kept is not None
    assert incidents.remind_at(kept.incident, builders.alerts()) is None
    step = decide(kept.incident, builders.finding(), now=NOW + HOUR)
    assert said(step) == (Transition.OPENED, True, "NoLongerSilenced")


def test_a_rise_under_a_silence_is_told_when_it_is_over() -> None:
    critical = builders.finding(severity=Severity.CRITICAL)
    raised = decide(opened(), critical, silenced_by="maintenance")
    assert said(raised) == (Transition.CHANGED, False, "SilencedBy:maintenance")
    assert raised is not None
    step = decide(raised.incident, critical, now=NOW + HOUR)
    assert said(step) == (Transition.CHANGED, True, "NoLongerSilenced")
    assert step is not None
    assert decide(step.incident, critical, now=NOW + 2 * HOUR) is None


def test_a_rise_while_another_problem_explains_it_is_told_when_that_is_over() -> None:
    critical = builders.finding(severity=Severity.CRITICAL)
    raised = decide(opened(), critical, inhibited_by=Kind.MISSED)
    assert raised is not None
    step = decide(raised.incident, critical, now=NOW + HOUR)
    assert said(step) == (Transition.CHANGED, True, "NoLongerInhibited")


def test_what_somebody_asks_to_be_told_again_waits_for_the_end_of_a_silence() -> None:
    asked = act(opened(), acts.Act.RESEND)
    kept = decide(asked, builders.finding(), silenced_by="maintenance")
    assert said(kept) == (None, False, "SilencedBy:maintenance")
    assert kept is not None
    step = decide(kept.incident, builders.finding(), now=NOW + HOUR)
    assert said(step) == (Transition.REMINDER, True, "AskedFor")


def test_the_end_of_what_was_told_is_told_under_a_silence() -> None:
    step = decide(opened(), None, silenced_by="maintenance")
    assert said(step) == (Transition.RESOLVED, True, "Resolved")


@pytest.mark.parametrize("inhibited_by", [None, Kind.MISSED])
def test_what_somebody_asks_to_be_told_again_is_told_once_whatever_keeps_it_quiet(
    inhibited_by: Kind | None,
) -> None:
    asked = act(act(opened(), acts.Act.ACKNOWLEDGE), acts.Act.RESEND)
    step = decide(asked, builders.finding(), now=NOW + HOUR, inhibited_by=inhibited_by)
    assert said(step) == (Transition.REMINDER, True, "AskedFor")
    assert step is not None
    assert decide(step.incident, builders.finding(), inhibited_by=inhibited_by) is None


def test_what_was_never_told_is_opened_when_somebody_asks_for_it() -> None:
    kept = decide(None, builders.finding(Kind.STALE), inhibited_by=Kind.FAILING)
    assert kept is not None
    asked = act(kept.incident, acts.Act.RESEND)
    step = decide(asked, builders.finding(Kind.STALE), inhibited_by=Kind.FAILING)
    assert said(step) == (Transition.OPENED, True, "AskedFor")


MINUTE = timedelta(minutes=1)
STEPS = (
    policies.EscalationStep(after=30 * MINUTE, channels=("pager",)),
    policies.EscalationStep(after=2 * HOUR, severity=Severity.CRITICAL),
)


def escalate(
    incident: incidents.Incident | None, minutes: int, **changes: object
) -> incidents.Step | None:
    """Look at the same failure so long after it was found first."""
    values: dict[str, Any] = {"silenced_by": None, "inhibited_by": None} | changes
    return incident_steps.decide(
        incident,
        builders.finding(),
        cronjob_id=builders.job().id,
        alerts=builders.alerts(escalation=STEPS),
        recovered=True,
        now=NOW + minutes * MINUTE,
        **values,
    )


def after(step: incidents.Step | None) -> incidents.Incident:
    assert step
    return step.incident


def test_steps_of_escalation_come_each_at_its_time_and_then_no_more() -> None:
    first = after(escalate(None, 0))
    assert incidents.escalate_at(first, builders.alerts(escalation=STEPS)) == NOW + 30 * MINUTE
    assert escalate(first, 29) is None
    second = escalate(first, 30)
    assert said(second) == (Transition.ESCALATED, True, "NotAcknowledged")
    assert after(second).escalate_at == NOW + 2 * HOUR
    third = escalate(after(second), 120)
    assert said(third) == (Transition.ESCALATED, True, "NotAcknowledged")
    assert after(third).escalated == 2
    assert incidents.escalate_at(after(third), builders.alerts(escalation=STEPS)) is None


def test_steps_that_fell_due_meanwhile_are_not_taken_all_at_once() -> None:
    late = escalate(after(escalate(None, 0)), 300)
    assert said(late) == (Transition.ESCALATED, True, "NotAcknowledged")
    assert escalate(after(late), 301) is None
    assert after(late).escalate_at == NOW + 300 * MINUTE + 90 * MINUTE


def test_an_acknowledgement_stops_escalation_and_its_end_begins_the_step_anew() -> None:
    acknowledged = act(after(escalate(None, 0)), acts.Act.ACKNOWLEDGE)
    assert escalate(acknowledged, 40) is None
    again = act(acknowledged, acts.Act.UNACKNOWLEDGE)
    assert escalate(again, 41) is None
    reminder = escalate(again, 360)
    assert said(reminder) == (Transition.REMINDER, True, "CooldownOver")
    assert after(reminder).escalate_at == NOW + 390 * MINUTE


@pytest.mark.parametrize(
    "quiet", [{"silenced_by": "maintenance"}, {"inhibited_by": Kind.MISSED}], ids=str
)
def test_what_is_kept_quiet_is_not_escalated_until_it_speaks(quiet: dict[str, Any]) -> None:
    kept = after(escalate(after(escalate(None, 0)), 31, **quiet))
    assert incidents.escalate_at(kept, builders.alerts(escalation=STEPS)) is None
    assert said(escalate(kept, 60)) == (Transition.ESCALATED, True, "NotAcknowledged")


def test_news_are_told_before_a_step_is_taken() -> None:
    step = incident_steps.decide(
        after(escalate(None, 0)),
        builders.finding(severity=Severity.CRITICAL),
        cronjob_id=builders.job().id,
        inhibited_by=None,
        alerts=builders.alerts(escalation=STEPS),
        recovered=True,
        now=NOW + 31 * MINUTE,
    )
    assert said(step) == (Transition.CHANGED, True, "SeverityRaised")
    assert after(step).escalate_at == NOW + 30 * MINUTE


def test_a_job_without_steps_escalates_nothing() -> None:
    assert opened().escalate_at is None
    assert incidents.escalate_at(opened(), builders.alerts()) is None


def test_what_was_resolved_by_hand_stays_so_while_nothing_new_is_found() -> None:
    dismissed = act(opened(), acts.Act.RESOLVE)
    assert decide(dismissed, builders.finding(), now=NOW + 9 * HOUR) is None
    assert decide(dismissed, None, recovered=False) is None


@pytest.mark.parametrize(
    "finding",
    [
        builders.finding(severity=Severity.CRITICAL),
        builders.finding(reason="OOMKilled"),
        builders.finding(evidence={"count": 2}),
    ],
    ids=["worse", "another reason", "once more"],
)
def test_what_was_resolved_by_hand_opens_anew_with_news(finding: findings.Finding) -> None:
    dismissed = act(opened(), acts.Act.RESOLVE)
    step = decide(dismissed, finding, now=NOW + 2 * HOUR)
    assert said(step) == (Transition.OPENED, True, "Opened")
    assert step is not None
    assert step.follows == dismissed.id
    assert step.incident.id != dismissed.id


def test_what_was_resolved_by_hand_is_forgotten_when_it_is_over() -> None:
    step = decide(act(opened(), acts.Act.RESOLVE), None, now=NOW + 2 * HOUR)
    assert said(step) == (None, False, "OverSinceDismissed")
    assert step is not None
    assert not step.incident.dismissed


FINDINGS = st.none() | st.builds(
    lambda severity, reason, count: builders.finding(
        severity=severity, reason=reason, evidence={"count": count}
    ),
    st.sampled_from(policies.Severity),
    st.sampled_from(["Error", "OOMKilled"]),
    st.integers(1, 4),
)
SILENCES = st.sampled_from([None, "maintenance"])
LOOKS = st.lists(
    st.tuples(
        FINDINGS,
        st.sampled_from([None, Kind.MISSED]),
        SILENCES,
        st.booleans(),
        st.integers(0, 9),
    )
    | st.sampled_from(acts.Act)
)


def take(
    incident: incidents.Incident | None, verb: acts.Act, now: datetime
) -> incidents.Step | None:
    """Take an act where there is something to do."""
    try:
        return acts.take(incident, acts.Wish(act=verb, actor="ada"), now) if incident else None
    except errors.Conflict:
        return None


@given(LOOKS)
def test_any_series_of_looks_and_acts_keeps_to_the_table_and_tells_an_end_only_of_what_was_told(
    looks: list[tuple[findings.Finding | None, Kind | None, str | None, bool, int] | acts.Act],
) -> None:
    current, last, now = None, None, NOW
    told = False
    for look in looks:
        now += timedelta(seconds=1)
        if isinstance(look, acts.Act):
            step, inhibited_by, silenced_by = take(current, look, now), None, None
        else:
            finding, inhibited_by, silenced_by, recovered, hours = look
            now += hours * HOUR
            step = decide(
                current,
                finding,
                now=now,
                inhibited_by=inhibited_by,
                silenced_by=silenced_by,
                recovered=recovered,
            )
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
            assert not (step.notify and inhibited_by) or step.why == "AskedFor"
            assert not (step.notify and silenced_by)
        told = (told or step.notify) and step.incident.is_open
        current = step.incident if step.incident.is_open else None
        last = last if current else None

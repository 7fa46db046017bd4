"""A problem that comes and goes is told once, and once more when it is over for good."""

from datetime import timedelta

from rollcall.core import acts, findings, incident_steps, incidents
from rollcall.core.policies import Severity
from support import builders

NOW = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def decide(
    incident: incidents.Incident | None,
    finding: findings.Finding | None,
    *,
    now: timedelta = timedelta(),
    told_before: timedelta | None = None,
) -> incidents.Step | None:
    return incident_steps.decide(
        incident,
        finding,
        cronjob_id=builders.job().id,
        inhibited_by=None,
        alerts=builders.alerts(),
        recovered=finding is None,
        told_before=None if told_before is None else NOW + told_before,
        now=NOW + now,
    )


def flapping() -> incidents.Incident:
    step = decide(None, builders.finding(), told_before=-MINUTE)
    assert step
    return step.incident


def after(step: incidents.Step | None) -> incidents.Incident:
    assert step
    return step.incident


def test_one_that_comes_again_within_an_hour_after_the_last_was_over_flaps() -> None:
    step = decide(None, builders.finding(), told_before=-HOUR + MINUTE)
    assert step
    assert (step.notify, step.why, step.incident.flapping) == (True, "Flapping", True)


def test_one_that_comes_an_hour_later_or_first_is_like_any() -> None:
    for told_before in (None, -HOUR):
        step = decide(None, builders.finding(), told_before=told_before)
        assert step
        assert (step.why, step.incident.flapping) == ("Opened", False)


def test_while_it_flaps_nobody_is_told_that_it_is_gone_and_back() -> None:
    gone = decide(flapping(), None, now=5 * MINUTE)
    assert gone
    assert (gone.transition, gone.notify, gone.why) == (None, False, "Flapping")
    assert gone.incident.is_open
    assert decide(gone.incident, None, now=6 * MINUTE) is None
    back = decide(gone.incident, builders.finding(evidence={"count": 2}), now=10 * MINUTE)
    assert back
    assert (back.notify, back.why) == (False, "Flapping")
    assert (back.incident.suppressed, back.incident.gone_since) == (1, None)


def test_it_is_over_when_it_was_gone_for_an_hour() -> None:
    gone = after(decide(flapping(), None, now=5 * MINUTE))
    assert incidents.stable_at(gone) == NOW + 65 * MINUTE
    assert incidents.stable_at(flapping()) is None
    assert decide(gone, None, now=64 * MINUTE) is None
    over = decide(gone, None, now=65 * MINUTE)
    assert over
    assert (over.transition, over.notify) == (incidents.Transition.RESOLVED, True)


def test_while_it_is_gone_no_reminder_is_due() -> None:
    gone = after(decide(flapping(), None, now=5 * MINUTE))
    assert incidents.remind_at(gone, builders.alerts()) is None


def test_while_it_flaps_what_gets_worse_is_told() -> None:
    gone = after(decide(flapping(), None, now=5 * MINUTE))
    worse = decide(gone, builders.finding(severity=Severity.CRITICAL), now=10 * MINUTE)
    assert worse
    assert (worse.notify, worse.why) == (True, "SeverityRaised")


def test_somebody_who_wants_it_told_again_is_heard_while_it_is_gone() -> None:
    gone = after(decide(flapping(), None, now=5 * MINUTE))
    wish = acts.Wish(act=acts.Act.RESEND, actor="ada")
    step = acts.take(gone, wish, NOW + 6 * MINUTE)
    told = decide(after(step), None, now=7 * MINUTE)
    assert told
    assert (told.notify, told.why) == (True, "AskedFor")


def test_a_job_that_flaps_for_hours_is_three_messages_and_an_end() -> None:
    current, over_at, told = None, None, []
    for number in range(100):
        now = number * 5 * MINUTE
        finding = builders.finding(evidence={"count": number}) if number % 2 == 0 else None
        if number > 60:
            finding = None
        if current is None and finding is None:
            continue
        step = decide(current, finding, now=now, told_before=over_at)
        if step is None:
            continue
        if step.notify:
            told.append((step.transition, now))
        current = step.incident if step.incident.is_open else None
        over_at = now if current is None else over_at
    assert [str(transition) for transition, _ in told] == [
        "opened", "resolved", "opened", "resolved",
    ]  # fmt: skip
    assert told[-1][1] == 305 * MINUTE + HOUR  # gone since the run after the last that failed

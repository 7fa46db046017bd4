"""What each act of a person makes of an incident."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollcall.core import acts, errors, incidents
from rollcall.core.acts import Act
from rollcall.core.incidents import Resolution, Transition
from support import builders

OPENED = builders.step().incident
UNTOLD = replace(OPENED, announced_at=None, notified_at=None)
NOW = builders.SLOT_AT + timedelta(hours=1)
PAST = replace(OPENED, resolved_at=NOW)


def take(incident: incidents.Incident, act: Act) -> incidents.Step:
    return acts.take(incident, acts.Wish(act=act, actor="ada", reason="seen"), NOW)


def test_an_acknowledgement_says_who_when_and_why_and_is_told_to_whom_the_beginning_was() -> None:
    step = take(OPENED, Act.ACKNOWLEDGE)
    assert step.incident.acknowledged == incidents.Acknowledgement(at=NOW, by="ada", reason="seen")
    assert (step.transition, step.notify, step.why) == (
        Transition.ACKNOWLEDGED,
        True,
        "Acknowledged",
    )
    assert step.incident.version == OPENED.version + 1


def test_it_can_be_taken_back() -> None:
    step = take(take(OPENED, Act.ACKNOWLEDGE).incident, Act.UNACKNOWLEDGE)
    assert step.incident.acknowledged is None
    assert (step.transition, step.notify) == (Transition.UNACKNOWLEDGED, True)


def test_an_end_by_hand_is_told_and_dismisses_what_is_found_still() -> None:
    step = take(OPENED, Act.RESOLVE)
    assert (step.incident.resolved_at, step.incident.dismissed) == (NOW, True)
    assert (step.transition, step.notify, step.why) == (
        Transition.RESOLVED,
        True,
        "ResolvedByHand",
    )
    assert step.resolution == Resolution(by="ada", reason="seen")


@pytest.mark.parametrize("act", [Act.ACKNOWLEDGE, Act.RESOLVE])
def test_nothing_is_told_of_what_was_never_told(act: Act) -> None:
    step = take(UNTOLD, act)
    assert (step.notify, step.why) == (False, "NeverAnnounced")


def test_to_be_told_again_is_asked_of_the_next_look() -> None:
    step = take(OPENED, Act.RESEND)
    assert step.incident == replace(OPENED, tell_again=True)
    assert (step.transition, step.notify) == (None, False)


@pytest.mark.parametrize("incident", [OPENED, PAST], ids=["open", "past"])
def test_a_false_alarm_is_marked_and_can_be_unmarked(incident: incidents.Incident) -> None:
    marked = take(incident, Act.FALSE_ALARM).incident
    assert marked == replace(incident, false_alarm=True)
    assert take(marked, Act.TRUE_ALARM).incident == incident


REFUSALS = {
    "acknowledged twice": (take(OPENED, Act.ACKNOWLEDGE).incident, Act.ACKNOWLEDGE, "ada ack"),
    "never acknowledged": (OPENED, Act.UNACKNOWLEDGE, "nobody acknowledged"),
    "marked already": (replace(OPENED, false_alarm=True), Act.FALSE_ALARM, "false alarm already"),
    "not marked": (OPENED, Act.TRUE_ALARM, "true alarm already"),
    **{
        f"{act} of a past one": (PAST, act, f"nothing to {act}")
        for act in (Act.ACKNOWLEDGE, Act.UNACKNOWLEDGE, Act.RESEND, Act.RESOLVE)
    },
}


@pytest.mark.parametrize(("incident", "act", "why"), REFUSALS.values(), ids=REFUSALS)
def test_what_would_change_nothing_is_refused_with_the_reason(
    incident: incidents.Incident, act: Act, why: str
) -> None:
    with pytest.raises(errors.Conflict, match=why):
        take(incident, act)


def test_the_audit_log_reads_how_it_stood() -> None:
    marked = take(take(OPENED, Act.ACKNOWLEDGE).incident, Act.FALSE_ALARM).incident
    assert acts.told(marked) == {
        "state": "acknowledged",
        "acknowledgedBy": "ada",
        "falseAlarm": True,
        "tellAgain": False,
    }
    assert acts.told(OPENED) == {
        "state": "open",
        "acknowledgedBy": None,
        "falseAlarm": False,
        "tellAgain": False,
    }
    assert acts.target(OPENED.id) == f"incident/{OPENED.id}"

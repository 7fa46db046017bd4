"""What people do about incidents: what each act makes of one, and where there is nothing to do.

An act changes what is told, never what is found: an incident that is resolved by hand while its
finding still holds is dismissed, and comes back when the problem does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from rollcall.core import errors, standing
from rollcall.core.incidents import Acknowledgement, Incident, Resolution, Step, Transition


class Act(StrEnum):
    """The acts, stored by value as verbs of the audit log."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESEND = "resend"
    RESOLVE = "resolve"
    FALSE_ALARM = "mark-false-alarm"
    TRUE_ALARM = "unmark-false-alarm"


# There is something to tell of past ones too.
_OF_PAST_ONES = frozenset({Act.FALSE_ALARM, Act.TRUE_ALARM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants done, and why."""

    act: Act
    actor: str
    reason: str | None = None


def take(incident: Incident, wish: Wish, now: datetime) -> Step:
    """Return the step that the act leads to.

    Raises errors.Conflict if it would change nothing.
    """
    if not incident.is_open and wish.act not in _OF_PAST_ONES:
        raise errors.Conflict(f"it is resolved: there is nothing to {wish.act} any more")
    return _STEPS[wish.act](incident, wish, now)


def target(incident_id: UUID) -> str:
    """Name an incident in the audit log."""
    return f"incident/{incident_id}"


def told(incident: Incident) -> Mapping[str, object]:
    """Describe it in the audit log."""
    acknowledged = incident.acknowledged
    return {
        "state": standing.of(incident).value,
        "acknowledgedBy": acknowledged.by if acknowledged else None,
        "falseAlarm": incident.false_alarm,
        "tellAgain": incident.tell_again,
    }


def _acknowledge(incident: Incident, wish: Wish, now: datetime) -> Step:
    if incident.acknowledged:
        raise errors.Conflict(f"{incident.acknowledged.by} acknowledged it already")
    by = Acknowledgement(at=now, by=wish.actor, reason=wish.reason)
    stopped = replace(incident, acknowledged=by, escalate_at=None)
    return _step(stopped, Transition.ACKNOWLEDGED, "Acknowledged")


def _unacknowledge(incident: Incident, wish: Wish, now: datetime) -> Step:
    del wish, now
    if not incident.acknowledged:
        raise errors.Conflict("nobody acknowledged it")
    again = replace(incident, acknowledged=None)
    return _step(again, Transition.UNACKNOWLEDGED, "Unacknowledged")


def _resend(incident: Incident, wish: Wish, now: datetime) -> Step:
    del wish, now
    return _change(replace(incident, tell_again=True))


def _end(incident: Incident, wish: Wish, now: datetime) -> Step:
    ended = replace(incident, resolved_at=now, dismissed=True, tell_again=False)
    step = _step(ended, Transition.RESOLVED, "ResolvedByHand")
    return replace(step, resolution=Resolution(by=wish.actor, reason=wish.reason))


def _mark(incident: Incident, wish: Wish, now: datetime) -> Step:
    del now
    is_false = wish.act is Act.FALSE_ALARM
    if incident.false_alarm is is_false:
        raise errors.Conflict(f"it is marked as a {'false' if is_false else 'true'} alarm already")
    return _change(replace(incident, false_alarm=is_false))


def _step(incident: Incident, transition: Transition, why: str) -> Step:
    is_known = incident.announced_at is not None
    return Step(
        incident=replace(incident, version=incident.version + 1),
        transition=transition,
        notify=is_known,
        why=why if is_known else "NeverAnnounced",
    )


def _change(incident: Incident) -> Step:
    return Step(incident=incident, transition=None, notify=False, why="ByHand")


_STEPS: Mapping[Act, Callable[[Incident, Wish, datetime], Step]] = {
    Act.ACKNOWLEDGE: _acknowledge,
    Act.UNACKNOWLEDGE: _unacknowledge,
    Act.RESEND: _resend,
    Act.RESOLVE: _end,
    Act.FALSE_ALARM: _mark,
    Act.TRUE_ALARM: _mark,
}

"""Items that a program could not process, from `open` to an end.

TRANSITIONS is the whole state machine; a step that it does not have is refused with the reason.
A requeued one is handed to the next run whose sidecar reports, and to another one when that run
ends without having confirmed it.
"""

from enum import StrEnum
from uuid import UUID

from rollcall.core import errors


class State(StrEnum):
    """The states of a dead letter, stored by value."""

    OPEN = "open"  # nobody has looked at it
    REQUEUED = "requeued"  # the next run is to process it
    RESOLVED = "resolved"  # processed, or mended by hand
    DISCARDED = "discarded"  # it will not be processed


class Act(StrEnum):
    """What people and runs do with dead letters, stored by value."""

    REQUEUE = "requeue"
    RESOLVE = "resolve"
    DISCARD = "discard"


LEADS_TO = {
    Act.REQUEUE: State.REQUEUED,
    Act.RESOLVE: State.RESOLVED,
    Act.DISCARD: State.DISCARDED,
}
TRANSITIONS: dict[State, frozenset[Act]] = {
    State.OPEN: frozenset(Act),
    # Once more, so that a run which does not confirm it loses it at once.
    State.REQUEUED: frozenset(Act),
    State.RESOLVED: frozenset(),
    State.DISCARDED: frozenset(),
}


def after(state: State, act: Act) -> State:
    """Return the state that the act leads to; raises errors.Conflict if it has no such step."""
    if act not in TRANSITIONS[state]:
        raise errors.Conflict(f"it is {state}: there is nothing to {act} any more")
    return LEADS_TO[act]


def target(dead_letter_id: UUID) -> str:
    """Name a dead letter in the audit log."""
    return f"dead-letter/{dead_letter_id}"


def told(state: State, actor: str | None, note: str | None) -> dict[str, str | None]:
    """Describe a state in the audit log."""
    return {"state": state.value, "actor": actor, "note": note}

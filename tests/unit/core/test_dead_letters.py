"""The steps of a dead letter."""

from uuid import UUID

import pytest

from rollcall.core import dead_letters, errors
from rollcall.core.dead_letters import Act, State

OPEN_ENDED = [State.OPEN, State.REQUEUED]
ENDED = [State.RESOLVED, State.DISCARDED]


@pytest.mark.parametrize("state", OPEN_ENDED)
@pytest.mark.parametrize(
    ("act", "next_state"),
    [
        (Act.REQUEUE, State.REQUEUED),
        (Act.RESOLVE, State.RESOLVED),
        (Act.DISCARD, State.DISCARDED),
    ],
)
def test_one_that_has_not_ended_takes_every_step(state: State, act: Act, next_state: State) -> None:
    assert dead_letters.after(state, act) is next_state


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("act", list(Act))
def test_one_that_has_ended_takes_none_and_says_so(state: State, act: Act) -> None:
    with pytest.raises(errors.Conflict, match=f"it is {state}: there is nothing to {act}"):
        dead_letters.after(state, act)


def test_the_audit_log_names_it_and_says_how_it_stood() -> None:
    assert dead_letters.target(UUID(int=1)) == "dead-letter/00000000-0000-0000-0000-000000000001"
    assert dead_letters.told(State.REQUEUED, "ann", None) == {
        "state": "requeued",
        "actor": "ann",
        "note": None,
    }

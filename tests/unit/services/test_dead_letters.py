"""What people do with dead letters, step by step."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from rollcall.core import dead_letters, errors
from rollcall.core.dead_letters import Act, State
from rollcall.services import dead_letters as services
from rollcall.services import ports
from support import builders

ID = UUID(int=7)


@dataclass
class Unit:
    """One dead letter in memory, and the audit log."""

    state: State | None = State.OPEN
    now: object = builders.SLOT_AT
    entries: list[ports.AuditEntry] = field(default_factory=list)
    became: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def dead_letters(self) -> "Unit":
        return self

    @property
    def audit(self) -> "Unit":
        return self

    async def lock(self, cluster: str, dead_letter_id: UUID) -> object:
        if self.state is None or (cluster, dead_letter_id) != (builders.CLUSTER, ID):
            return None
        return SimpleNamespace(id=ID, state=self.state, actor="before", note=None)

    async def become(
        self, dead_letter_id: UUID, state: State, *, actor: str, note: str | None
    ) -> None:
        self.became.append((dead_letter_id, state, actor, note))

    async def record(self, entry: ports.AuditEntry) -> None:
        self.entries.append(entry)


async def carry_out(unit: Unit, act: Act, identifier: UUID = ID) -> State:
    wish = services.Wish(act=act, actor="ada", reason="seen")
    transaction = cast("ports.Transaction", unit)
    return await services.carry_out(transaction, builders.CLUSTER, identifier, wish)


STEPS = [
    (state, act, dead_letters.LEADS_TO[act])
    for state in (State.OPEN, State.REQUEUED)
    for act in Act
]


@pytest.mark.parametrize(("state", "act", "leads_to"), STEPS, ids=str)
async def test_a_step_is_taken_and_written_down(state: State, act: Act, leads_to: State) -> None:
    unit = Unit(state)
    assert await carry_out(unit, act) is leads_to
    assert unit.became == [(ID, leads_to, "ada", "seen")]
    assert unit.entries == [
        ports.AuditEntry(
            at=builders.SLOT_AT,
            actor="ada",
            verb=act.value,
            target=f"dead-letter/{ID}",
            reason="seen",
            before={"state": state.value, "actor": "before", "note": None},
            after={"state": leads_to.value, "actor": "ada", "note": "seen"},
        )
    ]


@pytest.mark.parametrize("state", [State.RESOLVED, State.DISCARDED])
@pytest.mark.parametrize("act", Act)
async def test_what_has_ended_stays_so_and_says_it(state: State, act: Act) -> None:
    unit = Unit(state)
    with pytest.raises(errors.Conflict, match=f"it is {state}: there is nothing to {act}"):
        await carry_out(unit, act)
    assert (unit.became, unit.entries) == ([], [])


async def test_what_there_is_not_is_named() -> None:
    other = UUID(int=8)
    with pytest.raises(errors.NotFound, match=str(other)):
        await carry_out(Unit(), Act.RESOLVE, other)

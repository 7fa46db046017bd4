"""What people do with dead letters; every act stands in the audit log."""

from dataclasses import dataclass
from uuid import UUID

from rollcall.core import dead_letters, errors
from rollcall.services import ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which dead letters are listed; None or empty restricts nothing."""

    cluster: str
    namespace: str | None = None
    cronjob: str | None = None  # all jobs that have or had this name
    states: frozenset[dead_letters.State] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants done with a dead letter, and why."""

    act: dead_letters.Act
    actor: str
    reason: str | None = None


async def carry_out(
    unit: ports.Transaction, cluster: str, dead_letter_id: UUID, wish: Wish
) -> dead_letters.State:
    """Do it and write it down; return the state that it led to.

    Raises errors.NotFound, errors.Conflict for a step that there is not.
    """
    letter = await unit.dead_letters.lock(cluster, dead_letter_id)
    if letter is None:
        raise errors.NotFound(f"there is no dead letter {dead_letter_id}")
    state = dead_letters.after(letter.state, wish.act)
    await unit.dead_letters.become(letter.id, state, actor=wish.actor, note=wish.reason)
    await unit.audit.record(
        ports.AuditEntry(
            at=unit.now,
            actor=wish.actor,
            verb=wish.act.value,
            target=dead_letters.target(letter.id),
            reason=wish.reason,
            before=dead_letters.told(letter.state, letter.actor, letter.note),
            after=dead_letters.told(state, wish.actor, wish.reason),
        )
    )
    return state

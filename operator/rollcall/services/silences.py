"""What people do with silences; every act stands in the audit log.

Jobs that have an open incident are looked at when silences change, so that their alerts show what
keeps them quiet, and are told as soon as nothing does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from rollcall.core import errors, silences
from rollcall.services import ports

LONGEST = timedelta(days=366)
EARLIEST = timedelta(days=366)  # before now; what began earlier was meant otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A silence that somebody wants; without a start it begins now."""

    chosen: Mapping[str, Any]  # as `core.silences.read_selector` reads it
    starts_at: datetime | None = None
    ends_at: datetime
    author: str
    reason: str


async def add(unit: ports.Transaction, cluster: str, wish: Wish) -> silences.Silence:
    """Begin a silence. Raises errors.InvalidSpec with what to write instead."""
    starts_at = wish.starts_at or unit.now
    _check(wish, starts_at, unit.now)
    silence = silences.Silence(
        id=uuid4(),
        selector=silences.read_selector(wish.chosen, "selector"),
        chosen=wish.chosen,
        starts_at=starts_at,
        ends_at=wish.ends_at,
        author=wish.author,
        reason=wish.reason.strip(),
    )
    await unit.silences.add(cluster, silence)
    await _audit(unit, silence.id, wish.author, "silence", wish.reason, after=_told(silence))
    await _look(unit, cluster)
    return silence


async def end(
    unit: ports.Transaction, cluster: str, silence_id: UUID, *, actor: str, reason: str | None
) -> None:
    """End a silence before its time.

    Raises errors.NotFound, errors.Conflict for one that is over.
    """
    before = await unit.silences.end(cluster, silence_id, actor)
    if before is None:
        raise errors.NotFound(f"there is no silence {silence_id}")
    if before.ends_at <= unit.now:
        raise errors.Conflict("it is over already")
    starts_at = min(before.starts_at, unit.now)
    after = _told(replace(before, starts_at=starts_at, ends_at=unit.now))
    await _audit(unit, silence_id, actor, "end-silence", reason, before=_told(before), after=after)
    await _look(unit, cluster)


def _check(wish: Wish, starts_at: datetime, now: datetime) -> None:
    if not wish.reason.strip():
        raise errors.InvalidSpec("InvalidSilence", "say why: a silence has a reason")
    if wish.ends_at <= max(starts_at, now):
        raise errors.InvalidSpec("InvalidSilence", "a silence ends after it begins, and after now")
    if now - starts_at > EARLIEST:
        raise errors.InvalidSpec("InvalidSilence", f"{starts_at} is more than a year ago")
    if wish.ends_at - now > LONGEST:
        raise errors.InvalidSpec("InvalidSilence", f"a silence ends within {LONGEST.days}d")


async def _look(unit: ports.Transaction, cluster: str) -> None:
    troubled = await unit.silences.troubled(cluster)
    await unit.schedule.look_at(dict.fromkeys(sorted(troubled), unit.now))


async def _audit(
    unit: ports.Transaction,
    silence_id: UUID,
    actor: str,
    verb: str,
    reason: str | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any],
) -> None:
    await unit.audit.record(
        ports.AuditEntry(
            at=unit.now,
            actor=actor,
            verb=verb,
            target=silences.target(silence_id),
            reason=reason,
            before=before,
            after=after,
        )
    )


def _told(silence: silences.Silence) -> dict[str, Any]:
    return {
        "selector": dict(silence.chosen),
        "startsAt": silence.starts_at.isoformat(),
        "endsAt": silence.ends_at.isoformat(),
    }

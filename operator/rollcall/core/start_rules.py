"""The rules about what has not started: that it is late, and that it cannot start.

A run waits until the first container of its pods runs; init containers are such. One that Kueue or
a person holds back is queued, and does not wait.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rollcall.core import durations, findings, images, reasons, slots, streaks, words
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.findings import NOTHING, Check, Facts
from rollcall.core.policies import Kind

UNSCHEDULABLE = "Unschedulable"
# Words that say why; the others say that something waits.
_NAMED = frozenset(name for name, one in reasons.REASONS.items() if one.about == reasons.WAITS) - {
    "CrashLoopBackOff",
    "Waiting",
}
# A slot without a Job waits for itself unless its Job was refused.
_REFUSED = frozenset({"QuotaExceeded", "AdmissionDenied"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """What waits, and since when for the reason that is named."""

    slot_at: datetime
    since: datetime
    reason: str
    message: str | None
    run: Execution | None = None  # None: its Job was not even created


def late(facts: Facts) -> Check:
    """Find a slot that has not started. One that a run under Forbid keeps out does not wait."""
    waiting = [
        run.slot_at
        for run in facts.open_runs
        if run.trigger is Trigger.SCHEDULE and run.status is Status.PENDING
    ]
    if facts.unstarted:
        waiting.append(facts.unstarted)
    if not waiting or _is_blocked(facts):
        return NOTHING
    since = min(waiting)
    waited = durations.text(facts.now - since)
    reason, said = _waiting_reason(facts, since)
    why = f": {words.cause(reason, said)}" if said is not None else ""
    return findings.by_duration(
        facts,
        Kind.LATE,
        findings.limits(facts, Kind.LATE),
        since=since,
        reason=reason,
        message=f"the run of {words.clock(since)} has not started for {waited}{why}",
        evidence=_evidence(since, reason, said),
    )


def cannot_start(facts: Facts) -> Check:
    """Find what waits for a reason that somebody must do something about."""
    return findings.combined([_check(facts, wait) for wait in _waits(facts)])


def _is_blocked(facts: Facts) -> bool:
    """Whether a run keeps others out."""
    return facts.concurrency == "Forbid" and any(
        run.status is Status.RUNNING for run in facts.open_runs
    )


def _check(facts: Facts, wait: _Wait) -> Check:
    rule = facts.policy.rules[Kind.CANNOT_START]
    is_unscheduled = wait.reason == UNSCHEDULABLE
    why = words.cause(wait.reason, wait.message)
    age = durations.text(facts.now - wait.since)
    return findings.by_duration(
        facts,
        Kind.CANNOT_START,
        rule.unschedulable if is_unscheduled else findings.limits(facts, Kind.CANNOT_START),
        since=wait.since,
        reason=wait.reason,
        message=f"the run of {words.clock(wait.slot_at)} has been unable to start for {age}: {why}",
        evidence=_evidence(wait.slot_at, wait.reason, wait.message),
        execution_id=wait.run.id if wait.run else None,
    )


def _waits(facts: Facts) -> Iterator[_Wait]:
    for run in facts.open_runs:
        is_waiting = run.trigger is Trigger.SCHEDULE and run.status is Status.PENDING
        if is_waiting and run.waiting_since and run.reason in _NAMED:
            yield _Wait(
                slot_at=run.slot_at,
                since=_since(run.slot_at, run.waiting_since),
                reason=run.reason,
                message=run.message,
                run=run,
            )
    why, slot_at = facts.obstacle, facts.unstarted
    if why and slot_at and _is_refused(facts, why.reason):
        yield _Wait(slot_at=slot_at, since=slot_at, reason=why.reason, message=why.message)


def _since(slot_at: datetime, waiting_since: datetime) -> datetime:
    """Count from the slot where nothing else held the run up: so it is found when it is late."""
    return slot_at if waiting_since - slot_at <= slots.GRACE else waiting_since


def _is_refused(facts: Facts, reason: str) -> bool:
    """Whether a Job was refused, and for a new reason: else it is why slots before it were missed.

    A slot that a run keeps out has no Job yet that could be refused.
    """
    if reason not in _REFUSED or _is_blocked(facts):
        return False
    row = streaks.misses_in_a_row(facts.recent, facts.gaps)
    return row is None or row.reason != reason


def _evidence(slot_at: datetime, reason: str, message: str | None) -> dict[str, str]:
    """Return what is known of a slot that waits; a registry, where its image is not pulled."""
    host = images.registry(message) if reason == images.UNPULLED else None
    return {"slotTime": slot_at.isoformat()} | ({"registry": host} if host else {})


def _waiting_reason(facts: Facts, since: datetime) -> tuple[str, str | None]:
    """Return the reason for which the slot's run waits, and what was said of it if it has one."""
    for run in facts.open_runs:
        if run.slot_at == since and run.reason:
            return run.reason, run.message or ""
    why = facts.obstacle
    if why and since == facts.unstarted:
        return why.reason, why.message
    return "NotStarted", None

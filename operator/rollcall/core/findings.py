"""What the rules look at, what they find, and how thresholds turn a measure into a severity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from rollcall.core import blindness, causes, durations, slots, streaks
from rollcall.core.executions import Execution
from rollcall.core.policies import AUTO, Kind, Policy, Severity
from rollcall.core.reporting import Counters


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a program said of an error or a dead letter, and of how many such errors."""

    text: str
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the program of one run reported so far.

    `moved_at` is when its numbers last changed, None if it never told any; `heard_at` is the newest
    heartbeat of its pods; `stage` is that of its newest progress; `errors` are those whose type
    counts, and `example` is what its program said of the most frequent of them. `counters` is None
    if it reported nothing at all, and `before` what they were in the successes before it, where
    that is asked for.
    """

    moved_at: datetime | None = None
    heard_at: datetime | None = None
    stage: str | None = None
    errors: int = 0
    dead_letters: int = 0
    example: Example | None = None
    counters: Counters | None = None
    before: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """When the pods of a running run were heard last, and whether we could hear.

    `heard_at` is the oldest of those of its pods that go on and were heard at least once. Reports
    were kept from `since` through `through`, without a break; None: nobody said so.
    """

    heard_at: datetime
    since: datetime | None
    through: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at. `recent` is newest first, open executions included."""

    now: datetime
    policy: Policy
    rhythms: Sequence[slots.Rhythm]  # oldest first
    concurrency: str
    suspended: bool
    recent: Sequence[Execution]
    unstarted: datetime | None  # oldest slot without an execution that may still start
    last_success_at: datetime | None
    active_since: datetime | None  # first expected slot since creation or resumption
    first_slot_final: bool
    typical_duration: timedelta | None  # p95 of succeeded runs, None for fewer than five
    suspended_since: datetime | None = None
    tally: streaks.Tally | None = None  # over the window of `failure_rate`; None: `recent` tells
    gaps: Sequence[slots.Gap] = ()  # slots without rows, oldest first, none before the last run
    unseen: streaks.Misses | None = None  # slots of a blind time that this look calls missed
    obstacle: causes.Cause | None = None  # what keeps the unstarted slot from starting
    sight: blindness.Sight = blindness.CLEAR
    reported: Mapping[UUID, Reported] = field(default_factory=dict)  # by run, where rules ask
    hearing: Mapping[UUID, Hearing] = field(default_factory=dict)  # by run, where it goes on

    @property
    def open_runs(self) -> list[Execution]:
        """Executions that have not ended."""
        return [run for run in self.recent if run.is_open]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that holds now, with its reason and evidence."""

    kind: Kind
    severity: Severity
    reason: str
    message: str
    since: datetime
    evidence: dict[str, Any] = field(default_factory=dict)
    execution_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The answer of one rule."""

    finding: Finding | None = None
    look_again_at: datetime | None = None


NOTHING = Check()


def by_count(
    facts: Facts,
    kind: Kind,
    count: int,
    *,
    since: datetime,
    reason: str,
    message: str,
    evidence: Mapping[str, Any],
    execution_id: UUID | None,
) -> Check:
    """Find what happened so often; nothing below the lowest threshold."""
    severities = reached(facts, kind, count)
    if not severities:
        return NOTHING
    finding = Finding(
        kind=kind,
        severity=worst(severities),
        reason=reason,
        message=message,
        since=since,
        evidence={"count": count, **evidence},
        execution_id=execution_id,
    )
    return Check(finding=finding)


def by_duration(
    facts: Facts,
    kind: Kind,
    limits: Mapping[Severity, timedelta],
    *,
    since: datetime,
    reason: str,
    message: str,
    evidence: Mapping[str, Any],
    execution_id: UUID | None = None,
) -> Check:
    """Find what lasts so long; nothing below the lowest limit.

    A limit that was reached while we were blind counts later: what we did not see may have ended
    it.
    """
    due = {severity: facts.sight.due(since + limit) for severity, limit in limits.items()}
    look_again_at = min((at for at in due.values() if at > facts.now), default=None)
    severities = [severity for severity, at in due.items() if at <= facts.now]
    if not severities:
        return Check(look_again_at=look_again_at)
    severity = worst(severities)
    finding = Finding(
        kind=kind,
        severity=severity,
        reason=reason,
        message=message,
        since=since,
        evidence={**evidence, "threshold": durations.text(limits[severity])},
        execution_id=execution_id,
    )
    return Check(finding=finding, look_again_at=look_again_at)


def combined(checks: Sequence[Check]) -> Check:
    """Return the worst finding of several, of two the one that lasts longer."""
    found = [check.finding for check in checks if check.finding]
    return Check(
        finding=min(found, key=lambda one: (-one.severity.weight, one.since), default=None),
        look_again_at=min(
            (check.look_again_at for check in checks if check.look_again_at), default=None
        ),
    )


def limits(facts: Facts, kind: Kind, auto: timedelta | None = None) -> dict[Severity, timedelta]:
    """Return a rule's durations; `auto` is what a threshold of that name comes to."""
    named = facts.policy.rules[kind].thresholds.items()
    known = {severity: auto if limit is AUTO else limit for severity, limit in named}
    return {one: limit for one, limit in known.items() if isinstance(limit, timedelta)}


def reached(facts: Facts, kind: Kind, count: int) -> list[Severity]:
    """Return the severities whose thresholds a count or a percentage reaches."""
    return [
        severity
        for severity, threshold in facts.policy.rules[kind].thresholds.items()
        if isinstance(threshold, int) and count >= threshold
    ]


def worst(severities: Sequence[Severity]) -> Severity:
    """Return the most severe of some, of which there is at least one."""
    return max(severities, key=lambda severity: severity.weight)

"""What is told of our own blindness: that we do not see a cluster, or did not for a while."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rollcall.core import durations, findings, incidents, wide, words
from rollcall.core.blindness import Blind
from rollcall.core.policies import Kind, Rule, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time of blindness that is over, and how many jobs had a slot in it."""

    period: Blind
    jobs: int


def blind(
    rule: Rule,
    *,
    seen_at: datetime | None,
    gap: Gap | None,
    told_at: datetime | None,
    why: str | None,
    now: datetime,
) -> wide.Answer:
    """Find that we do not see the cluster, or did not and nobody could say so meanwhile.

    `seen_at` is when it was seen last, None while it is; `gap` the last time of blindness, known
    once it is over, and `told_at` when blindness was last told.
    """
    if seen_at is not None:
        return _not_seen(rule, seen_at, why, now)
    if gap is None or (told_at is not None and told_at >= gap.period.from_at):
        return wide.OVER
    severity = _severity(rule, gap.period.length)
    if severity is None:
        return wide.OVER
    return wide.Answer(finding=_finding(severity, gap.period.from_at, text(gap)))


def with_gap(before: incidents.Incident | None, gap: Gap | None) -> incidents.Incident | None:
    """Let the last message of what is over name the time that it was about."""
    if before is None or gap is None or gap.period.until_at <= before.opened_at:
        return before
    return replace(before, message=text(gap))


def text(gap: Gap) -> str:
    """Name a time of blindness, and what it means for jobs."""
    period = gap.period
    between = f"from {words.clock(period.from_at)} to {words.clock(period.until_at)}"
    said = f"Rollcall could not see the cluster for {durations.text(period.length)}, {between}"
    if not gap.jobs:
        return f"{said}: no slot fell due in that time"
    whose = "1 job" if gap.jobs == 1 else f"{gap.jobs} jobs"
    return f"{said}: slots of {whose} fell due in that time, they are judged now or stay unknown"


def _not_seen(rule: Rule, seen_at: datetime, why: str | None, now: datetime) -> wide.Answer:
    severity = _severity(rule, now - seen_at)
    if severity is None:
        return wide.Answer(is_over=False)
    because = f": {why}" if why else ""
    message = (
        f"Rollcall has not seen the cluster since {words.clock(seen_at)}, and judges no slot"
        f" meanwhile{because}"
    )
    return wide.Answer(finding=_finding(severity, seen_at, message), is_over=False)


def _finding(severity: Severity, since: datetime, message: str) -> findings.Finding:
    return findings.Finding(
        kind=Kind.BLIND,
        severity=severity,
        reason="NotSeen",
        message=message,
        since=since,
        evidence={"seenTime": since.isoformat()},
    )


def _severity(rule: Rule, lasted: timedelta) -> Severity | None:
    limits = rule.thresholds.items()
    return wide.worst(
        one for one, limit in limits if isinstance(limit, timedelta) and lasted >= limit
    )

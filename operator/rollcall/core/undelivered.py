"""What is told of a channel that does not deliver: that it does not and why, on the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core import findings, incidents, wide, words
from rollcall.core.policies import Kind, Rule, Severity

RECENT = timedelta(minutes=10)  # who gave up a message may give up the next one for so long
COUNTED = timedelta(days=1)  # messages given up since then are counted
MOST_COUNTED = 1000
LOST, NOT_READY = "MessagesLost", "ChannelNotReady"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unready:
    """Since when a channel is not ready, and what keeps it from being so."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The messages that one channel gave up of late, and the jobs that they were about."""

    count: int
    last_at: datetime
    why: str  # of the last one
    jobs: Sequence[str] = ()

    def is_recent(self, now: datetime) -> bool:
        """Whether the next one may go the same way."""
        return now - self.last_at < RECENT


def cannot_deliver(
    rule: Rule,
    channel: str,
    *,
    unready: Unready | None,
    loss: Loss | None,
    before: incidents.Incident | None,
    now: datetime,
) -> wide.Answer:
    """Find that a channel is not ready for so long, or gave a message up, which counts at once."""
    is_lost = loss is not None and loss.is_recent(now)
    if unready is None and not is_lost:
        return wide.OVER
    severity = _severity(rule, now - unready.since if unready else timedelta(), is_lost=is_lost)
    if severity is None:
        return wide.Answer(is_over=False)
    worst = wide.worst([severity, *([before.severity] if before and before.is_open else [])])
    known = loss is not None or (before is not None and before.reason == LOST)
    jobs = sorted(loss.jobs) if loss else []
    finding = findings.Finding(
        kind=Kind.CANNOT_DELIVER,
        severity=worst or severity,
        # Once it is told that messages were lost it is no news that the channel is not ready.
        reason=LOST if known else NOT_READY,
        message=_message(channel, unready, loss),
        since=unready.since if unready else now,
        evidence={
            "channel": channel,
            "lost": loss.count if loss else 0,
            **({"total": len(jobs), "jobs": jobs[: wide.MOST_LISTED]} if jobs else {}),
        },
    )
    return wide.Answer(finding=finding, is_over=False)


def _severity(rule: Rule, lasted: timedelta, *, is_lost: bool) -> Severity | None:
    limits = {limit: one for one, limit in rule.thresholds.items() if isinstance(limit, timedelta)}
    lowest = min(limits, default=timedelta())
    counts_as = max(lasted, lowest) if is_lost else lasted
    return wide.worst(one for limit, one in limits.items() if counts_as >= limit)


def _message(channel: str, unready: Unready | None, loss: Loss | None) -> str:
    told = f"AlertChannel {channel}"
    if unready:
        told += f" is not ready since {words.clock(unready.since)}"
    if loss:
        told += f"{' and' if unready else ''} gave up {_messages(loss.count)} within a day"
    else:
        told += "; what is written for it waits"
    why = unready.why if unready else loss.why if loss else ""
    return f"{told}: {why}"


def _messages(count: int) -> str:
    if count == 1:
        return "1 message"
    return f"{'at least ' if count >= MOST_COUNTED else ''}{count} messages"

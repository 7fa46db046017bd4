"""The rules about slots: whether anything ran in them, and whether it ever succeeds."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from rollcall.core import durations, findings, schedule, slots, streaks, words
from rollcall.core.findings import NOTHING, Check, Facts
from rollcall.core.policies import Kind

SHORTEST_STALE = timedelta(minutes=10)


def missed(facts: Facts) -> Check:
    """Find slots in a row in which nothing ran.

    Those of a time in which we were blind are found for one look also if something has run since:
    else nobody would ever hear of them.
    """
    row = streaks.misses_in_a_row(facts.recent, facts.gaps)
    if row:
        return _missed(facts, row, _missed_message(row))
    if facts.unseen:
        found = _missed(facts, facts.unseen, _unseen_message(facts.unseen))
        return replace(found, look_again_at=facts.now)
    return NOTHING


def _missed(facts: Facts, row: streaks.Misses, message: str) -> Check:
    return findings.by_count(
        facts,
        Kind.MISSED,
        row.count,
        since=row.since,
        reason=row.reason,
        message=message,
        evidence={"slotTime": row.last_at.isoformat()},
        execution_id=row.execution_id,
    )


def skipped(facts: Facts) -> Check:
    """Find slots in a row that a run under Forbid kept out."""
    row = streaks.skips_in_a_row(facts.recent)
    if not row:
        return NOTHING
    newest, count = row[0], len(row)
    what = f"{count} slots in a row were" if count > 1 else "a slot was"
    return findings.by_count(
        facts,
        Kind.SKIPPED,
        count,
        since=row[-1].slot_at,
        reason=newest.reason or "ForbidConcurrent",
        message=f"{what} skipped, the last at {words.clock(newest.slot_at)}: {newest.message}",
        evidence={"slotTime": newest.slot_at.isoformat()},
        execution_id=newest.id,
    )


def stale(facts: Facts) -> Check:
    """Find a job that has not succeeded for too long, in the time in which it could have."""
    since = _active_without_success(facts)
    if since is None:
        return NOTHING
    age = durations.text(facts.now - since)
    last = words.clock(facts.last_success_at) if facts.last_success_at else "never"
    return findings.by_duration(
        facts,
        Kind.STALE,
        findings.limits(facts, Kind.STALE, _stale_after(facts)),
        since=since,
        reason="NoSuccess",
        message=f"no success for {age} (last success: {last})",
        evidence={"lastSuccessTime": _iso(facts.last_success_at)},
    )


def suspended(facts: Facts) -> Check:
    """Find a job that is suspended for so long that somebody may have forgotten it."""
    since = facts.suspended_since
    if since is None:
        return NOTHING
    age = durations.text(facts.now - since)
    return findings.by_duration(
        facts,
        Kind.SUSPENDED,
        findings.limits(facts, Kind.SUSPENDED),
        since=since,
        reason="Suspended",
        message=f"suspended for {age}, since {words.clock(since)}: no slot is started",
        evidence={"suspendedTime": since.isoformat()},
    )


def _missed_message(row: streaks.Misses) -> str:
    last, why = words.clock(row.last_at), words.cause(row.reason, row.message)
    if row.count > 1:
        return f"{row.count} runs in a row did not start, the last of {last}: {why}"
    until = f"; it could have started until {words.clock(row.until_at)}" if row.until_at else ""
    return f"the run of {last} did not start: {why}{until}"


def _unseen_message(row: streaks.Misses) -> str:
    last, why = words.clock(row.last_at), words.cause(row.reason, row.message)
    runs = f"{row.count} runs did not start, the last of {last}:"
    what = runs if row.count > 1 else f"the run of {last} did not start:"
    return f"while Rollcall could not see, {what} {why}; a later one has run"


def _stale_after(facts: Facts) -> timedelta | None:
    limits = (_limit_under(rhythm, facts) for rhythm in facts.rhythms)
    return min((limit for limit in limits if limit), default=None)


def _limit_under(rhythm: slots.Rhythm, facts: Facts) -> timedelta | None:
    """Return after how long without success a schedule makes a job stale.

    It speaks for the time in which it was in force alone: an edit makes nothing stale by itself,
    and mends nothing.
    """
    gap = _longest_gap(rhythm.schedule, rhythm.time_zone, facts.now.date())
    since = _active_without_success(facts)
    if gap is None or since is None:
        return None
    due_at = max(since, rhythm.begin_at) + max(SHORTEST_STALE, 2 * gap)
    counts = rhythm.end_at is None or due_at <= rhythm.end_at
    return due_at - since if counts else None


def _active_without_success(facts: Facts) -> datetime | None:
    """Return since when a success could have come and did not; None if none was expected."""
    if facts.suspended or facts.active_since is None or not facts.first_slot_final:
        return None
    return max(facts.active_since, facts.last_success_at or facts.active_since)


@lru_cache(maxsize=4096)  # one entry per distinct schedule and day
def _longest_gap(expression: str, zone: str, day: date) -> timedelta | None:
    start = datetime.combine(day, datetime.min.time(), tzinfo=UTC)
    return schedule.parse(expression, zone).longest_gap(start)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None

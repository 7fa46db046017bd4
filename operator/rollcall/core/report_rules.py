"""The rules about what programs report: do their numbers move, and do they name errors.

- A run that never reported is held to nothing: nobody can say whether it moves. Neither can they
  while it is not heard, because the api or its sidecar is away: that time does not count.
- A run is silent only for the time in which we could have heard it: while an api process said
  without a break that it keeps reports.
- New errors ask for a look at their job. Progress, which comes every few seconds, does not: while
  numbers stand still they are looked at again soon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import counters, durations, findings, redaction, texts
from rollcall.core.executions import Execution, Status, Trigger
from rollcall.core.findings import NOTHING, Check, Facts, Reported
from rollcall.core.policies import Kind, Severity

LOOKED_AT_EACH = timedelta(minutes=1)
SILENT_AFTER = 4  # heartbeats at least
# An api process says so often that it keeps reports (`services.canary`), and a while later, if not
# again, it is not known any more to do so. Silence that lasts less than a minute could be its own.
KEPT_FOR = timedelta(seconds=20)
SHORTEST_SILENCE = timedelta(minutes=1)
HEARD_LATELY = timedelta(minutes=1)  # four heartbeats, as often as they come by default
LONGEST_EXAMPLE = 200  # characters; who wants all of it asks for the group
_NONE = Reported()


def named(rules: Mapping[str, Any]) -> list[Kind]:
    """Return which of these rules a job's spec asks for by itself; `rules` are as written."""
    return [
        kind
        for kind in (Kind.SILENT, Kind.NO_PROGRESS, Kind.ERRORS, Kind.COUNTER)
        if (raw := rules.get(kind)) and raw.get("enabled") is not False
        if any(raw.get(severity) is not None for severity in Severity)
    ]


def no_progress(facts: Facts) -> Check:
    """Find a running run whose numbers stand still; of several the one that does so longest."""
    standing = [
        (_seen_until(facts, since, _told(facts, run).heard_at) - since, since, run)
        for run in facts.open_runs
        if run.status is Status.RUNNING
        if (since := _told(facts, run).moved_at)
    ]
    if not standing:
        return NOTHING
    lasted, since, run = max(standing, key=lambda one: one[0])
    check = findings.by_duration(
        replace(facts, now=since + lasted),
        Kind.NO_PROGRESS,
        findings.limits(facts, Kind.NO_PROGRESS),
        since=since,
        reason="NotMoving",
        message=f"{run.job_name} has made no progress for {durations.text(lasted)}"
        f"{_stage(_told(facts, run))}",
        evidence={"jobName": run.job_name, "movedTime": since.isoformat()},
        execution_id=run.id,
    )
    return check if check == NOTHING else _look_soon(facts, check)


def silent(facts: Facts) -> Check:
    """Find a running run that was heard and is not any more; of several the worst."""
    shortest = max(SILENT_AFTER * facts.policy.heartbeat, SHORTEST_SILENCE)
    limits = {
        severity: max(limit, shortest)
        for severity, limit in findings.limits(facts, Kind.SILENT).items()
    }
    if not limits:
        return NOTHING
    running = [run for run in facts.open_runs if run.status is Status.RUNNING]
    return findings.combined([_silent(facts, run, limits) for run in running])


def can_be_silent(run: Execution, now: datetime) -> bool:
    """Whether a run goes on for so long that it can be silent by now."""
    is_running = run.status is Status.RUNNING
    return is_running and (run.started_at is None or now - run.started_at >= SHORTEST_SILENCE)


def errors(facts: Facts) -> Check:
    """Find reported errors of the runs of slots that go on, and of the newest that has ended.

    A dead letter, if only one, counts as much as the lowest threshold.
    """
    lowest = _lowest_count(facts)
    runs = news(facts.recent) if lowest else []
    if lowest is None or not runs:
        return NOTHING
    counts = {run: _count(_told(facts, run), lowest) for run in runs}
    worst = max(runs, key=lambda run: (counts[run], _told(facts, run).errors))
    told = _told(facts, worst)
    return findings.by_count(
        facts,
        Kind.ERRORS,
        counts[worst],
        since=worst.started_at or worst.slot_at,
        reason="ErrorsReported" if told.errors else "DeadLetters",
        message=f"{worst.job_name} reported {_counted(told)}{_example(told)}",
        evidence={"jobName": worst.job_name, "deadLetters": told.dead_letters},
        execution_id=worst.id,
    )


def counter(facts: Facts) -> Check:
    """Find a success whose counters are not as they should be; an absent one is not, either.

    Of a run that reported nothing at all nobody knows: the condition `Reporting` tells it.
    """
    run = next(iter(counted(facts.recent)), None)
    told = _told(facts, run) if run else _NONE
    if run is None or told.counters is None:
        return NOTHING
    bounds = facts.policy.rules[Kind.COUNTER].bounds
    complaints = counters.complaints(bounds, told.counters, told.before)
    far = counters.deviations(bounds, told.counters, told.before)
    return findings.by_count(
        facts,
        Kind.COUNTER,
        len(complaints),
        since=run.ended_at or run.slot_at,
        reason="CounterOutOfBounds",
        message=f"{run.job_name} succeeded, and {'; '.join(complaints)}",
        evidence={"jobName": run.job_name, "counters": dict(told.counters)}
        | ({"deviations": far} if far else {}),
        execution_id=run.id,
    )


def counted(recent: Sequence[Execution]) -> list[Execution]:
    """Return the runs of slots that succeeded: counters of the newest are looked at."""
    return [
        run for run in recent if run.status is Status.SUCCEEDED and run.trigger is Trigger.SCHEDULE
    ]


def news(recent: Sequence[Execution]) -> list[Execution]:
    """Return the runs whose errors are news; a run by hand has somebody who looks.

    `recent` is newest first.
    """
    ran = [run for run in recent if run.has_run and run.trigger is not Trigger.MANUAL]
    ended = [run for run in ran if not run.is_open]
    return [run for run in ran if run.is_open] + ended[:1]


def _silent(facts: Facts, run: Execution, limits: Mapping[Severity, timedelta]) -> Check:
    """Hold one run to the limits, by the time in which we could have heard it."""
    hearing = facts.hearing.get(run.id)
    if hearing is None or hearing.since is None or hearing.through is None:
        is_young = run.started_at and not can_be_silent(run, facts.now)
        at = run.started_at + min(limits.values()) if run.started_at and is_young else None
        return Check(look_again_at=at)
    since = max(hearing.heard_at, hearing.since)
    until = max(since, min(facts.now, hearing.through + KEPT_FOR))
    age = durations.text(facts.now - hearing.heard_at)
    check = findings.by_duration(
        replace(facts, now=until),
        Kind.SILENT,
        limits,
        since=since,
        reason="NotHeard",
        message=f"{run.job_name} is running and has not been heard for {age}",
        evidence={"jobName": run.job_name, "heardTime": hearing.heard_at.isoformat()},
        execution_id=run.id,
    )
    return _look_soon(facts, check)


def _told(facts: Facts, run: Execution) -> Reported:
    return facts.reported.get(run.id, _NONE)


def _seen_until(facts: Facts, since: datetime, heard_at: datetime | None) -> datetime:
    """Return up to when we know that the numbers stood still."""
    return min(facts.now, max(since, (heard_at or since) + HEARD_LATELY))


def _count(told: Reported, lowest: int) -> int:
    return max(told.errors, lowest if told.dead_letters else 0)


def _counted(told: Reported) -> str:
    counts = ((told.errors, "error"), (told.dead_letters, "dead letter"))
    return " and ".join(f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n)


def _example(told: Reported) -> str:
    """Say what one of them was."""
    if not told.example:
        return ""
    often = "most often " if told.example.times > 1 else ""
    return f": {often}{_shown(told.example.text)}"


def _stage(told: Reported) -> str:
    return f", in stage {_shown(told.stage)}" if told.stage else ""


def _shown(words: str) -> str:
    """Put what a program said on one line, without what looks like a secret."""
    return texts.shortened(redaction.redacted(words), LONGEST_EXAMPLE)


def _lowest_count(facts: Facts) -> int | None:
    thresholds = facts.policy.rules[Kind.ERRORS].thresholds.values()
    return min((count for count in thresholds if isinstance(count, int)), default=None)


def _look_soon(facts: Facts, check: Check) -> Check:
    """Look again soon, unless nothing can be found before a later time."""
    at, soon = check.look_again_at, facts.now + LOOKED_AT_EACH
    is_ahead = at is not None and at > facts.now
    if is_ahead and not check.finding:
        return check
    return replace(check, look_again_at=min(at, soon) if at and is_ahead else soon)

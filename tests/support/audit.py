"""Compares the ledger with what the cluster did, as `recorder` saw it.

It knows Kubernetes, and of Rollcall only what its ledger promises:
- each Job of a CronJob is one row, with the Job's own end;
- each slot that was due and has no Job is one row that says missed, skipped or unknown, or one of
  the many that a gap stands for;
- no row is of a Job that never was, nor of a slot that was not due;
- unknown is said only of times in which Rollcall was away.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from support import kube, recorder
from support import ledger as ledgers

MINUTE = timedelta(minutes=1)
# Nothing is promised so near to a creation or an edit; a little more, for we see edits late.
BOUNDARY = timedelta(seconds=66)
SLACK = timedelta(seconds=10)  # between the end of a Job and what the controller makes of it
RUNNING = frozenset({"pending", "queued", "running"})
NEVER_RAN = frozenset({"missed", "skipped", "unknown"})

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One that was due, and until when it could start."""

    at: datetime
    until: datetime
    concurrency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One CronJob with its Jobs, and all rows of its name."""

    cronjob: recorder.CronJob
    jobs: Sequence[recorder.Job]
    rows: Sequence[ledgers.Row]
    gaps: Sequence[ledgers.Gap]
    away: Sequence[Span]  # when Rollcall could not see or not write


async def findings(
    place: kube.Place,
    *,
    ledger: ledgers.Ledger,
    record: recorder.Recorder,
    until: datetime,
    away: Sequence[Span] = (),
) -> list[str]:
    """Audit all jobs of a namespace."""
    rows, gaps = await ledger.rows(place), await ledger.gaps(place)
    known = [one for one in record.cronjobs.values() if one.namespace == place.name]
    strangers = {row.cronjob for row in rows} - {one.name for one in known}
    found = [f"{name}: there is no such CronJob" for name in sorted(strangers)]
    for cronjob in known:
        case = Case(
            cronjob=cronjob,
            jobs=record.jobs_of(cronjob),
            rows=[row for row in rows if row.cronjob == cronjob.name],
            gaps=[gap for gap in gaps if gap.cronjob == cronjob.name],
            away=away,
        )
        found += audit(case, until)
    return found


def audit(case: Case, until: datetime) -> list[str]:
    """Return what is wrong with the rows of one CronJob, as sentences.

    Nothing is promised of slots after `until`.
    """
    found = [*_doubles(case), *_strangers(case)]
    for job in case.jobs:
        found += _job(case, job)
    started = {job.slot_at for job in case.jobs if job.slot_at}
    due = {slot.at: slot for slot in _slots(case.cronjob, until)}
    for slot in due.values():
        if slot.at not in started:
            found += _empty(case, slot)
    for row in case.rows:
        unexpected = row.job_uid is None and row.slot_at not in {*due, *started}
        if unexpected and not _is_free(case.cronjob, row.slot_at, until):
            found.append(f"{row.slot_at:%H:%M} is {row.status} and was not due")
    found += _counts(case, set(due) - started)
    return [f"{case.cronjob.name}: {what}" for what in found]


def slots(schedule: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots of `* * * * *` or `*/N * * * *` in (after, until], and of no other."""
    minute, rest = schedule.split(" ", 1)
    if rest != "* * * *":
        return
    step = int(minute.removeprefix("*/")) if minute != "*" else 1
    at = after.replace(second=0, microsecond=0) + MINUTE
    while at <= until:
        if at.minute % step == 0:
            yield at
        at += MINUTE


def _slots(cronjob: recorder.CronJob, until: datetime) -> Iterator[Slot]:
    """Yield the slots that were due beyond doubt."""
    spans = itertools.zip_longest(cronjob.rhythms, cronjob.rhythms[1:])
    for rhythm, following in spans:
        begin = rhythm.seen_at if rhythm is not cronjob.rhythms[0] else cronjob.created_at
        end = following.seen_at if following else until + 2 * BOUNDARY
        if rhythm.suspended:
            continue
        for at in slots(rhythm.schedule, begin + BOUNDARY, min(end - BOUNDARY, until)):
            following_at = next(slots(rhythm.schedule, at, at + 60 * MINUTE))
            last = min(following_at, at + timedelta(seconds=rhythm.deadline))
            yield Slot(at=at, until=last, concurrency=rhythm.concurrency)


def _is_free(cronjob: recorder.CronJob, at: datetime, until: datetime) -> bool:
    """Whether nothing is promised of a slot: it lies near an edit, or after the end."""
    edits = [cronjob.created_at, *(rhythm.seen_at for rhythm in cronjob.rhythms)]
    return at > until or any(abs(at - edit) <= BOUNDARY for edit in edits)


def _doubles(case: Case) -> Iterator[str]:
    slots = Counter(row.slot_at for row in case.rows if row.trigger == "schedule")
    jobs = Counter(row.job_uid for row in case.rows if row.job_uid)
    yield from (f"{at:%H:%M} has {count} rows" for at, count in slots.items() if count > 1)
    yield from (f"Job {uid} has {count} rows" for uid, count in jobs.items() if count > 1)


def _strangers(case: Case) -> Iterator[str]:
    known = {job.uid for job in case.jobs}
    for row in case.rows:
        if row.job_uid and row.job_uid not in known:
            yield f"{row.slot_at:%H:%M} names {row.job_name}, which never was"


def _job(case: Case, job: recorder.Job) -> Iterator[str]:
    row = next((row for row in case.rows if row.job_uid == job.uid), None)
    if row is None:
        told = _told(case, job)
        if not (told == "unknown" and _went_unseen(case, job)):
            yield f"Job {job.name} ran, and the ledger says {told}"
        return
    if job.slot_at and (row.slot_at, row.trigger) != (job.slot_at, "schedule"):
        yield f"Job {job.name} is of {job.slot_at:%H:%M}, not {row.trigger} {row.slot_at:%H:%M}"
    allowed = _ends(case, job)
    if row.status not in allowed:
        yield f"Job {job.name} is {row.status} ({row.reason}), not {' or '.join(sorted(allowed))}"


def _told(case: Case, job: recorder.Job) -> str:
    """Say what the ledger has about the slot of a Job, without naming the Job."""
    row = next((row for row in case.rows if row.slot_at == job.slot_at), None)
    if row:
        return row.status
    gap = next((gap for gap in case.gaps if job.slot_at and _covers(gap, job.slot_at)), None)
    return gap.status if gap else "nothing"


def _ends(case: Case, job: recorder.Job) -> frozenset[str]:
    """Return the statuses that are true of a Job."""
    if job.end:
        return frozenset({job.end})
    if job.gone_before is None:
        return RUNNING
    follower = any(
        other.slot_at
        and job.slot_at
        and other.slot_at > job.slot_at
        and abs(other.created_at - job.gone_before) < MINUTE
        for other in case.jobs
    )
    replaces = case.cronjob.rhythms[-1].concurrency == "Replace"
    ends = {"replaced"} if replaces and follower else {"cancelled"}
    return frozenset(ends | ({"unknown"} if _went_unseen(case, job) else set()))


def _empty(case: Case, slot: Slot) -> Iterator[str]:
    """Judge the verdict about a slot without a Job."""
    row = next((row for row in case.rows if row.slot_at == slot.at), None)
    if row is None:
        if not any(_covers(gap, slot.at) for gap in case.gaps):
            yield f"{slot.at:%H:%M} was due, and the ledger knows nothing of it"
        return
    if row.status not in NEVER_RAN:
        yield f"{slot.at:%H:%M} is {row.status} without a Job"
    surely, perhaps = _blocked(case, slot)
    if row.status == "skipped" and not perhaps:
        yield f"{slot.at:%H:%M} is skipped, and no run was in its way"
    if row.status == "missed" and surely:
        yield f"{slot.at:%H:%M} is missed, and a run was in its way"
    if row.status == "unknown" and not _was_away(case, slot):
        yield f"{slot.at:%H:%M} is unknown ({row.reason}), and Rollcall was not away"


def _blocked(case: Case, slot: Slot) -> tuple[bool, bool]:
    """Whether under Forbid a run was surely, or perhaps, in the way for all the time."""
    if slot.concurrency != "Forbid":
        return False, False
    lives = [_life(job) for job in case.jobs]
    surely = any(begin < slot.at and end > slot.until + SLACK for begin, end in lives)
    perhaps = any(begin <= slot.at + SLACK and end > slot.until - SLACK for begin, end in lives)
    return surely, perhaps


def _counts(case: Case, empty: set[datetime]) -> Iterator[str]:
    told = {row.slot_at for row in case.rows}
    for gap in case.gaps:
        inside = [at for at in empty if _covers(gap, at) and at not in told]
        if gap.status in NEVER_RAN and abs(gap.count - len(inside)) > 1:  # one may be free
            yield f"the gap from {gap.from_at:%H:%M} counts {gap.count} slots, not {len(inside)}"


def _covers(gap: ledgers.Gap, at: datetime) -> bool:
    ends = gap.until_at is None or at <= gap.until_at
    return gap.status in NEVER_RAN and gap.from_at <= at and ends


def _life(job: recorder.Job) -> Span:
    far = job.created_at + timedelta(days=1)
    return job.created_at, job.finished_at or job.gone_before or far


def _was_away(case: Case, slot: Slot) -> bool:
    """Whether Rollcall was away for so long that it may not know what became of a slot."""
    until = slot.until + 2 * MINUTE
    return any(
        begin <= until and end >= slot.at and end - begin > MINUTE for begin, end in case.away
    )


def _went_unseen(case: Case, job: recorder.Job) -> bool:
    """Whether a Job went while Rollcall was away, however briefly."""
    if job.gone_after is None or job.gone_before is None:
        return False
    first, last = job.gone_after - SLACK, job.gone_before + SLACK
    return any(begin <= last and end >= first for begin, end in case.away)

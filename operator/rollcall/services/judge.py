"""Final slots without a row: read the cluster for them, then write what became of them.

1. Reading locks nothing: the Job of each slot, or all Jobs of the CronJob at once where there are
   several, then the CronJob and its Events. A Job that turns up is recorded like any other.
2. Writing happens in the look's transaction, in order of time, and stops at the first slot that
   became final after the reading. So no slot is judged beyond what was seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core import causes, executions, ids, policies, series, slots, verdicts
from rollcall.services import observe, ports
from rollcall.services.timeline import Timeline

ROWS_AT_ONCE = 200  # rows of one look; the others are written in the next, at once
FEW = 3  # slots whose Jobs are read one by one; of more all Jobs of the CronJob are listed
HOLDERS = 5  # runs that are looked at for one that held all slots under Forbid
OTHERS = 50  # other jobs that are asked whether the controller stands still
_OTHERS_FOR = timedelta(seconds=5)  # so long their answer is good for all jobs
# A slot that has not started after so long, or is late by then, is looked for in the cluster: a
# watch may be deaf, and its Events say what keeps it from starting.
DOUBT_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """For which slots of a job the cluster is to be read."""

    row: ports.JobRow
    revision: slots.Revision | None  # in force, as far as we know
    final: Sequence[slots.Slot]
    unstarted: Sequence[slots.Slot]
    running: Sequence[executions.Execution]  # runs that may hold final slots under Forbid
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was read; `absent` are the final slots that have no Job."""

    cronjob: slots.CronJobReading | None = None
    events: Sequence[slots.EventReading] = ()
    absent: frozenset[datetime] = frozenset()
    kept_since: datetime | None = None
    are_read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was written: how far the slots are judged, whether there are new rows, all gaps."""

    through: datetime | None
    has_rows: bool
    gaps: Sequence[slots.Gap]


NOTHING_READ = Readings()


def question(line: Timeline, now: datetime, defaults: policies.Defaults) -> Question | None:
    """Say what is to be read before the job can be looked at; None for nothing."""
    final, unstarted = line.unjudged, line.unstarted
    if unstarted:
        late = policies.read(line.row.job.policy, defaults).rules[policies.Kind.LATE].thresholds
        limits = [limit for limit in late.values() if isinstance(limit, timedelta)]
        doubtful_at = now - min([DOUBT_AFTER, *limits])
        unstarted = [slot for slot in unstarted if slot.at <= doubtful_at]
    if not final and not unstarted:
        return None
    running = [run for run in line.recent if run.is_open] if final and line.forbids else []
    return Question(
        row=line.row,
        revision=line.revision,
        final=final,
        unstarted=unstarted,
        running=running,
        asked_at=now,
    )


class Judge:
    """Reads and writes; one for all jobs of a cluster."""

    def __init__(self, *, store: ports.Store, evidence: ports.Evidence, cluster: str) -> None:
        self._store = store
        self._evidence = evidence
        self._cluster = cluster
        self._started: tuple[datetime, Sequence[ports.Started]] | None = None

    async def read(self, asked: Question) -> Readings:
        """Read the cluster for some slots. Raises errors.Unavailable."""
        job = asked.row.job
        jobs, is_all = await self._jobs(asked)
        wanted = {slot.at for slot in (*asked.final, *asked.unstarted)}
        found = [
            one for one in jobs if one.slot_at in wanted and one.owner_uid == asked.row.cronjob_uid
        ]
        cronjob = await self._evidence.cronjob(job.namespace, job.name)
        await self._learn(asked, cronjob)
        seen = [*found, *await self._doubted(asked, cronjob)]
        if seen:
            await observe.record(self._store, self._cluster, seen, [])
        present = {one.slot_at for one in found}
        missing = wanted - present
        return Readings(
            cronjob=cronjob,
            events=await self._evidence.events(job.namespace, job.name) if missing else (),
            absent=frozenset(slot.at for slot in asked.final if slot.at in missing),
            kept_since=verdicts.kept_since(cronjob, jobs, asked.asked_at) if is_all else None,
            are_read=True,
        )

    async def evidence(
        self, transaction: ports.Transaction, line: Timeline, readings: Readings
    ) -> verdicts.Evidence:
        """Put together all that is known around the slots that were read for."""
        if not readings.are_read:
            return verdicts.evidence(cronjob=None)
        return verdicts.evidence(
            cronjob=readings.cronjob,
            runs=await _holders(transaction, line, readings.cronjob),
            events=readings.events,
            sight=line.sight,
            kept_since=readings.kept_since,
            others=await self._others(transaction, line.row),
        )

    async def write(
        self,
        transaction: ports.Transaction,
        line: Timeline,
        found: verdicts.Evidence,
        absent: frozenset[datetime],
        gaps: Sequence[slots.Gap],
    ) -> Judged:
        """Write rows and gaps for the slots that were read for; `gaps` are those so far."""
        if not line.final:
            return Judged(through=line.row.state.judged_through, has_rows=False, gaps=gaps)
        told = series.tell(
            line.row.job.id,
            series.before(line.final[0].at, line.recent, gaps),
            _verdicts(line, found, absent),
            at_most=ROWS_AT_ONCE,
        )
        for slot, verdict in told.rows:
            await _save(transaction, line.row, slot, verdict)
        for gap in told.gaps:
            await transaction.gaps.save(gap)
        return Judged(
            through=told.through or line.row.state.judged_through,
            has_rows=bool(told.rows),
            gaps=series.merged(gaps, told.gaps),
        )

    async def _jobs(self, asked: Question) -> tuple[Sequence[executions.JobObservation], bool]:
        """Read the Jobs of these slots, and say whether these are all Jobs that there are."""
        job = asked.row.job
        wanted = [*asked.final, *asked.unstarted]
        if len(wanted) > FEW or wanted[0].at < asked.asked_at - verdicts.KEPT_AT_LEAST:
            return await self._evidence.jobs(job.namespace, job.uid), True
        # As the controller names them (kubernetes pkg/controller/cronjob/utils.go).
        names = [f"{job.name}-{int(slot.at.timestamp()) // 60}" for slot in wanted]
        seen = [await self._evidence.job(job.namespace, name) for name in names]
        return [one for one in seen if one], False

    async def _learn(self, asked: Question, cronjob: slots.CronJobReading | None) -> None:
        """Keep a rhythm that nobody has told us yet: an edit by hand, or one of ours half done."""
        if cronjob is None or cronjob.uid != asked.row.cronjob_uid:
            return
        read, known = cronjob.revision, asked.revision
        if read and known and not read.same_rhythm(known):
            await self._store.run(lambda tx: tx.registry.learned(asked.row.job.id, read))

    async def _doubted(
        self, asked: Question, cronjob: slots.CronJobReading | None
    ) -> list[executions.JobObservation]:
        """Read the Jobs of runs that are going on by the ledger, but not by the CronJob."""
        active = cronjob.active if cronjob else frozenset()
        found = []
        for run in asked.running:
            if run.job_name and run.job_uid not in active:
                seen = await self._evidence.job(asked.row.job.namespace, run.job_name)
                if seen and seen.job_uid == run.job_uid:
                    found.append(seen)
        return found

    async def _others(self, transaction: ports.Transaction, row: ports.JobRow) -> causes.Others:
        now = transaction.now
        if self._started is None or not timedelta() <= now - self._started[0] < _OTHERS_FOR:
            read = await transaction.neighbours.newest_started(self._cluster, OTHERS)
            self._started = now, read
        others = [one for one in self._started[1] if one.cronjob_id != row.job.id]
        due = (_due_at(one) for one in others)
        return causes.Others(
            started_at=max((one.slot_at for one in others if one.slot_at), default=None),
            # What was due a moment ago may be about to start.
            due_at=sorted(at for at in due if at and at <= now - slots.GRACE),
        )


def _due_at(one: ports.Started) -> datetime | None:
    since = max(filter(None, (one.slot_at, one.revision.effective_from)))
    return slots.next_after([one.revision], since)


def _verdicts(
    line: Timeline, found: verdicts.Evidence, absent: frozenset[datetime]
) -> Iterator[tuple[slots.Slot, verdicts.Verdict | executions.Status | None]]:
    for slot in line.final:
        if slot.at in line.rows:
            # Of a row that is too old to be known only one thing matters: the series ends.
            yield slot, line.rows[slot.at] or executions.Status.SUCCEEDED
        elif slot.at in absent:
            yield slot, verdicts.judge(slot, found)
        else:
            return


async def _holders(
    transaction: ports.Transaction, line: Timeline, cronjob: slots.CronJobReading | None
) -> Sequence[executions.Execution]:
    """Return the runs that could have held slots; after many skipped slots none is recent."""
    if not line.final or not line.forbids:
        return ()
    first = line.final[0].at
    earlier = await transaction.neighbours.runs_before(line.row.job.id, first, HOLDERS)
    return [
        run
        for run in (*line.recent, *earlier)
        if verdicts.goes_on(run, cronjob) or (run.ended_at and run.ended_at > first)
    ]


async def _save(
    transaction: ports.Transaction, row: ports.JobRow, slot: slots.Slot, verdict: verdicts.Verdict
) -> None:
    execution = executions.Execution(
        id=ids.scheduled_execution_id(cronjob_id=row.job.id, slot_at=slot.at),
        cronjob_id=row.job.id,
        slot_at=slot.at,
        trigger=executions.Trigger.SCHEDULE,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        ended_at=slot.startable_until,
    )
    await transaction.ledger.save(execution)
    event = verdict.event
    if event:
        told = executions.Event(
            at=event.last_at, source="kubernetes", reason=event.reason, message=event.message
        )
        await transaction.events.record(execution, [told])

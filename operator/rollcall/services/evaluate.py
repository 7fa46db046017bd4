"""A job is due for a look: judge its final slots, apply the rules, keep incidents, tell channels.

1. Most looks are one transaction, with the job's row locked: load its slots, let the rules find,
   let the incidents decide, write them with one outbox row per channel, and when to look again.
   Looks that are due together share it: what is read of one job is read of all at once.
2. Where a slot is final without a row, or does not start, that transaction only says which. The
   judge reads the cluster, and the same transaction is made again with what was read.
Two processes at once are harmless: the row lock keeps them apart, unique indexes decide the rest.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.core import (
    blindness,
    errors,
    executions,
    policies,
    rules,
    series,
    slots,
    verdicts,
)
from rollcall.services import alerting, facts, job_state, judge, ports, quiet, timeline

LEAVING_FOR = timedelta(seconds=10)  # until the next look at a job that is being deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a look came to: a question to the cluster before anything else, or the outcome."""

    outcome: tuple[ports.JobState, datetime] | None = None  # and when to look again
    question: judge.Question | None = None
    told: bool = False
    changed: bool = False


class Evaluator:
    """Evaluates one job at a time; safe to use concurrently for different jobs."""

    def __init__(
        self,
        *,
        store: ports.Store,
        evidence: ports.Evidence,
        directory: ports.Directory,
        quiet: quiet.Quiet,
        cluster: str,
        defaults: policies.Defaults,
        changed: Callable[[UUID], None],
        wake: Callable[[], None],
        is_leaving: Callable[[str, str], bool] = lambda _namespace, _name: False,
        sight: Callable[[], blindness.Sight] = lambda: blindness.CLEAR,
        suppressed: Callable[[str], None] = lambda _why: None,
        wait: Callable[[], timedelta] = timedelta,
    ) -> None:
        self._store = store
        self._judge = judge.Judge(store=store, evidence=evidence, cluster=cluster)
        self._alerting = alerting.Alerting(
            directory=directory, quiet=quiet, cluster=cluster, suppressed=suppressed, wait=wait
        )
        self._defaults = defaults
        self._changed = changed
        self._wake = wake
        self._is_leaving = is_leaving
        self._sight = sight
        self._facts = facts.Facts(defaults)

    async def evaluate(self, cronjob_id: UUID) -> None:
        """Take one look. Raises errors.Unavailable, and then nothing was written."""
        looks = await self._store.run(lambda tx: self._looks(tx, [cronjob_id]))
        look = looks.get(cronjob_id)
        if look and look.question:
            readings = await self._judge.read(look.question)
            looks = await self._store.run(lambda tx: self._looks(tx, [cronjob_id], readings))
        self._tell(looks)

    async def evaluate_all(self, cronjob_ids: Collection[UUID]) -> Collection[UUID]:
        """Take one look at each, in one transaction; return those that must be looked at alone.

        Raises errors.Unavailable, or what one of them fails with; then nothing was written.
        """
        looks = await self._store.run(lambda tx: self._looks(tx, cronjob_ids))
        self._tell(looks)
        return [cronjob_id for cronjob_id, look in looks.items() if look.question]

    async def postpone(self, cronjob_id: UUID, by: timedelta) -> None:
        """Look again later, so that one job that cannot be evaluated does not stop the others."""

        async def work(transaction: ports.Transaction) -> None:
            row = await transaction.schedule.lock(cronjob_id)
            if row:
                await transaction.schedule.save(cronjob_id, row.state, transaction.now + by)

        await self._store.run(work)

    async def forget(self, cronjob_id: UUID) -> None:
        """Close a deleted job: withdraw its incidents, end its open executions.

        Raises errors.Conflict while another look at it is under way.
        """
        told = await self._store.run(lambda tx: self._close(tx, cronjob_id))
        if told:
            self._wake()

    def _tell(self, looks: Mapping[UUID, _Look]) -> None:
        for cronjob_id, look in looks.items():
            if look.changed:
                self._changed(cronjob_id)
        if any(look.told for look in looks.values()):
            self._wake()

    async def _looks(
        self,
        transaction: ports.Transaction,
        cronjob_ids: Collection[UUID],
        readings: judge.Readings = judge.NOTHING_READ,
    ) -> Mapping[UUID, _Look]:
        """Look at those that nobody else looks at."""
        rows = await transaction.schedule.lock_all(cronjob_ids)
        leaving = [row for row in rows if self._is_leaving(row.job.namespace, row.job.name)]
        # A namespace's pods are killed before its jobs go: that is nobody's failure.
        later = transaction.now + LEAVING_FOR
        looks = {row.job.id: _Look(outcome=(row.state, later)) for row in leaving}
        staying = [row for row in rows if row.job.id not in looks]
        lines = await timeline.load(transaction, staying, self._sight()) if staying else []
        for line in await self._facts.learn(transaction, lines):
            looks[line.row.job.id] = await self._look(transaction, line, readings)
        await transaction.schedule.save_all(
            {cronjob_id: look.outcome for cronjob_id, look in looks.items() if look.outcome}
        )
        return looks

    async def _look(
        self, transaction: ports.Transaction, line: timeline.Timeline, readings: judge.Readings
    ) -> _Look:
        if not readings.are_read:
            question = judge.question(line, transaction.now, self._defaults)
            if question:
                return _Look(question=question)
        return await self._decide(transaction, line, readings)

    async def _decide(
        self, transaction: ports.Transaction, line: timeline.Timeline, readings: judge.Readings
    ) -> _Look:
        job, recent = line.row.job, line.recent
        found = await self._judge.evidence(transaction, line, readings)
        gaps = await _gaps(transaction, line)
        judged = await self._judge.write(transaction, line, found, readings.absent, gaps)
        if judged.has_rows:
            recent = await transaction.ledger.recent(job.id, timeline.RECENT)
        is_doubted = readings.are_read and line.startable
        obstacle = verdicts.cause(line.startable[0], found) if is_doubted else None
        known = await self._facts.gather(
            transaction,
            line,
            recent,
            judged.gaps,
            obstacle=obstacle,
            proven_success_at=readings.cronjob.last_success_at if readings.cronjob else None,
        )
        checks = rules.check(known)
        updated = await self._alerting.update(transaction, line, known, checks)
        state = job_state.state(known, line, updated.still_open, judged.through)
        look_at = job_state.look_again_at(known, line, checks, updated, judged.through)
        changed = updated.changed or judged.has_rows or state != line.row.state
        return _Look(outcome=(state, look_at), told=updated.told, changed=changed)

    async def _close(self, transaction: ports.Transaction, cronjob_id: UUID) -> bool:
        row = await transaction.schedule.lock(cronjob_id)
        if row is None:
            if await transaction.registry.owner(cronjob_id) is None:
                return False  # closed already
            raise errors.Conflict("another look at the job is under way")
        now = transaction.now
        runs = await transaction.ledger.recent(cronjob_id, timeline.RECENT)
        for run in runs:
            if run.is_open:
                ended = executions.conclude(
                    run, executions.Status.CANCELLED, reason="OwnerDeleted", at=now
                )
                await transaction.ledger.save(ended)
        alerts = policies.read(row.job.policy, self._defaults).alerts
        told = await self._alerting.withdraw(transaction, row.job, alerts, runs, now)
        await transaction.registry.mark_deleted(cronjob_id, now)
        return told


async def _gaps(transaction: ports.Transaction, line: timeline.Timeline) -> Sequence[slots.Gap]:
    """Keep suspensions, and read the gaps of long series; a Job that turned up leaves its gap."""
    job, recent = line.row.job, line.recent
    for suspension in slots.suspensions(job.id, line.revisions, timeline.judged_through(line.row)):
        await transaction.gaps.save(suspension)
    if not series.may_have_gap(recent):
        return ()
    stored = await transaction.gaps.of(job.id, recent[-1].slot_at, transaction.now)
    gaps = [series.recounted(gap, line.revisions, recent) for gap in stored]
    for before, after in zip(stored, gaps, strict=True):
        if after != before:
            await transaction.gaps.save(after)
    return gaps

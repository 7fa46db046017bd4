"""A job is due for a look: judge its final slots, apply the rules, keep incidents, tell channels.

1. Load which slots are final and have no row. Nothing is locked yet.
2. For these, read the CronJob, the Job each slot would have, and the Events. A Job that turns up is
   recorded like any other.
3. In one transaction, with the job's row locked: write the verdicts, let the rules find, let the
   incidents decide, write them with one outbox row per channel, and when to look again.
Two processes at once are harmless: the row lock keeps them apart, unique indexes decide the rest.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.core import (
    errors,
    executions,
    health,
    ids,
    incidents,
    messages,
    policies,
    rules,
    slots,
)
from rollcall.services import observe, ports

logger = logging.getLogger(__name__)

RECENT = 100  # executions that the rules look back on
SLOTS_AT_ONCE = 50  # final slots judged in one look; more are judged in the next, at once
LOOK_AT_LEAST_EVERY = timedelta(hours=1)
LEAVING_FOR = timedelta(seconds=10)  # until the next look at a job that is being deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readings:
    """What the judge read for slots without a row."""

    cronjob: slots.CronJobReading | None = None
    events: Sequence[slots.EventReading] = ()
    judged: frozenset[datetime] = frozenset()  # slots for which no Job exists


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timeline:
    """The slots of a job since its last verdict."""

    revisions: Sequence[slots.Revision]
    final: Sequence[slots.Slot]
    ahead: slots.Slot | None  # first expected slot that is not final yet
    without_row: Sequence[slots.Slot]  # of the final ones
    unstarted: datetime | None


class Evaluator:
    """Evaluates one job at a time; safe to use concurrently for different jobs."""

    def __init__(
        self,
        *,
        store: ports.Store,
        evidence: ports.Evidence,
        directory: ports.Directory,
        cluster: str,
        defaults: policies.Defaults,
        changed: Callable[[UUID], None],
        wake: Callable[[], None],
        is_leaving: Callable[[str, str], bool] = lambda _namespace, _name: False,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._directory = directory
        self._cluster = cluster
        self._defaults = defaults
        self._changed = changed
        self._wake = wake
        self._is_leaving = is_leaving

    async def evaluate(self, cronjob_id: UUID) -> None:
        """Take one look. Raises errors.Unavailable, and then nothing was written."""
        readings = await self._read(cronjob_id)
        told = await self._store.run(lambda tx: self._decide(tx, cronjob_id, readings))
        self._changed(cronjob_id)
        if told:
            self._wake()

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

    async def _read(self, cronjob_id: UUID) -> _Readings:
        async def load(
            transaction: ports.Transaction,
        ) -> tuple[ports.TrackedJob, Sequence[slots.Slot]] | None:
            row = await transaction.schedule.lock(cronjob_id)
            if row is None:
                return None
            timeline = await _timeline(transaction, row)
            return row.job, timeline.without_row

        loaded = await self._store.run(load)
        if loaded is None or not loaded[1]:
            return _Readings()
        job, unjudged = loaded
        found, absent = [], set()
        for slot in unjudged:
            name = f"{job.name}-{int(slot.at.timestamp()) // 60}"
            seen = await self._evidence.job(job.namespace, name)
            if seen and seen.slot_at == slot.at:
                found.append(seen)
            else:
                absent.add(slot.at)
        if found:
            await observe.record(self._store, self._cluster, found, [])
        return _Readings(
            cronjob=await self._evidence.cronjob(job.namespace, job.name),
            events=await self._evidence.events(job.namespace, job.name) if absent else (),
            judged=frozenset(absent),
        )

    async def _decide(
        self, transaction: ports.Transaction, cronjob_id: UUID, readings: _Readings
    ) -> bool:
        row = await transaction.schedule.lock(cronjob_id)
        if row is None:
            return False
        if self._is_leaving(row.job.namespace, row.job.name):
            # A namespace's pods are killed before its jobs go: that is nobody's failure.
            await transaction.schedule.save(cronjob_id, row.state, transaction.now + LEAVING_FOR)
            return False
        timeline = await _timeline(transaction, row)
        recent = await transaction.ledger.recent(cronjob_id, RECENT)
        judged_through = await self._judge(transaction, row, timeline, readings, recent)
        recent = await transaction.ledger.recent(cronjob_id, RECENT)
        policy = policies.read(row.job.policy, self._defaults)
        facts = await _facts(transaction, row, timeline, recent, policy)
        checks = rules.check(facts)
        told, still_open = await self._keep(transaction, row.job, facts, checks)
        state = _state(row.state, facts, timeline, still_open, judged_through)
        look_at = _look_again_at(facts, timeline, checks, still_open, judged_through)
        await transaction.schedule.save(cronjob_id, state, look_at)
        return told

    async def _judge(
        self,
        transaction: ports.Transaction,
        row: ports.JobRow,
        timeline: _Timeline,
        readings: _Readings,
        runs: Sequence[executions.Execution],
    ) -> datetime | None:
        """Write verdicts in order of time; stop at the first slot that was not read for."""
        missing = {slot.at for slot in timeline.without_row}
        through = row.state.judged_through
        for slot in timeline.final:
            if slot.at in missing:
                if slot.at not in readings.judged:
                    break
                verdict = slots.judge(
                    slot, cronjob=readings.cronjob, runs=runs, events=readings.events
                )
                await transaction.ledger.save(_verdict_row(row.job.id, slot, verdict))
            through = slot.at
        return through

    async def _keep(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        facts: rules.Facts,
        checks: Mapping[policies.Kind, rules.Check],
    ) -> tuple[bool, list[incidents.Incident]]:
        """Bring the incidents in line with the findings; say whether somebody is to be told."""
        before = await transaction.incidents.open_of(job.id)
        findings = {kind: check.finding for kind, check in checks.items() if check.finding}
        told, still_open = False, []
        for kind in policies.Kind:
            step = incidents.decide(
                before.get(kind),
                findings.get(kind),
                cronjob_id=job.id,
                inhibited_by=_inhibitor(kind, findings),
                alerts=facts.policy.alerts,
                recovered=_has_recovered(kind, facts),
                now=facts.now,
            )
            current = step.incident if step else before.get(kind)
            if current and current.is_open:
                still_open.append(current)
            if step:
                told |= await self._write(transaction, job, facts.policy.alerts, step, facts.recent)
        return told, still_open

    async def _write(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        alerts: policies.Alerts,
        step: incidents.Step,
        runs: Sequence[executions.Execution],
    ) -> bool:
        channels: Sequence[str] = ()
        if step.notify and step.transition:
            channels = await self._channels(transaction, job, alerts, step)
            if not channels:
                step = replace(step, notify=False, why="NoChannel")
        if not await transaction.incidents.save(step, at=transaction.now):
            return False
        if not step.notify or not step.transition:
            return False
        payload = messages.payload(
            step=step,
            transition=step.transition,
            at=transaction.now,
            cluster=self._cluster,
            subject=messages.Subject(
                namespace=job.namespace, name=job.name, uid=job.uid, group=job.group
            ),
            alerts=alerts,
            execution=_run_of(step.incident, runs),
        )
        await transaction.outbox.enqueue(step.incident, channels, payload)
        return True

    async def _channels(
        self,
        transaction: ports.Transaction,
        job: ports.TrackedJob,
        alerts: policies.Alerts,
        step: incidents.Step,
    ) -> Sequence[str]:
        """Return who is told: of an end, exactly those who heard of the beginning."""
        if step.transition in incidents.ENDS:
            return await transaction.outbox.told(step.incident.id)
        return self._directory.channels_for(
            job.namespace,
            job.name,
            kind=step.incident.kind,
            severity=step.incident.severity,
            wanted=alerts.channels,
        )

    async def _close(self, transaction: ports.Transaction, cronjob_id: UUID) -> bool:
        row = await transaction.schedule.lock(cronjob_id)
        if row is None:
            if await transaction.registry.owner(cronjob_id) is None:
                return False  # closed already
            raise errors.Conflict("another look at the job is under way")
        now = transaction.now
        runs = await transaction.ledger.recent(cronjob_id, RECENT)
        for run in runs:
            if run.is_open:
                ended = executions.conclude(
                    run, executions.Status.CANCELLED, reason="OwnerDeleted", at=now
                )
                await transaction.ledger.save(ended)
        alerts = policies.read(row.job.policy, self._defaults).alerts
        told = False
        for incident in (await transaction.incidents.open_of(cronjob_id)).values():
            step = incidents.withdraw(incident, now)
            told |= await self._write(transaction, row.job, alerts, step, runs)
        await transaction.registry.mark_deleted(cronjob_id, now)
        return told


async def _timeline(transaction: ports.Transaction, row: ports.JobRow) -> _Timeline:
    now = transaction.now
    since = row.state.judged_through or row.job.created_at
    revisions = await transaction.history.revisions(row.job.id, since)
    final: list[slots.Slot] = []
    ahead = None
    for slot in slots.expected(revisions, after=since, until=now):
        if slot.final_at > now or len(final) == SLOTS_AT_ONCE:
            ahead = slot
            break
        final.append(slot)
    with_row = await transaction.history.slots_with_rows(row.job.id, since, now)
    unstarted = ahead.at if ahead and ahead.at not in with_row else None
    return _Timeline(
        revisions=revisions,
        final=final,
        ahead=ahead,
        without_row=[slot for slot in final if slot.at not in with_row],
        unstarted=unstarted,
    )


async def _facts(
    transaction: ports.Transaction,
    row: ports.JobRow,
    timeline: _Timeline,
    recent: Sequence[executions.Execution],
    policy: policies.Policy,
) -> rules.Facts:
    revision = timeline.revisions[-1] if timeline.revisions else None
    running = any(run.status is executions.Status.RUNNING for run in recent)
    typical = None
    if running:
        typical = await transaction.history.typical_duration(
            row.job.id, rules.RUNS_FOR_A_TYPICAL_DURATION
        )
    successes = [run.ended_at for run in recent if run.status is executions.Status.SUCCEEDED]
    known = [at for at in (*successes, row.state.last_success_at) if at]
    return rules.Facts(
        now=transaction.now,
        policy=policy,
        schedule=revision.schedule if revision else "",
        time_zone=revision.time_zone if revision else "",
        concurrency=revision.concurrency if revision else "Allow",
        suspended=revision.suspended if revision else False,
        recent=recent,
        unstarted=timeline.unstarted,
        last_success_at=max(known, default=None),
        active_since=await _active_since(transaction, row),
        first_slot_final=any(not run.is_open for run in recent),
        typical_duration=typical,
    )


async def _active_since(transaction: ports.Transaction, row: ports.JobRow) -> datetime | None:
    return slots.first_expected(await transaction.history.revisions(row.job.id, row.job.created_at))


def _verdict_row(
    cronjob_id: UUID, slot: slots.Slot, verdict: slots.Verdict
) -> executions.Execution:
    return executions.Execution(
        id=ids.scheduled_execution_id(cronjob_id=cronjob_id, slot_at=slot.at),
        cronjob_id=cronjob_id,
        slot_at=slot.at,
        trigger=executions.Trigger.SCHEDULE,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        ended_at=slot.startable_until,
    )


def _inhibitor(
    kind: policies.Kind, findings: Mapping[policies.Kind, rules.Finding]
) -> policies.Kind | None:
    candidates = sorted(rules.INHIBITED_BY.get(kind, frozenset()) & findings.keys())
    return candidates[0] if candidates else None


def _has_recovered(kind: policies.Kind, facts: rules.Facts) -> bool:
    if kind is not policies.Kind.FAILING:
        return True
    needed = facts.policy.alerts.recovery_threshold
    return rules.successes_in_a_row(facts.recent) >= needed


def _run_of(
    incident: incidents.Incident, runs: Sequence[executions.Execution]
) -> executions.Execution | None:
    return next((run for run in runs if run.id == incident.execution_id), None)


def _state(
    before: ports.JobState,
    facts: rules.Facts,
    timeline: _Timeline,
    still_open: Sequence[incidents.Incident],
    judged_through: datetime | None,
) -> ports.JobState:
    started = [
        run.slot_at
        for run in facts.recent
        if run.created_at and run.trigger is executions.Trigger.SCHEDULE
    ]
    known = [at for at in (*started, before.last_schedule_at) if at]
    return ports.JobState(
        judged_through=judged_through,
        last_success_at=facts.last_success_at,
        last_schedule_at=max(known, default=None),
        consecutive_failures=len(rules.failures_in_a_row(facts.recent)),
        health=health.health(
            [incident.severity for incident in still_open],
            suspended=facts.suspended,
            seeing=True,
            has_history=facts.first_slot_final,
        ),
        next_slot_at=slots.next_after(timeline.revisions, facts.now),
    )


def _look_again_at(
    facts: rules.Facts,
    timeline: _Timeline,
    checks: Mapping[policies.Kind, rules.Check],
    still_open: Sequence[incidents.Incident],
    judged_through: datetime | None,
) -> datetime:
    """Return the next instant at which anything can change by time alone."""
    now = facts.now
    if timeline.final and timeline.final[-1].at != judged_through:
        return now  # slots became final since they were read for: read again
    times = [check.look_again_at for check in checks.values()]
    times += [incidents.remind_at(incident, facts.policy.alerts) for incident in still_open]
    if timeline.ahead:
        times.append(max(timeline.ahead.final_at, now))
    times.append(_next_slot(timeline, now))
    return min([at for at in times if at] + [now + LOOK_AT_LEAST_EVERY])


def _next_slot(timeline: _Timeline, now: datetime) -> datetime | None:
    """Return the next expected slot: from there on it can be late."""
    horizon = now + LOOK_AT_LEAST_EVERY
    following = slots.expected(timeline.revisions, after=now, until=horizon)
    slot = next(iter(following), None)
    return slot.at if slot else None

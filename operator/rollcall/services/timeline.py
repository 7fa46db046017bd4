"""A job as a look finds it: its row, recent runs, open incidents, slots since the last verdict."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.core import (
    blindness,
    executions,
    findings,
    incidents,
    policies,
    silences,
    slots,
    streaks,
)
from rollcall.services import ports

RECENT = 100  # executions that judge and rules look back on
SLOTS_AT_ONCE = 10_000  # final slots of one look; more are judged in the next, at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Slots after the last verdict, in order; `rows` are those that have a row, and its status.

    The status is None for rows that are too old to be among the recent ones, which are newest
    first.
    """

    row: ports.JobRow
    recent: Sequence[executions.Execution]
    of_cluster: Mapping[policies.Kind, incidents.Incident]  # about the cluster as a whole
    incidents: Mapping[policies.Kind, incidents.Incident]  # the open and the dismissed ones
    silences: Sequence[silences.Silence]  # of the cluster, in force
    sight: blindness.Sight
    revisions: Sequence[slots.Revision]
    final: Sequence[slots.Slot]
    waiting: Sequence[slots.Slot]  # due, and not final yet
    rows: Mapping[datetime, executions.Status | None]
    is_whole: bool  # False: more slots became final than one look takes
    typical_duration: timedelta | None = None  # of a run; where one is under way, if it is known
    hearing: Mapping[UUID, findings.Hearing] = field(default_factory=dict)  # by run
    tally: streaks.Tally | None = None  # where the recent runs do not tell how often runs fail

    @property
    def unjudged(self) -> list[slots.Slot]:
        """The final slots that have no row."""
        return [slot for slot in self.final if slot.at not in self.rows]

    @property
    def unstarted(self) -> list[slots.Slot]:
        """The slots that wait and have no row."""
        return [slot for slot in self.waiting if slot.at not in self.rows]

    @property
    def startable(self) -> list[slots.Slot]:
        """Those of them that may still start.

        The controller creates a Job for the newest slot alone (cronjob_controllerv2.go,
        mostRecentScheduleTime): once a slot has one, those before it never get theirs.
        """
        newest = _newest_started(self.recent) or self.row.job.created_at
        return [slot for slot in self.unstarted if slot.at > newest]

    def final_at(self, slot: slots.Slot) -> datetime:
        """Return from when on a slot may be judged."""
        return _final_at(slot, self.sight, _newest_started(self.recent))

    @property
    def forbids(self) -> bool:
        """Whether a run may have kept others from starting."""
        return any(revision.concurrency == "Forbid" for revision in self.revisions)

    @property
    def revision(self) -> slots.Revision | None:
        """The revision in force; None before the first apply."""
        return self.revisions[-1] if self.revisions else None


async def load(
    transaction: ports.Transaction, rows: Sequence[ports.JobRow], sight: blindness.Sight
) -> list[Timeline]:
    """Read what there is of each job, all together, and find out which of its slots are final.

    There is at least one, and all are of one cluster.
    """
    jobs = [row.job for row in rows]
    recent = await transaction.ledger.recent_of([job.id for job in jobs], RECENT)
    since = {job.id: job.created_at for job in jobs}
    revisions = await transaction.history.revisions_of(since)
    current = await transaction.incidents.current_of_all([job.id for job in jobs])
    of_cluster = await transaction.cluster_incidents.current(jobs[0].cluster)
    in_force = await transaction.silences.in_force(jobs[0].cluster)
    return [
        await _timeline(
            transaction,
            row,
            sight,
            recent=recent[row.job.id],
            revisions=revisions[row.job.id],
            current=current[row.job.id],
            of_cluster=of_cluster,
            in_force=in_force,
        )
        for row in rows
    ]


async def _timeline(
    transaction: ports.Transaction,
    row: ports.JobRow,
    sight: blindness.Sight,
    *,
    recent: Sequence[executions.Execution],
    revisions: Sequence[slots.Revision],
    current: Mapping[policies.Kind, incidents.Incident],
    of_cluster: Mapping[policies.Kind, incidents.Incident],
    in_force: Sequence[silences.Silence],
) -> Timeline:
    now, since = transaction.now, judged_through(row)
    expected = slots.expected(revisions, after=since, until=now)
    due = list(itertools.islice(expected, SLOTS_AT_ONCE + 1))
    newest = _newest_started(recent)
    # In order of time: none is judged before an earlier one.
    final = list(itertools.takewhile(lambda slot: _final_at(slot, sight, newest) <= now, due))
    return Timeline(
        row=row,
        recent=recent,
        incidents=current,
        of_cluster=of_cluster,
        silences=in_force,
        sight=sight,
        revisions=revisions,
        final=final[:SLOTS_AT_ONCE],
        waiting=due[len(final) :],
        rows=await _rows(transaction, row, since, recent) if due else {},
        is_whole=len(due) <= SLOTS_AT_ONCE,
    )


def judged_through(row: ports.JobRow) -> datetime:
    """Return up to when every slot is told."""
    return row.state.judged_through or row.job.created_at


def _final_at(slot: slots.Slot, sight: blindness.Sight, newest: datetime | None) -> datetime:
    """Return from when on a slot may be judged.

    Blindness makes it no later: nothing can start the slot any more, everything was listed since,
    and the judge looks for its Job himself. What ended in it needs no grace where a later slot has
    a Job, so that all of it is told together.
    """
    if newest and slot.at < newest and sight.hid(slot.startable_until):
        return slot.startable_until
    return slot.final_at + sight.widening


def _newest_started(recent: Sequence[executions.Execution]) -> datetime | None:
    """Return the newest slot that has a Job."""
    return max((run.slot_at for run in recent if run.job_uid and _has_slot(run)), default=None)


async def _rows(
    transaction: ports.Transaction,
    row: ports.JobRow,
    since: datetime,
    recent: Sequence[executions.Execution],
) -> dict[datetime, executions.Status | None]:
    """Return which slots after `since` have a row; the store is asked only if they are many."""
    known: dict[datetime, executions.Status | None] = {
        run.slot_at: run.status for run in recent if _has_slot(run)
    }
    if len(recent) < RECENT or recent[RECENT - 1].slot_at <= since:
        return known
    stored = await transaction.history.slots_with_rows(row.job.id, since, transaction.now)
    return dict.fromkeys(stored) | known


def _has_slot(run: executions.Execution) -> bool:
    return run.trigger is executions.Trigger.SCHEDULE

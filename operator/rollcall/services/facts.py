"""What the rules look at, put together for one look."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from rollcall.core import (
    causes,
    executions,
    findings,
    policies,
    report_rules,
    run_rules,
    series,
    slots,
    streaks,
)
from rollcall.services import ports, reported, timeline
from rollcall.services.recent import Recent
from rollcall.services.timeline import Timeline

# How long a job usually takes moves slowly, and asking for it reads a thousand rows.
_TYPICAL_FOR = 600.0  # seconds
# One run more or less hardly changes a percentage of more than a hundred.
_TALLY_FOR = 300.0
_REMEMBERED = 20_000
_RATE = policies.Kind.FAILURE_RATE

Runs = Sequence[executions.Execution]


class Facts:
    """Gathers facts, and remembers what is costly to ask for."""

    def __init__(self, defaults: policies.Defaults) -> None:
        self._defaults = defaults
        self._typical: Recent[UUID, tuple[timedelta | None]] = Recent(
            lifetime=_TYPICAL_FOR, size=_REMEMBERED
        )
        self._reported = reported.Reported()
        self._tallies: Recent[UUID, streaks.Tally] = Recent(lifetime=_TALLY_FOR, size=_REMEMBERED)

    async def learn(
        self, transaction: ports.Transaction, lines: Sequence[Timeline]
    ) -> list[Timeline]:
        """Add how long runs usually take, and when they were heard, where one is running now.

        And how often they fail, where they do and come too often for that to be among the recent.
        """
        typical = await self._typical_durations(
            transaction, [line.row.job.id for line in lines if _is_running(line.recent)]
        )
        long = [
            run.id
            for line in lines
            for run in line.recent
            if report_rules.can_be_silent(run, transaction.now)
        ]
        hearing = await transaction.reports.hearing(long) if long else {}
        since = {
            one.row.job.id: at for one in lines if (at := self._tallied_since(one, transaction.now))
        }
        tallies = await self._tallied(transaction, since)
        return [
            replace(
                line,
                typical_duration=typical.get(line.row.job.id),
                tally=tallies.get(line.row.job.id),
                hearing={run.id: hearing[run.id] for run in line.recent if run.id in hearing},
            )
            for line in lines
        ]

    async def gather(
        self,
        transaction: ports.Transaction,
        line: Timeline,
        recent: Runs,
        gaps: Sequence[slots.Gap],
        *,
        obstacle: causes.Cause | None,
        proven_success_at: datetime | None,
    ) -> findings.Facts:
        """Gather the facts of a job; `recent`, newest first, and `gaps` are those after judging.

        Before it, `learn` has added what is not with the job.
        `proven_success_at` is the end of a success that the CronJob remembers, for those of which
        nobody saw a Job.
        """
        revision, policy = line.revision, policies.read(line.row.job.policy, self._defaults)
        unstarted = line.startable[0] if line.startable else None
        return findings.Facts(
            now=transaction.now,
            policy=policy,
            rhythms=slots.rhythms(line.revisions),
            concurrency=revision.concurrency if revision else "Allow",
            suspended=revision.suspended if revision else False,
            recent=recent,
            unstarted=unstarted.at if unstarted else None,
            last_success_at=_last_success_at(line.row.state, recent, proven_success_at),
            active_since=slots.first_expected(line.revisions),
            first_slot_final=any(not run.is_open for run in recent),
            typical_duration=line.typical_duration,
            tally=line.tally,
            hearing=line.hearing,
            suspended_since=_suspended_since(line.revisions),
            gaps=series.since(streaks.last_ran_at(recent), gaps, line.revisions),
            unseen=_unseen(line, recent, gaps),
            obstacle=obstacle,
            sight=line.sight,
            reported=await self._reported.gather(transaction, policy, recent),
        )

    async def _typical_durations(
        self, transaction: ports.Transaction, cronjob_ids: Sequence[UUID]
    ) -> Mapping[UUID, timedelta | None]:
        known = {one: value[0] for one in cronjob_ids if (value := self._typical.get(one))}
        unknown = [one for one in cronjob_ids if one not in known]
        if not unknown:
            return known
        enough = run_rules.RUNS_FOR_A_TYPICAL_DURATION
        found = await transaction.history.typical_durations(unknown, enough)
        for cronjob_id in unknown:
            self._typical.put(cronjob_id, (found.get(cronjob_id),))
        return {**known, **found}

    def _tallied_since(self, line: Timeline, now: datetime) -> datetime | None:
        """Return since when runs are to be counted in the store; None if the recent ones tell."""
        if len(line.recent) < timeline.RECENT or not _may_fail_often(line):
            return None
        rule = policies.read(line.row.job.policy, self._defaults).rules[_RATE]
        since = now - rule.window if rule.enabled and rule.window else now
        return since if line.recent[timeline.RECENT - 1].slot_at > since else None

    async def _tallied(
        self, transaction: ports.Transaction, since: Mapping[UUID, datetime]
    ) -> Mapping[UUID, streaks.Tally]:
        known = {one: tally for one in since if (tally := self._tallies.get(one))}
        unknown = {one: at for one, at in since.items() if one not in known}
        if not unknown:
            return known
        found = await transaction.history.tallies(unknown)
        for cronjob_id in found:
            self._tallies.put(cronjob_id, found[cronjob_id])
        return {**known, **found}


def _may_fail_often(line: Timeline) -> bool:
    return _RATE in line.incidents or any(
        run.status is executions.Status.FAILED for run in line.recent
    )


def _unseen(line: Timeline, recent: Runs, gaps: Sequence[slots.Gap]) -> streaks.Misses | None:
    """Return what this look, and none before, says of the time in which we were blind."""
    judged = timeline.judged_through(line.row)
    return streaks.unseen_misses(
        recent, series.since(judged, gaps, line.revisions), after=judged, sight=line.sight
    )


def _suspended_since(revisions: Sequence[slots.Revision]) -> datetime | None:
    row = list(itertools.takewhile(lambda one: one.suspended, reversed(revisions)))
    return row[-1].effective_from if row else None


def _is_running(recent: Runs) -> bool:
    return any(run.status is executions.Status.RUNNING for run in recent)


def _last_success_at(
    state: ports.JobState, recent: Runs, proven: datetime | None
) -> datetime | None:
    """Return when a run last succeeded.

    To the CronJob a partial run is a success, and so it is to us until its result comes: by the
    time of its end it is known again.
    """
    ended = [run.ended_at for run in recent if run.status is executions.Status.SUCCEEDED]
    partial = {run.ended_at for run in recent if run.status is executions.Status.PARTIAL}
    said = [at for at in (state.last_success_at, proven) if at not in partial]
    return max((at for at in (*ended, *said) if at), default=None)

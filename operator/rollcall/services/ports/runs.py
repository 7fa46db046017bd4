"""What is kept of runs and slots, seen from the use cases."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from rollcall.core import executions, setups, slots, streaks
from rollcall.services.ports.values import Identity, Outlived, SlotKey, Started, Story, UsedTemplate


class Ledger(Protocol):
    """Executions."""

    async def of_slots(self, slots: Collection[SlotKey]) -> Mapping[SlotKey, executions.Execution]:
        """Return the rows of slots (trigger schedule); those that have none are left out."""

    async def of_job(self, slot_at: datetime, job_uid: str) -> executions.Execution | None:
        """Return the run of this Job, looked for at this slot time."""

    async def recent(self, cronjob_id: UUID, limit: int) -> Sequence[executions.Execution]:
        """Return the newest by slot, and every open one, newest first."""

    async def recent_of(
        self, cronjob_ids: Collection[UUID], limit: int
    ) -> Mapping[UUID, Sequence[executions.Execution]]:
        """Return the same for many jobs, each of them."""

    async def save(self, execution: executions.Execution) -> None:
        """Insert or update by (slot_at, id).

        Raises errors.Conflict if the slot belongs to another Job.
        """

    async def save_all(
        self,
        runs: Collection[executions.Execution],
        templates: Collection[UsedTemplate] = (),
    ) -> Collection[UUID]:
        """Save many, each once, and what their Jobs were made from.

        Return the ids of those whose slot belongs to another Job.
        """


class History(Protocol):
    """What the rules and the judge look back on."""

    async def revisions(self, cronjob_id: UUID, since: datetime) -> Sequence[slots.Revision]:
        """Return the revision in force at `since` and all later ones, in order of time."""

    async def revisions_of(
        self, since: Mapping[UUID, datetime]
    ) -> Mapping[UUID, Sequence[slots.Revision]]:
        """Return the same for many jobs, each of them and each since its own time."""

    async def slots_with_rows(
        self, cronjob_id: UUID, after: datetime, until: datetime
    ) -> set[datetime]:
        """Return the slots in (after, until] that have a row."""

    async def typical_durations(
        self, cronjob_ids: Collection[UUID], at_least: int
    ) -> Mapping[UUID, timedelta | None]:
        """Return of each job the p95 of its newest 100 succeeded runs, None for too few."""

    async def tallies(self, since: Mapping[UUID, datetime]) -> Mapping[UUID, streaks.Tally]:
        """Count how the runs of slots of these jobs ended, each since its own time.

        Of a job that has very many the newest are counted; one without any is left out.
        """

    async def open_jobs(self, cluster: str) -> Sequence[executions.Execution]:
        """Return all open executions of this cluster, for the comparison with a full list."""


class Setups(Protocol):
    """What runs ran with."""

    async def of(self, run: executions.Execution) -> setups.Pair | None:
        """Return that of a run and of the last success before it; None if there is no such run."""


class Neighbours(Protocol):
    """What the judge looks at around a job's slots."""

    async def runs_before(
        self, cronjob_id: UUID, at: datetime, limit: int
    ) -> Sequence[executions.Execution]:
        """Return the newest executions that had a Job, with a slot at or before `at`."""

    async def started_between(self, cluster: str, after: datetime, until: datetime) -> int:
        """Count the slots of that time that were not in vain, those skipped among them."""

    async def due_between(self, cluster: str, after: datetime, until: datetime) -> int:
        """Count the jobs whose next slot, as the last look had it, fell due in that time."""

    async def newest_started(self, cluster: str, limit: int) -> Sequence[Started]:
        """Return the active jobs of the cluster that started last, newest first."""


class Attempts(Protocol):
    """Pods of executions, and who reports from them."""

    async def observe(
        self, seen: Mapping[executions.Execution, Sequence[executions.Attempt]]
    ) -> Mapping[UUID, Sequence[executions.Attempt]]:
        """Insert or update these pods and return all of each execution's, oldest first."""

    async def identify(self, pod_uids: Collection[str]) -> Mapping[str, Identity]:
        """Return whose pods these are, by UID; unknown ones are left out."""

    async def of_runs_over(self, pod_uids: Collection[str]) -> Mapping[str, Outlived]:
        """Return those of these pods that are known and whose run is over, by UID."""


class Events(Protocol):
    """What happened in an execution, kept beyond the life of the objects that told it."""

    async def record(
        self, execution: executions.Execution, events: Sequence[executions.Event]
    ) -> int:
        """Add these events, and return how many; repeating it adds nothing."""

    async def record_all(self, stories: Collection[Story]) -> None:
        """Add the events of many executions."""

    async def of(self, execution_id: UUID) -> Sequence[executions.Event]:
        """Return the events of an execution, oldest first."""


class Gaps(Protocol):
    """Stretches of time that are told as one row."""

    async def save(self, gap: slots.Gap) -> None:
        """Insert or update by job, begin and status; the same again writes nothing."""

    async def of(self, cronjob_id: UUID, after: datetime, until: datetime) -> Sequence[slots.Gap]:
        """Return the gaps that reach into (after, until], oldest first."""

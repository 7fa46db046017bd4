"""A registered job with Inbox and writer on a real store, and an API server that is scripted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rollcall.core import errors, executions, slots
from rollcall.core.executions import Status
from rollcall.services import event_collector, inbox, obstacles, writer
from rollcall.store import engine
from support import builders, clocks

FIVE = timedelta(minutes=5)


class Cluster:
    """What the API server has: Jobs by name, Warning Events by UID of what they are about."""

    def __init__(self) -> None:
        self.living: dict[str, executions.JobObservation] = {}
        self.said: dict[str, list[slots.EventReading]] = {}
        self.owner: str | None = "cronjob-uid"
        self.away = False

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        """Read a Job."""
        if namespace != "shop":
            raise AssertionError(f"nobody has Jobs in {namespace}")
        self._answer()
        return self.living.get(job_name)

    async def jobs(self, namespace: str, name: str) -> Sequence[executions.JobObservation]:
        """Fail: nobody asks for them here."""
        raise AssertionError(f"nobody asks for Jobs of {namespace}/{name} here")

    async def reread(
        self, namespace: str, job_name: str, job_uid: str, tracked_uid: str
    ) -> executions.JobObservation | None:
        """Read a Job once more, by its UID."""
        del tracked_uid
        found = await self.job(namespace, job_name)
        return found if found and found.job_uid == job_uid else None

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        """Read the CronJob; `owner` is its UID, None without one."""
        del namespace, name
        self._answer()
        if self.owner is None:
            return None
        return slots.CronJobReading(uid=self.owner, suspended=False, last_schedule_at=None)

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        """Fail: nobody asks for them here."""
        raise AssertionError(f"nobody asks for events of {namespace}/{name} here")

    async def warnings(self, namespace: str, uid: str) -> Sequence[slots.EventReading]:
        """Read the Warning Events about an object."""
        del namespace
        self._answer()
        return self.said.get(uid, [])

    async def probe(self) -> None:
        """See."""
        self._answer()

    def _answer(self) -> None:
        if self.away:
            raise errors.ClusterUnavailable("no answer")


class World:
    """One job and its observers; `restart` forgets what only the process knew."""

    def __init__(self, store: engine.Database, clock: clocks.Clock) -> None:
        self.store, self.clock, self.cluster = store, clock, Cluster()
        self.job = builders.job()
        self.restart()

    def restart(self) -> None:
        """Begin as a new process."""
        self.inbox = inbox.Inbox(self.clock)
        self.event_collector = event_collector.EventCollector(
            store=self.store, evidence=self.cluster
        )
        self.writer = writer.Writer(
            store=self.store,
            evidence=self.cluster,
            inbox=self.inbox,
            cluster=builders.CLUSTER,
            clock=self.clock,
            changed=lambda _: None,
            recorded=self.event_collector.hear,
        )
        self.obstacles = obstacles.Obstacles(
            evidence=self.cluster, inbox=self.inbox, clock=self.clock
        )

    async def register(self, rhythm: slots.Revision) -> None:
        """Register the job and what was applied for it."""
        async with self.store.transaction() as transaction:
            await transaction.registry.register(self.job)
            await transaction.registry.applied(self.job.id, builders.applied(rhythm))

    async def starts(self, slot: int = 0) -> executions.JobObservation:
        """Let the Job of the n-th slot be created, and write it."""
        at = builders.SLOT_AT + slot * FIVE
        self.clock.set(at)
        seen = builders.observation(
            self.job,
            slot_at=at,
            created_at=at,
            job_uid=f"job-{slot}",
            job_name=f"report-{slot}",
            owner_name="report",
        )
        self.cluster.living[seen.job_name] = seen
        self.inbox.job(seen)
        await self.writer.flush()
        return seen

    async def goes(self, job: executions.JobObservation) -> None:
        """Let a Job be deleted before our eyes, and write it."""
        self.cluster.living.pop(job.job_name, None)
        self.inbox.job(job)
        self.inbox.deleted(job.job_uid)
        await self.writer.flush()

    async def sees(self, **pod: Any) -> None:  # noqa: ANN401 - fields of an attempt
        """Let a pod be seen, and write it."""
        self.inbox.pod(builders.attempt(**{"job_uid": "job-0", **pod}))
        await self.writer.flush()

    async def runs(self) -> list[executions.Execution]:
        """Return what the ledger has, oldest first."""
        async with self.store.transaction() as transaction:
            return list(reversed(await transaction.ledger.recent(self.job.id, 10)))

    async def ends(self) -> list[tuple[Status, str | None]]:
        """Return the status and reason of each run, oldest first."""
        return [(run.status, run.reason) for run in await self.runs()]

"""One registered job on a real Postgres, told step by step: what is seen, judged and told."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rollcall.core import (
    blindness,
    errors,
    executions,
    incidents,
    policies,
    silences,
    slots,
    undelivered,
)
from rollcall.core.executions import Status
from rollcall.services import evaluate, observe, ports, quiet
from rollcall.store import engine
from support import builders, clocks

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SLOT_AT = builders.SLOT_AT
HOURLY = builders.revision(
    schedule="0 * * * *", deadline=30 * SECOND, effective_from=SLOT_AT - 30 * MINUTE
)
CRONJOB = slots.CronJobReading(
    uid="cronjob-uid",
    suspended=False,
    last_schedule_at=None,
    created_at=HOURLY.effective_from,
    keeps_failed=3,
)


@dataclass
class Cluster:
    """The judge's reads, scripted; `reads` counts them."""

    cronjob_now: slots.CronJobReading | None = CRONJOB
    here: list[executions.JobObservation] = field(default_factory=list)
    seen: Sequence[slots.EventReading] = ()
    away: bool = False
    clock: Callable[[], datetime] | None = None  # its own, if it says what it is
    reads: list[str] = field(default_factory=list)

    async def cronjob(self, namespace: str, name: str) -> slots.CronJobReading | None:
        del namespace, name
        self._answer("cronjob")
        return self.cronjob_now

    async def job(self, namespace: str, job_name: str) -> executions.JobObservation | None:
        del namespace
        self._answer("job")
        return next((job for job in self.here if job.job_name == job_name), None)

    async def reread(
        self, namespace: str, job_name: str, job_uid: str, tracked_uid: str
    ) -> executions.JobObservation | None:
        del tracked_uid
        found = await self.job(namespace, job_name)
        return found if found and found.job_uid == job_uid else None

    async def jobs(self, namespace: str, tracked_uid: str) -> Sequence[executions.JobObservation]:
        del namespace
        self._answer("jobs")
        return [job for job in self.here if job.tracked_uid == tracked_uid]

    async def events(self, namespace: str, name: str) -> Sequence[slots.EventReading]:
        del namespace, name
        self._answer("events")
        return self.seen

    async def warnings(self, namespace: str, uid: str) -> Sequence[slots.EventReading]:
        del namespace, uid
        self._answer("warnings")
        return ()

    async def probe(self) -> datetime | None:
        self._answer("probe")
        return self.clock() if self.clock else None

    def _answer(self, what: str) -> None:
        if self.away:
            raise errors.ClusterUnavailable("no answer")
        self.reads.append(what)


@dataclass
class Channels:
    """Routing, scripted."""

    names: Sequence[str] = ("team",)
    labels: Mapping[str, str] = field(default_factory=dict)
    # Only jobs that name them use these, with the severities that they take.
    besides: Mapping[str, Collection[policies.Severity]] = field(default_factory=dict)
    unready: dict[str, undelivered.Unready] = field(default_factory=dict)

    def channels_for(
        self,
        *_: object,
        kind: policies.Kind,
        severity: policies.Severity,
        wanted: Sequence[str] | None,
    ) -> Sequence[str]:
        del kind
        named = self.names if wanted is None else [one for one in wanted if one in self.all]
        return [one for one in named if severity in self.all.get(one, policies.Severity)]

    @property
    def all(self) -> Mapping[str, Collection[policies.Severity]]:
        """Return every channel with the severities that it takes."""
        return {**{one: tuple(policies.Severity) for one in self.names}, **self.besides}

    def channels_of_cluster(
        self, *, kind: policies.Kind, severity: policies.Severity
    ) -> Sequence[str]:
        return self.channels_for(kind=kind, severity=severity, wanted=None)

    def readiness(self) -> Mapping[str, undelivered.Unready | None]:
        return {one: self.unready.get(one) for one in self.all}

    def labels_of(self, *_: object) -> Mapping[str, str]:
        return self.labels


class Nobody:
    """Who looks for no causes beyond jobs."""

    async def look_if_due(self) -> None:
        pass

    def expect(self, due: int) -> None:
        pass

    async def gathered(self, *, is_more: bool) -> None:
        pass


class Story:
    """One registered hourly job, and what happens to it."""

    def __init__(self, store: engine.Database, clock: clocks.Clock) -> None:
        self.store = store
        self.clock = clock
        self.cluster = Cluster()
        self.channels = Channels()
        self.leaving = False
        self.sight = blindness.CLEAR
        self.touched = 0
        self.job = builders.job(created_at=HOURLY.effective_from)
        self.recurring: list[silences.Recurring] = []
        self.suppressed: list[str] = []
        self.wait: Callable[[], timedelta] = timedelta
        self.quiet = quiet.Quiet(
            directory=self.channels,
            cluster=builders.CLUSTER,
            defaults=policies.defaults(),
            recurring=self.recurring,
            suppressed=self.suppressed.append,
        )
        self.evaluator = evaluate.Evaluator(
            store=store,
            evidence=self.cluster,
            directory=self.channels,
            quiet=self.quiet,
            cluster=builders.CLUSTER,
            defaults=policies.defaults(),
            changed=self._touch,
            wake=lambda: None,
            is_leaving=lambda *_: self.leaving,
            sight=lambda: self.sight,
            suppressed=self.suppressed.append,
            wait=self._wait,
        )

    async def begin(self, policy: dict[str, Any] | None = None, **rhythm: object) -> None:
        self.job = builders.job(created_at=HOURLY.effective_from, policy=policy or {})
        values = {name: getattr(HOURLY, name) for name in HOURLY.__slots__} | rhythm
        async with self.store.transaction() as transaction:
            await transaction.registry.register(self.job)
        await self.applied(slots.Revision(**values))

    async def applied(self, revision: slots.Revision) -> None:
        """Keep what was applied, and look at once as the store asks for it."""
        async with self.store.transaction() as transaction:
            await transaction.registry.applied(self.job.id, builders.applied(revision))

    async def look(self, at: datetime) -> None:
        self.clock.set(at)
        await self.evaluator.evaluate(self.job.id)

    async def look_until_done(self, at: datetime) -> int:
        """Look as often as the job asks for it at once; returns how often."""
        for count in range(1, 100):
            await self.look(at)
            if await self.again_at() > at:
                return count
        raise AssertionError("the job is due for ever")

    async def again_at(self) -> datetime:
        return (await self.row()).next_check_at

    async def row(self) -> ports.JobRow:
        async with self.store.transaction() as transaction:
            rows = await transaction.registry.registered(builders.CLUSTER)
        return next(row for row in rows if row.job.id == self.job.id)

    async def gaps(self) -> list[slots.Gap]:
        async with self.store.transaction() as transaction:
            return list(await transaction.gaps.of(self.job.id, SLOT_AT - 400 * DAY, self.clock()))

    async def sees(self, *, at: datetime, slot: int = 0, **changes: object) -> bool:
        """Record the reading of the Job of the n-th slot."""
        self.clock.set(at)
        values = {
            "slot_at": SLOT_AT + slot * HOUR,
            "created_at": SLOT_AT + slot * HOUR,
            "job_uid": f"job-{slot}",
            "job_name": f"report-{slot}",
        } | changes
        return await self.record(builders.observation(self.job, **values))

    async def record(self, seen: executions.JobObservation, *pods: executions.Attempt) -> bool:
        return bool(await observe.record(self.store, builders.CLUSTER, [seen], pods))

    def job_of(
        self, slot: datetime, status: Status | None = Status.SUCCEEDED, **changes: object
    ) -> executions.JobObservation:
        """Build the Job that the controller made for a slot; it took ten seconds."""
        minutes = int(slot.timestamp()) // 60
        ended = slot + 10 * SECOND
        values: dict[str, Any] = {
            "slot_at": slot,
            "created_at": slot,
            "job_started_at": slot,
            "job_uid": f"job-{minutes}",
            "job_name": f"{self.job.name}-{minutes}",
        }
        values |= ended_with(status, ended) if status else {}
        return builders.observation(self.job, **values | changes)

    async def fails(self, slot: int) -> None:
        at = SLOT_AT + slot * HOUR + MINUTE
        await self.sees(at=at, slot=slot, **ended_with(Status.FAILED, at))
        await self.look(at)

    async def succeeds(self, slot: int) -> None:
        at = SLOT_AT + slot * HOUR + MINUTE
        await self.sees(at=at, slot=slot, **ended_with(Status.SUCCEEDED, at))
        await self.look(at)

    async def runs(self) -> list[executions.Execution]:
        async with self.store.transaction() as transaction:
            return list(await transaction.ledger.recent(self.job.id, 100))

    async def open(self) -> dict[policies.Kind, incidents.Incident]:
        async with self.store.transaction() as transaction:
            current = await transaction.incidents.current_of(self.job.id)
        return {kind: incident for kind, incident in current.items() if incident.is_open}

    async def messages(self) -> list[tuple[str, str, str]]:
        """Claim what is to be sent and settle it: (type, kind, severity)."""
        told: list[tuple[str, str, str]] = []

        async def settle(
            transaction: ports.Transaction, rows: Sequence[ports.Notification]
        ) -> None:
            await transaction.outbox.settle(
                [ports.Outcome(notification=row, delivered=True) for row in rows]
            )

        async def claim(
            transaction: ports.Transaction,
        ) -> tuple[int, Sequence[ports.Notification]]:
            claimed = await transaction.outbox.claim(
                "test", 50, timedelta(seconds=60), cluster=builders.CLUSTER
            )
            return len(claimed), await self.quiet.sift(transaction, claimed)

        while True:
            count, claimed = await self.store.run(claim)
            if not count:
                return told
            for one in claimed:
                incident = one.payload["incident"]
                told.append((one.type, incident["kind"], incident["severity"]))
            await self.store.run(partial(settle, rows=claimed))

    def _wait(self) -> timedelta:
        return self.wait()

    def _touch(self, _: object) -> None:
        self.touched += 1


def ended_with(status: Status, at: datetime) -> dict[str, Any]:
    failed = status is Status.FAILED
    return {
        "decided": status,
        "ended_at": at,
        "reason": "BackoffLimitExceeded" if failed else "CompletionsReached",
    }

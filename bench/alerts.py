"""10,000 jobs that are due at once, and 1,000 that fail within a minute: what that costs and tells.

Postgres, the services and the way to the receivers are real; what they go by is a clock that is
set, so that five minutes take as long as their work.
"""

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench import database, machine, report
from rollcall.core import executions, pacing, policies
from rollcall.core.executions import Status
from rollcall.notify import http
from rollcall.services import deliver, dispatch, evaluate, observe, ports, quiet, sweep
from rollcall.store import engine
from support import builders, clocks, delivering, receiver, stories
from support.stories import DAY, HOUR, SECOND, SLOT_AT

JOBS = 10_000
FAILING = 1_000  # of them
FAIL_WITHIN = 60  # seconds
WATCHED = 300  # seconds, from the first failure on
PIECE = 200  # readings that are written together
CHANNELS = ("chat", "pager")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What one part came to; times are in seconds."""

    what: str
    jobs: int
    seeing: float  # writing what was seen of their runs
    looking: float
    longest_sweep: float
    delivering: float
    statements_per_job: float
    messages: dict[str, int]  # by channel
    listed: dict[str, int]  # incidents that these speak of
    rss_mib: float


def run() -> list[dict[str, Any]]:
    """Measure, print a table, return the numbers."""
    with database.running() as server, _receivers() as hooks:
        numbers = asyncio.run(_measure(server, hooks))
    print(f"\n{_table(numbers)}\n{machine.describe()}, load {machine.load():.1f}")
    return [asdict(one) for one in numbers]


async def _measure(server: database.Database, hooks: dict[str, receiver.Receiver]) -> list[Numbers]:
    server.server.execute("CREATE EXTENSION pg_stat_statements", database.ROLE)
    clock = clocks.Clock(stories.HOURLY.effective_from)
    store = engine.Database(server.dsn, application_name="bench", clock=clock)
    await store.partitions.ensure(ahead_weeks=1)
    jobs = [builders.job(f"job-{number}", created_at=clock()) for number in range(JOBS)]
    await _register(store, jobs)
    async with http.Client(now=clock, allowed=receiver.LOOPBACK) as client:
        work = _Work(server, store, clock, client, hooks)
        try:
            await work.sweep()  # at all of them once, when they are new
            return [await work.due_at_once(jobs), await work.fail(jobs[:FAILING])]
        finally:
            await store.close()


async def _register(store: engine.Database, jobs: Sequence[ports.TrackedJob]) -> None:
    """Register them; those that will fail run every hour, the others once a day."""
    for start in range(0, len(jobs), PIECE):
        async with store.transaction() as unit:
            for number, job in enumerate(jobs[start : start + PIECE], start):
                rhythm = "0 * * * *" if number < FAILING else "0 12 * * *"
                revision = builders.revision(
                    schedule=rhythm, deadline=DAY, effective_from=stories.HOURLY.effective_from
                )
                await unit.registry.register(job)
                applied = builders.applied(revision, cronjob_uid=job.name)
                await unit.registry.applied(job.id, applied)


class _Work:
    """The services of one operator, and how long each part of them takes."""

    def __init__(
        self,
        server: database.Database,
        store: engine.Database,
        clock: clocks.Clock,
        client: http.Client,
        hooks: dict[str, receiver.Receiver],
    ) -> None:
        self._server, self._store, self._clock, self._hooks = server, store, clock, hooks
        directory = stories.Channels(names=CHANNELS)
        hush = quiet.Quiet(
            directory=directory, cluster=builders.CLUSTER, defaults=policies.defaults()
        )
        self._deliver = deliver.Deliver(
            store=store,
            senders=delivering.Senders(client, **{name: hooks[name].url for name in CHANNELS}),
            clock=clock,
            cluster=builders.CLUSTER,
            holder="bench",
            dispatch=dispatch.Dispatch(
                paces=lambda _: pacing.read("webhook", {}),
                sift=hush.sift,
                cluster=builders.CLUSTER,
            ),
            monotonic=lambda: clock().timestamp(),
        )
        evaluator = evaluate.Evaluator(
            store=store,
            evidence=stories.Cluster(),
            directory=directory,
            quiet=hush,
            cluster=builders.CLUSTER,
            defaults=policies.defaults(),
            changed=lambda _job: None,
            wake=self._deliver.wake,
        )
        self._sweep = sweep.Sweep(
            store=store,
            evaluator=evaluator,
            beyond=stories.Nobody(),
            cluster=builders.CLUSTER,
            is_clear=lambda: True,
            clock=clock,
        )
        self._begin()

    async def due_at_once(self, jobs: Sequence[ports.TrackedJob]) -> Numbers:
        """Let the runs of all end well; then each of them is due for a look."""
        self._begin()
        self._clock.set(SLOT_AT + 30 * SECOND)
        for start in range(0, len(jobs), PIECE):
            await self._see(jobs[start : start + PIECE], Status.SUCCEEDED)
        self._clock.advance(observe.SETTLE)
        await self.sweep()
        return self._numbers("due at once", len(jobs))

    async def fail(self, jobs: Sequence[ports.TrackedJob]) -> Numbers:
        """Let runs fail one after the other, and look and deliver each second."""
        self._begin()
        self._clock.set(SLOT_AT + HOUR + 10 * SECOND)
        for second in range(WATCHED):
            failed = jobs[_share(second, len(jobs)) : _share(second + 1, len(jobs))]
            if failed:
                await self._see(failed, Status.FAILED)
            await self.sweep()
            await self._send()
            self._clock.advance(SECOND)
        return self._numbers(f"fail in {FAIL_WITHIN} s, {WATCHED} s watched", len(jobs))

    async def sweep(self) -> None:
        """Look at all that is due."""
        is_more = True
        while is_more:
            began = time.perf_counter()
            is_more = await self._sweep.sweep()
            self._sweeps.append(time.perf_counter() - began)

    async def _see(self, jobs: Sequence[ports.TrackedJob], status: Status) -> None:
        began = time.perf_counter()
        readings = [self._ended(job, status) for job in jobs]
        await observe.record(self._store, builders.CLUSTER, readings, [])
        self._seeing += time.perf_counter() - began

    async def _send(self) -> None:
        began = time.perf_counter()
        while await self._deliver.round():
            pass
        await self._deliver.idle()
        self._delivering += time.perf_counter() - began

    def _ended(self, job: ports.TrackedJob, status: Status) -> executions.JobObservation:
        now = self._clock()
        slot_at = now - (now - SLOT_AT) % HOUR
        uid = f"{job.name}-{slot_at:%H}"
        return builders.observation(
            job,
            job_uid=uid,
            job_name=uid,
            owner_uid=job.name,
            slot_at=slot_at,
            created_at=slot_at,
            **stories.ended_with(status, now),
        )

    def _begin(self) -> None:
        """Count from here."""
        self._sweeps: list[float] = []
        self._seeing = self._delivering = 0.0
        self._statements = self._server.statements()

    def _numbers(self, what: str, jobs: int) -> Numbers:
        bodies = {
            name: [json.loads(request.body) for request in hook.requests]
            for name, hook in self._hooks.items()
        }
        return Numbers(
            what=what,
            jobs=jobs,
            seeing=self._seeing,
            looking=sum(self._sweeps),
            longest_sweep=max(self._sweeps),
            delivering=self._delivering,
            statements_per_job=(self._server.statements() - self._statements) / jobs,
            messages={name: len(told) for name, told in bodies.items()},
            listed={name: len(_spoken_of(told)) for name, told in bodies.items()},
            rss_mib=machine.rss_mib(os.getpid()),
        )


def _share(second: int, jobs: int) -> int:
    """Return how many have failed by then."""
    return min(jobs, second * jobs // FAIL_WITHIN)


def _spoken_of(bodies: Sequence[dict[str, Any]]) -> Counter[str]:
    """Count the incidents of messages, those of digests too."""
    found: Counter[str] = Counter()
    for body in bodies:
        found.update(one["incident"]["id"] for one in body.get("incidents") or [body])
    return found


@contextlib.contextmanager
def _receivers() -> Iterator[dict[str, receiver.Receiver]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(receiver.running()) for name in CHANNELS}


def _table(numbers: Sequence[Numbers]) -> str:
    head = ["", *(f"{one.jobs:,} {one.what}" for one in numbers), "budget"]
    rows: list[tuple[str, list[str], str]] = [
        ("runs' ends written, s", [f"{one.seeing:.1f}" for one in numbers], ""),
        ("all looks, s", [f"{one.looking:.1f}" for one in numbers], ""),
        ("longest sweep, of 100 jobs, s", [f"{one.longest_sweep:.2f}" for one in numbers], ""),
        ("delivery, s", [f"{one.delivering:.1f}" for one in numbers], ""),
        ("statements per job", [f"{one.statements_per_job:.1f}" for one in numbers], ""),
    ]
    for name in CHANNELS:
        told = [f"{one.messages[name]:,}" for one in numbers]
        rows.append((f"messages to {name}", told, "10"))
        listed = [f"{one.listed[name]:,}" for one in numbers]
        rows.append((f"incidents told to {name}", listed, f"all {FAILING:,}"))
    rows.append(("RSS with the receivers, MiB", [f"{one.rss_mib:.0f}" for one in numbers], ""))
    return report.table(head, [[what, *cells, budget] for what, cells, budget in rows])

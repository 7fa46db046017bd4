"""A process that takes an alert all its way, and kills itself at a chosen point of it.

Points lie before each statement, before and after each commit, before and after each message.
Nothing of the product knows of them: they hang on SQLAlchemy's events and around the sender.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import connection
from pathlib import Path

import sqlalchemy as sa

from rollcall.core import executions, policies
from rollcall.core.executions import Status
from rollcall.notify import http
from rollcall.services import deliver, evaluate, observe, ports, quiet, sweep
from rollcall.store import engine
from support import builders, clocks, delivering, happenings, receiver, stories

SECOND = timedelta(seconds=1)
# Forked from a server that has imported everything: each start costs milliseconds.
_PROCESSES = multiprocessing.get_context("forkserver")
# Whoever starts one asks how all others ended, and each tells it once.
_REAPING = threading.Lock()
_PLACES = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "operator")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What one process does: it sees a run that ended, looks, and delivers.

    `points` is a file, to which each point is written; it dies at the one of this number.
    """

    dsn: str
    url: str
    cluster: str
    status: Status
    slot: int
    at: datetime
    points: Path
    dies_at: int = 0


def job_of(cluster: str) -> ports.TrackedJob:
    """Return the one job of a cluster; an hourly one whose failures alone are told."""
    return builders.job(
        cluster=cluster,
        created_at=stories.HOURLY.effective_from,
        policy=happenings.ONLY_FAILING,
    )


async def run(walk: Walk) -> int:
    """Do it in a process of its own; returns how that ended, -9 if it was killed."""
    code = await asyncio.to_thread(_run, walk)
    assert code is not None
    return code


def passed(walk: Walk) -> Sequence[str]:
    """Return the points that a process came to."""
    return walk.points.read_text().splitlines()


def _run(walk: Walk) -> int | None:
    _PROCESSES.set_forkserver_preload([__name__])
    os.environ["PYTHONPATH"] = os.pathsep.join(_PLACES)  # the server finds this module by it
    process = _PROCESSES.Process(target=_main, args=(walk,))
    with _REAPING:
        process.start()
    connection.wait([process.sentinel])
    with _REAPING:
        process.join()
        return process.exitcode


def _main(walk: Walk) -> None:
    asyncio.run(_walk(walk))


async def _walk(walk: Walk) -> None:
    clock = clocks.Clock(walk.at)
    store = engine.Database(walk.dsn, application_name="tests", clock=clock)
    points = _Points(walk)
    points.watch(store)
    await observe.record(store, walk.cluster, [_ended(walk)], [])
    clock.advance(observe.SETTLE)
    await _sweep(store, walk.cluster, clock)
    async with http.Client(
        now=clock, allowed=receiver.LOOPBACK, timeout=timedelta(seconds=10)
    ) as client:
        process = deliver.Deliver(
            store=store,
            senders=_Senders(delivering.Senders(client, team=walk.url), points),
            clock=clock,
            cluster=walk.cluster,
            holder=f"process-{os.getpid()}",
            dispatch=delivering.unpaced(_quiet(walk.cluster).sift, cluster=walk.cluster),
        )
        await process.round()
        await process.idle()


async def _sweep(store: engine.Database, cluster: str, clock: clocks.Clock) -> None:
    evaluator = evaluate.Evaluator(
        store=store,
        evidence=stories.Cluster(),
        directory=stories.Channels(),
        quiet=_quiet(cluster),
        cluster=cluster,
        defaults=policies.defaults(),
        changed=lambda _job: None,
        wake=lambda: None,
    )
    await sweep.Sweep(
        store=store,
        evaluator=evaluator,
        beyond=stories.Nobody(),
        cluster=cluster,
        is_clear=lambda: True,
        clock=clock,
    ).sweep()


def _quiet(cluster: str) -> quiet.Quiet:
    return quiet.Quiet(directory=stories.Channels(), cluster=cluster, defaults=policies.defaults())


def _ended(walk: Walk) -> executions.JobObservation:
    slot_at = stories.SLOT_AT + walk.slot * stories.HOUR
    return builders.observation(
        job_of(walk.cluster),
        job_name=f"report-{walk.slot}",
        job_uid=f"{walk.cluster}-{walk.slot}",
        slot_at=slot_at,
        created_at=slot_at,
        **stories.ended_with(walk.status, slot_at + 10 * SECOND),
    )


class _Points:
    def __init__(self, walk: Walk) -> None:
        self._file = walk.points.open("w", buffering=1)  # a line is there once it is written
        self._dies_at = walk.dies_at
        self._passed = 0

    def reach(self, point: str) -> None:
        self._file.write(f"{point}\n")
        self._passed += 1
        if self._passed == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, store: engine.Database) -> None:
        engine_ = store._engine.sync_engine  # noqa: SLF001 - the product has no hook for this
        sa.event.listen(engine_, "before_cursor_execute", self._before)
        sa.event.listen(engine_, "commit", lambda _: self.reach("commit"))
        sa.event.listen(engine_, "checkin", lambda *_: self.reach("committed"))

    def _before(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self.reach(" ".join(statement.split())[:60])


@dataclass(frozen=True, slots=True)
class _Senders:
    inner: delivering.Senders
    points: _Points

    async def sender(self, channel: str) -> ports.Sender | None:
        found = await self.inner.sender(channel)
        return _Sender(found, self.points) if found else None

    def report(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        self.inner.report(channel, delivery, at)


@dataclass(frozen=True, slots=True)
class _Sender:
    inner: ports.Sender
    points: _Points

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        self.points.reach("send")
        delivery = await self.inner.send(notification)
        self.points.reach("sent")
        return delivery

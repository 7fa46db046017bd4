"""A time that is told: what happens when, what is to arrive at whom and when, and nothing else.

The story's clock jumps from one event to the next, or to what the store says is due. The services,
Postgres and the way to the receivers are real; only their time is not.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from rollcall.core import policies
from rollcall.core.executions import Status
from rollcall.notify import http
from rollcall.services import deliver, ports, sweep
from support import builders, delivering, receiver
from support.receiver import Answer
from support.stories import HOUR, HOURLY, SECOND, SLOT_AT, Story, ended_with

MIDNIGHT = SLOT_AT.replace(hour=0)
# What a timeline is about is one kind of alert; the others would speak as well.
ONLY_FAILING: dict[str, Any] = {
    "rules": {kind.value: {"enabled": False} for kind in policies.Kind}
    | {"failing": {"warning": 1}}
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that somebody took."""

    at: datetime
    channel: str
    type: str
    key: str

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.channel}: {self.type}"


@dataclass(frozen=True, slots=True)
class _Wanted:
    channel: str
    type: str
    begin: datetime
    end: datetime

    def is_met_by(self, one: Arrival) -> bool:
        is_it = (one.channel, one.type) == (self.channel, self.type)
        return is_it and self.begin <= one.at <= self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M:%S}-{self.end:%H:%M:%S} {self.channel}: {self.type}"


@dataclass
class Receiver:
    """Who is told on one channel, and how they answer from when on."""

    name: str
    hook: receiver.Receiver
    clock: Callable[[], datetime]
    arrived: list[Arrival] = field(default_factory=list)
    tried: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = self.hook.url
        self.answers()

    def answers(self, **how: Any) -> None:  # noqa: ANN401 - as `receiver.Answer` is told
        """Answer so from now on; without arguments, take everything."""
        answer = Answer(**how)
        is_taken = answer.status < 300 and not answer.hang and answer.raw is None

        def take(request: receiver.Request) -> Answer:
            now = self.clock()
            self.tried.append(now)
            if is_taken:
                self.arrived.append(_arrival(now, self.name, request))
            return answer

        self.hook.otherwise = take

    def moves(self, url: str) -> None:
        """Be told there, once the process that delivers has read it."""
        self.url = url


class Timeline:
    """Tells a story against the clock."""

    def __init__(self, story: Story, client: http.Client) -> None:
        self.story = story
        self._client = client
        self._receivers: dict[str, Receiver] = {}
        self._plan: list[tuple[datetime, int, Callable[[], Any]]] = []
        self._wanted: list[_Wanted] = []
        self._numbers = count()
        self.is_delivering = True
        self.sweep = sweep.Sweep(
            store=story.store,
            evaluator=story.evaluator,
            cluster=builders.CLUSTER,
            is_clear=lambda: True,
            clock=story.clock,
        )

    def tells(self, name: str, hook: receiver.Receiver) -> Receiver:
        """Add a channel."""
        self._receivers[name] = Receiver(name, hook, self.story.clock)
        self.story.channels.names = tuple(self._receivers)
        self.restart()
        return self._receivers[name]

    def restart(self) -> None:
        """Let the process that delivers begin anew, without what it remembered."""
        self.senders = delivering.Senders(
            self._client, **{one.name: one.url for one in self._receivers.values()}
        )
        self.deliver = deliver.Deliver(
            store=self.story.store,
            senders=self.senders,
            clock=self.story.clock,
            cluster=builders.CLUSTER,
            holder="operator-1",
            sift=self.story.quiet.sift,
            monotonic=lambda: self.story.clock().timestamp(),
            jitter=lambda: 1.0,  # the longest of each wait
        )

    # What is told.

    def at(self, when: str, do: Callable[..., Any], *what: Any, **how: Any) -> None:  # noqa: ANN401
        """Plan that something happens then."""
        self._plan.append((time(when), next(self._numbers), lambda: do(*what, **how)))

    def want(self, channel: str, type: str, begin: str, end: str) -> None:  # noqa: A002 - its name
        """Expect one message on that channel between these times."""
        self._wanted.append(_Wanted(channel, f"incident.{type}", time(begin), time(end)))

    async def fails(self, job: str = "report") -> None:
        """End the run of the job's newest slot, badly."""
        await self._ends(job, Status.FAILED)

    async def succeeds(self, job: str = "report") -> None:
        """End the run of the job's newest slot, well."""
        await self._ends(job, Status.SUCCEEDED)

    async def play(self, *, until: str) -> None:
        """Let it happen; then everything wanted has arrived, and nothing else."""
        end = time(until)
        self.story.clock.set(HOURLY.effective_from)
        await self.story.begin(ONLY_FAILING)
        for when, _, do in sorted(self._plan, key=lambda step: step[:2]):
            await self._go_on(when)
            outcome = do()
            if inspect.isawaitable(outcome):
                await outcome
        await self._go_on(end)
        self.check()

    def check(self) -> None:
        """Compare what arrived with what was wanted."""
        left = list(self.arrived)
        missing = []
        for wanted in self._wanted:
            met = next((one for one in left if wanted.is_met_by(one)), None)
            missing.append(wanted) if met is None else left.remove(met)
        wrong = [f"did not arrive: {one}" for one in missing] + [f"arrived: {one}" for one in left]
        assert not wrong, "; ".join(wrong)

    @property
    def arrived(self) -> list[Arrival]:
        """Everything that anybody took, oldest first."""
        found = [one for to in self._receivers.values() for one in to.arrived]
        return sorted(found, key=lambda one: one.at)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read what is written."""
        async with self.story.store.transaction() as unit:
            found = await unit.connection.execute(sa.text(query))
            return [tuple(row) for row in found]

    # How time passes.

    async def _go_on(self, until: datetime) -> None:
        """Do all that is due until then, each at its time."""
        while True:
            now = self.story.clock()
            await self._work()
            due = await self._due()
            after = max(due, now + SECOND) if due else until
            if after >= until:
                break
            self.story.clock.set(after)
        self.story.clock.set(max(until, self.story.clock()))

    async def _work(self) -> None:
        while await self.sweep.sweep():
            pass
        if self.is_delivering:
            while await self.deliver.round():
                pass
            await self.deliver.idle()

    async def _due(self) -> datetime | None:
        query = _DUE if self.is_delivering else _DUE_LOOK
        async with self.story.store.transaction() as unit:
            found: datetime | None = (await unit.connection.execute(query)).scalar_one()
            return found

    async def _ends(self, name: str, status: Status) -> None:
        now = self.story.clock()
        slot_at = now - (now - SLOT_AT) % HOUR
        values = {"slot_at": slot_at, "created_at": slot_at} | ended_with(status, now)
        uid = f"{name}-{slot_at:%H}"
        job = await self._job(name)
        await self.story.record(builders.observation(job, job_uid=uid, job_name=uid, **values))

    async def _job(self, name: str) -> ports.TrackedJob:
        """Return a job that runs as the story's does; it is registered when it is first named."""
        job = builders.job(name, created_at=HOURLY.effective_from, policy=ONLY_FAILING)
        async with self.story.store.transaction() as unit:
            if await unit.registry.owner(job.id) is None:
                await unit.registry.register(job)
                await unit.registry.applied(job.id, builders.applied(HOURLY))
        return job


def time(text: str) -> datetime:
    """Read `HH:MM` or `HH:MM:SS` of the story's day; hours go on beyond 24."""
    hours, minutes, *seconds = map(int, text.split(":"))
    return MIDNIGHT + timedelta(hours=hours, minutes=minutes, seconds=sum(seconds))


def _arrival(at: datetime, channel: str, request: receiver.Request) -> Arrival:
    body = json.loads(request.body)
    return Arrival(at, channel, body["type"], request.headers["webhook-id"])


_DUE_LOOK = sa.text("SELECT min(next_check_at) FROM cronjobs WHERE deleted_at IS NULL")
_DUE = sa.text("""
    SELECT least(
        (SELECT min(next_check_at) FROM cronjobs WHERE deleted_at IS NULL),
        (SELECT min(next_at) FROM notifications n WHERE status = 'pending' AND NOT EXISTS (
            SELECT FROM notifications e WHERE e.incident_id = n.incident_id
            AND e.channel = n.channel AND e.id < n.id AND e.status = 'pending')))
""")

"""A time that is told: what happens when, what is to arrive at whom and when, and nothing else.

The story's clock jumps from one event to the next, or to what the store says is due. The services,
Postgres and the way to the receivers are real; only their time is not.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, ParamSpec

import psycopg
import sqlalchemy as sa
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.core import policies, undelivered
from rollcall.notify import http
from rollcall.services import deliver, ports, sight, sweep, wide, wide_looks
from support import builders, delivering, happenings, receiver, stories
from support.audience import Arrival, Receiver
from support.happenings import ONLY_FAILING, Policy, time
from support.stories import HOURLY, SECOND, Story

P = ParamSpec("P")

LOOK_EVERY = 14 * SECOND  # at the cluster; just often enough to see it
LOOK_WIDELY_EVERY = 60 * SECOND  # at the cluster as a whole


@dataclass(frozen=True, slots=True)
class _Wanted:
    channel: str
    type: str
    begin: datetime
    end: datetime

    def is_met_by(self, one: Arrival) -> bool:
        is_it = (one.channel, one.type) == (self.channel, self.type)
        return is_it and self.begin <= one.at <= self.end

    @override
    def __str__(self) -> str:
        return f"{self.begin:%H:%M:%S}-{self.end:%H:%M:%S} {self.channel}: {self.type}"


class Timeline(happenings.Happenings):
    """Tells a story against the clock."""

    def __init__(
        self, story: Story, client: http.Client, reader: psycopg.AsyncConnection[Any]
    ) -> None:
        super().__init__(story)
        self._client = client
        self._reader = reader  # commits by itself: a round trip for each step of time, not four
        self._receivers: dict[str, Receiver] = {}
        self._plan: list[tuple[datetime, int, Callable[[], Any]]] = []
        self._wanted: list[_Wanted] = []
        self._numbers = count()
        self.is_up = self.is_delivering = True
        self._eyes: sight.Sight | None = None
        self._looks_widely = False
        self.sweep = self._sweep(stories.Nobody())

    def tells(
        self, name: str, hook: receiver.Receiver, *, only: Sequence[policies.Severity] = ()
    ) -> Receiver:
        """Add a channel; one that takes some severities only is told where it is named."""
        self._receivers[name] = Receiver(name, hook, self.story.clock)
        if only:
            self.story.channels.besides = {**self.story.channels.besides, name: only}
        else:
            named = set(self._receivers) - set(self.story.channels.besides)
            self.story.channels.names = tuple(sorted(named))
        self.restart()
        return self._receivers[name]

    def restart(self) -> None:
        """Let the process that delivers begin anew, without what it remembered."""
        self.senders = delivering.Senders(
            self._client, **{one.name: one.url for one in self._receivers.values()}
        )
        self.senders.hear = self._keep_ready
        self.deliver = deliver.Deliver(
            store=self.story.store,
            senders=self.senders,
            clock=self.story.clock,
            cluster=builders.CLUSTER,
            holder="operator-1",
            dispatch=delivering.unpaced(self.story.quiet.sift, cluster=builders.CLUSTER),
            monotonic=lambda: self.story.clock().timestamp(),
            jitter=lambda: 1.0,  # the longest of each wait
        )

    # What is told.

    def at(self, when: str, do: Callable[P, object], *what: P.args, **how: P.kwargs) -> None:
        """Plan that something happens then."""
        self._plan.append((time(when), next(self._numbers), lambda: do(*what, **how)))

    def want(self, channel: str, type: str, begin: str, end: str) -> None:  # noqa: A002 - its name
        """Expect one message on that channel between these times."""
        self._wanted.append(_Wanted(channel, f"incident.{type}", time(begin), time(end)))

    def stops(self) -> None:
        """Let nobody look or deliver until `starts`."""
        self.is_up = False

    def stops_delivering(self) -> None:
        """Let nobody deliver until `starts`."""
        self.is_delivering = False

    def starts(self) -> None:
        """Let another process begin."""
        self.is_up = self.is_delivering = True
        self.restart()

    def looks_with(self, eyes: sight.Sight) -> None:
        """Let only that be judged which is seen with these eyes."""
        self._eyes = eyes

    def looks_widely(self) -> None:
        """Look at the cluster as a whole too, and at its channels."""
        self._looks_widely = True
        self.sweep = self._sweep(
            wide.Wide(
                store=self.story.store,
                looks=wide_looks.Looks(
                    directory=self.story.channels,
                    quiet=self.story.quiet,
                    cluster=builders.CLUSTER,
                    defaults=policies.defaults(),
                ),
                eyes=self,
                cluster=builders.CLUSTER,
                clock=self.story.clock,
                wake=lambda: None,
            )
        )

    def hears_reports(self, begin: str, end: str) -> None:
        """Let an api process keep reports all that time, and say so each ten seconds."""
        now = time(begin)
        while now < time(end):
            self.at(f"{now:%H:%M:%S}", self.keeps_reports)
            now += 10 * SECOND

    async def passes(self) -> None:
        """Do what is due at this moment, before something else happens at it."""
        await self._work()

    async def play(self, *, until: str, policy: Policy | None = None, **rhythm: object) -> None:
        """Let it happen; then everything wanted has arrived, and nothing else."""
        await self.live(until=until, policy=policy, **rhythm)
        self.check()

    async def live(self, *, until: str, policy: Policy | None = None, **rhythm: object) -> None:
        """Let it happen."""
        end = time(until)
        self.story.clock.set(HOURLY.effective_from)
        await self.story.begin(policy or ONLY_FAILING, **rhythm)
        for when, _, do in sorted(self._plan, key=lambda step: step[:2]):
            await self._go_on(when)
            outcome = do()
            if inspect.isawaitable(outcome):
                await outcome
        await self._go_on(end)

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

    async def table(self, name: str) -> list[str]:
        """Read all of a table, each row as one text."""
        row = sa.cast(sa.literal_column(name), sa.Text)  # a table's name is its row
        async with self.story.store.transaction() as unit:
            found = await unit.connection.execute(sa.select(row).select_from(sa.table(name)))
            return list(found.scalars())

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
        if not self.is_up:
            return
        if self._eyes:
            await self._eyes.try_to_look()
            self.story.sight = self._eyes.seen()
        while await self.sweep.sweep():
            pass
        if self.is_delivering:
            while await self.deliver.round():
                pass
            await self.deliver.idle()

    def is_clear(self) -> bool:
        """Whether the cluster is seen."""
        return self._eyes is None or self._eyes.is_clear()

    def why_blind(self) -> str | None:
        """Say why not, if it is known."""
        return self._eyes.why_blind() if self._eyes else None

    def _sweep(self, beyond: sweep.Beyond) -> sweep.Sweep:
        return sweep.Sweep(
            store=self.story.store,
            evaluator=self.story.evaluator,
            beyond=beyond,
            cluster=builders.CLUSTER,
            is_clear=self.is_clear,
            clock=self.story.clock,
        )

    def _keep_ready(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        """Keep of a channel what its status would say."""
        if delivery.delivered:
            self.story.channels.unready.pop(channel, None)
        elif delivery.permanent and channel not in self.story.channels.unready:
            self.story.channels.unready[channel] = undelivered.Unready(
                since=at, why=delivery.error or "refused"
            )

    async def _due(self) -> datetime | None:
        if not self.is_up:
            return None
        found = await self._reader.execute(_DUE if self.is_delivering else _DUE_LOOK)
        row = await found.fetchone()
        due: datetime | None = row[0] if row else None
        if self._looks_widely:
            look = self.story.clock() + LOOK_WIDELY_EVERY
            due = min(due or look, look)
        if self._eyes is None:
            return due
        look = self.story.clock() + LOOK_EVERY
        return min(due or look, look) if self._eyes.is_clear() else look


_DUE_LOOK = "SELECT min(next_check_at) FROM cronjobs WHERE deleted_at IS NULL"
_DUE = """
    SELECT least(
        (SELECT min(next_check_at) FROM cronjobs WHERE deleted_at IS NULL),
        (SELECT min(next_at) FROM notifications n WHERE status = 'pending' AND NOT EXISTS (
            SELECT FROM notifications e WHERE e.incident_id = n.incident_id
            AND e.channel = n.channel AND e.id < n.id AND e.status = 'pending')))
"""

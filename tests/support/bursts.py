"""A channel in a story: its outbox in Postgres, a receiver in memory, and a clock that is moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import incidents, pacing
from rollcall.core.policies import Severity
from rollcall.services import deliver, dispatch, ports
from rollcall.store import engine
from support import builders, clocks, herds, payloads

TEAM = "team"
OK = ports.Delivery(delivered=True)
DOWN = ports.Delivery(delivered=False, error="receiver answered 500")


@dataclass
class Receiver:
    """Takes what it is sent, or answers as scripted; `got` is what it was sent and when."""

    clock: clocks.Clock
    answers: list[ports.Delivery] = field(default_factory=list)
    got: list[tuple[datetime, ports.Notification]] = field(default_factory=list)

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        self.got.append((self.clock.now, notification))
        return self.answers.pop(0) if self.answers else OK


@dataclass
class Storm:
    """Messages of many jobs to one channel, and the delivery of them."""

    store: engine.Database
    clock: clocks.Clock
    pace: pacing.Pace = field(default_factory=lambda: pacing.read("webhook", {}))
    channel: str = TEAM
    others: Sequence[str] = ()  # channels that are told of the same
    suppressed: list[str] = field(default_factory=list)
    open: dict[str, incidents.Incident] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)  # jobs that are registered

    def __post_init__(self) -> None:
        channels = (self.channel, *self.others)
        self.receivers = {channel: Receiver(self.clock) for channel in channels}
        self.receiver = self.receivers[self.channel]
        self.restart()

    def restart(self) -> None:
        """Begin with a process that knows nothing of the one before."""
        self.dispatch = dispatch.Dispatch(
            paces=lambda _: self.pace,
            sift=_everything,
            cluster=builders.CLUSTER,
            suppressed=self.suppressed.append,
        )
        self.process = deliver.Deliver(
            store=self.store,
            senders=self,
            clock=self.clock,
            cluster=builders.CLUSTER,
            holder="operator",
            dispatch=self.dispatch,
            monotonic=lambda: self.clock().timestamp(),
            jitter=lambda: 1.0,
        )

    async def sender(self, channel: str) -> ports.Sender:
        return self.receivers[channel]

    def report(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        del channel, delivery, at

    async def fails(
        self, *names: str, severity: Severity = Severity.WARNING, reason: str = "Error"
    ) -> None:
        """Open an incident of each job, or change the one that is open."""
        jobs = {name: builders.job(name) for name in names}
        async with self.store.transaction() as unit:
            await herds.register(unit, [jobs[name] for name in names if name not in self.known])
            self.known.update(names)
            for name, job in jobs.items():
                known = self.open.get(name)
                step = builders.step(
                    job, incident=known, now=self.clock.now, severity=severity, reason=reason
                )
                await self._write(unit, name, step)

    async def recovers(self, *names: str) -> None:
        """Resolve the incidents of these jobs."""
        async with self.store.transaction() as unit:
            for name in names:
                step = builders.step(incident=self.open[name], recovered=True, now=self.clock.now)
                await self._write(unit, name, step)
                del self.open[name]

    async def _write(self, unit: ports.Transaction, name: str, step: incidents.Step) -> None:
        assert await unit.incidents.save(step, at=unit.now)
        payload = payloads.of(step, self.clock.now)
        payload["cronjob"]["name"] = name
        await unit.outbox.enqueue(step.incident, list(self.receivers), payload)
        self.open[name] = step.incident

    async def passes(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass and the process deliver, a round each second."""
        until = self.clock.now + timedelta(seconds=seconds)
        await self.round()
        while self.clock.now < until:
            self.clock.advance(timedelta(seconds=step))
            await self.round()

    async def round(self) -> None:
        while await self.process.round():
            await self.process.idle()
        await self.process.idle()

    @property
    def types(self) -> list[str]:
        return [one.type for _, one in self.receiver.got]

    def told(self, channel: str | None = None) -> list[list[str]]:
        """Return which jobs each message told of."""
        got = self.receivers[channel or self.channel].got
        return [[item["cronjob"]["name"] for item in items(one)] for _, one in got]

    async def rows(self) -> Sequence[Mapping[str, Any]]:
        async with self.store.transaction() as unit:
            found = await unit.connection.exec_driver_sql("SELECT * FROM notifications ORDER BY id")
            return [dict(row) for row in found.mappings()]


def items(message: ports.Notification) -> Sequence[Mapping[str, Any]]:
    """Return what a message tells of, one or many."""
    payload: Mapping[str, Any] = message.payload
    return payload["incidents"] if payload["type"] == "digest" else [payload]


async def _everything(
    _: ports.Transaction, claimed: Sequence[ports.Notification]
) -> Sequence[ports.Notification]:
    return claimed

"""An incident, told to a real Alertmanager and repeated from a real Postgres."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollcall.core import incidents, policies
from rollcall.notify import http, registry
from rollcall.notify.alertmanager import alerts as rendering
from rollcall.services import deliver, ports, repeat
from rollcall.store import engine
from support import alertmanager, builders, payloads, receiver
from support.receiver import Answer

JOB = builders.job("backup")
CHANNEL = "am"
CRITICAL = policies.Severity.CRITICAL


@dataclass
class World:
    """Rollcall from the incident on, and an Alertmanager. `holds` stands for the five minutes."""

    store: engine.Database
    client: http.Client
    peer: alertmanager.Alertmanager
    holds: timedelta = timedelta(minutes=5)
    incident: incidents.Incident | None = None
    reports: list[ports.Delivery] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.now(UTC) - (rendering.HOLDS - self.holds)

    async def step(self, *, recovered: bool = False, **found: object) -> None:
        """Take the incident's next step, and tell of it if it is to be told."""
        async with self.store.transaction() as transaction:
            now = transaction.now - timedelta(minutes=10) if not self.incident else transaction.now
            step = builders.step(JOB, incident=self.incident, recovered=recovered, now=now, **found)
            await transaction.registry.register(JOB)
            assert await transaction.incidents.save(step, at=now)
            if step.notify:
                body = payloads.of(step, now)
                await transaction.outbox.enqueue(step.incident, [CHANNEL], body)
            self.incident = step.incident

    async def deliver(self) -> None:
        """Send what the outbox holds."""
        work = deliver.Deliver(
            store=self.store, senders=self, clock=self.now, cluster="test", holder="operator-1"
        )
        await work.round()
        await work.idle()

    async def repeat(self, senders: ports.Senders | None = None) -> None:
        """Do what is done every minute."""
        await repeat.Repeat(
            store=self.store,
            senders=senders or self,
            channels=lambda: [CHANNEL],
            clock=self.now,
            cluster="test",
        ).once()

    def severities(self) -> list[str]:
        return sorted(alert["labels"]["severity"] for alert in self.peer.alerts())

    async def sender(self, channel: str) -> ports.Sender | None:
        assert channel == CHANNEL
        return registry.factories(self.client, self.now)["alertmanager"]({"url": self.peer.url})

    def report(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        assert (channel, at.tzinfo) == (CHANNEL, UTC)
        self.reports.append(delivery)


class Overtaken:
    """The senders of a world whose incident ends when it was read as open and is to be sent."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.report = world.report

    async def sender(self, channel: str) -> ports.Sender | None:
        if self._world.incident and self._world.incident.is_open:
            await self._world.step(recovered=True)
            await self._world.deliver()
            assert self._world.severities() == []
        return await self._world.sender(channel)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[alertmanager.Alertmanager]:
    with alertmanager.running(tmp_path) as running:
        yield running


@pytest.fixture
async def world(store: engine.Database, peer: alertmanager.Alertmanager) -> AsyncIterator[World]:
    async with http.Client(
        now=lambda: datetime.now(UTC), allowed=receiver.LOOPBACK, timeout=timedelta(seconds=5)
    ) as client:
        yield World(store=store, client=client, peer=peer)


async def test_an_incident_fires_and_is_resolved_once(world: World) -> None:
    await world.step()
    await world.deliver()
    (alert,) = world.peer.alerts()
    assert alert["labels"]["alertname"] == "RollcallFailing"
    assert alert["annotations"]["summary"] == "shop/backup is failing"
    await asyncio.to_thread(world.peer.wait_for, ("firing", "warning"))
    await world.step(recovered=True)
    await world.deliver()
    await asyncio.to_thread(world.peer.wait_for, ("firing", "warning"), ("resolved", "warning"))
    await world.repeat()
    assert world.peer.alerts() == []
    assert all(report.delivered for report in world.reports)


async def test_an_alert_of_which_nobody_speaks_any_more_ends_and_a_repeated_one_goes_on(
    world: World,
) -> None:
    world.holds = timedelta(seconds=2)
    await world.step()
    await world.deliver()
    for _ in range(6):  # three seconds, longer than one word holds
        await asyncio.sleep(0.5)
        await world.repeat()
        assert world.severities() == ["warning"]
    await asyncio.to_thread(world.peer.wait_for, ("firing", "warning"))
    await asyncio.to_thread(world.peer.wait_for, ("firing", "warning"), ("resolved", "warning"))


async def test_an_alertmanager_that_lost_its_memory_learns_again_what_is_open(
    world: World,
) -> None:
    await world.step()
    await world.deliver()
    world.peer.stop()
    await world.repeat()
    assert [report.delivered for report in world.reports] == [True, False]
    await asyncio.to_thread(world.peer.start)
    assert world.peer.alerts() == []
    await world.repeat()
    assert world.severities() == ["warning"]


async def test_a_severity_that_fell_without_a_message_is_followed(world: World) -> None:
    world.holds = timedelta(seconds=2)
    await world.step(severity=CRITICAL)
    await world.deliver()
    await world.step()  # a warning now, which nobody is told of
    await world.repeat()
    assert world.severities() == ["critical", "warning"]
    for _ in range(5):
        await asyncio.sleep(0.5)
        await world.repeat()
    assert world.severities() == ["warning"]
    await world.step(recovered=True)
    await world.deliver()
    assert world.severities() == []


async def test_a_repetition_that_comes_after_the_end_does_not_open_the_alert_again(
    world: World,
) -> None:
    await world.step()
    await world.deliver()
    await world.repeat(Overtaken(world))
    assert world.severities() == []


async def test_a_long_list_goes_in_several_requests_and_all_of_it_arrives(world: World) -> None:
    sender = await world.sender(CHANNEL)
    assert isinstance(sender, ports.Repeater)
    bodies = []
    for number in range(450):
        body = payloads.payload(execution=payloads.failed("ü\0<&>\ud800" * 300))
        body["cronjob"] |= {"name": f"job-{number}"}
        bodies.append(body)
    assert (await sender.repeat(bodies)).delivered
    assert len(world.peer.alerts()) == 450


async def test_a_token_is_sent_and_not_repeated_in_errors(world: World) -> None:
    with receiver.running() as hook:
        hook.answers(Answer(status=401, body=b"token-12345 is not known"))
        make = registry.factories(world.client, world.now)["alertmanager"]
        sender = make({"url": hook.url, "bearerToken": "token-12345"})
        delivery = await sender.send(payloads.notification(payloads.payload()))
        (request,) = hook.requests
    assert request.path == "/hook/api/v2/alerts"
    assert request.headers["authorization"] == "Bearer token-12345"
    assert delivery.permanent
    assert delivery.error == "127.0.0.1 answered 401 Unauthorized: *** is not known"


async def test_an_alert_that_an_alertmanager_cannot_take_is_given_up(world: World) -> None:
    sender = await world.sender(CHANNEL)
    assert sender
    body: dict[str, Any] = payloads.payload(solved_after=timedelta(minutes=1))
    body["incident"] |= {"resolvedAt": "2026-03-01T00:00:00.000Z"}
    delivery = await sender.send(payloads.notification(body))
    assert delivery.permanent
    assert delivery.error is not None
    assert "start time must be before end time" in delivery.error

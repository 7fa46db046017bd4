"""Who is told again what is still open; no network, no Postgres."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import uuid4

import pytest

from rollcall.core import errors, policies, reasons
from rollcall.services import ports, repeat
from support import builders, clocks, payloads, setups

Bodies = Sequence[Mapping[str, Any]]
DELIVERED = ports.Delivery(delivered=True)
REFUSED = ports.Delivery(delivered=False, permanent=True, error="am answered 404 Not Found")


@dataclass
class FakeRepeater:
    """Remembers what it was told, and answers as it is told; `during` happens meanwhile."""

    answer: ports.Delivery = DELIVERED
    told: list[Bodies] = field(default_factory=list)
    during: Any = None

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        raise AssertionError(notification)

    async def repeat(self, bodies: Bodies) -> ports.Delivery:
        self.told.append(bodies)
        if self.during:
            self.during()
        return self.answer


class OnlySender:
    """A channel of a kind that is not repeated to."""

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        raise AssertionError(notification)


@dataclass
class World:
    """Channels, and the open incidents that they were told of."""

    clock: clocks.Clock = field(default_factory=clocks.Clock)
    senders: dict[str, ports.Sender | Exception] = field(default_factory=dict)
    open_ones: list[ports.Repetition] = field(default_factory=list)
    reports: list[tuple[str, ports.Delivery]] = field(default_factory=list)
    reads: int = 0

    def open(self, channel: str, *, told: dict[str, Any] | None = None, **changes: object) -> None:
        incident = builders.step().incident
        self.open_ones.append(
            ports.Repetition(
                incident=replace(incident, **cast("dict[str, Any]", changes)),
                channel=channel,
                payload=told or payloads.payload(),
            )
        )

    async def once(self) -> None:
        await repeat.Repeat(
            store=cast("ports.Store", self),
            senders=self,
            channels=lambda: list(self.senders),
            clock=self.clock,
            cluster="test",
        ).once()

    # The store and the senders, as the service sees them.

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[object]:
        yield _Transaction(self)

    async def sender(self, channel: str) -> ports.Sender | None:
        found = self.senders[channel]
        if isinstance(found, Exception):
            raise found
        return found

    def report(self, channel: str, delivery: ports.Delivery, at: object) -> None:
        assert at == self.clock.now
        self.reports.append((channel, delivery))


class _Transaction:
    def __init__(self, world: World) -> None:
        self._world = world
        self.now = world.clock.now
        self.outbox = self

    async def to_repeat(self, channels: Sequence[str], *, cluster: str) -> list[ports.Repetition]:
        assert cluster == "test"
        self._world.reads += 1
        return [one for one in self._world.open_ones if one.channel in channels]


@pytest.fixture
def world() -> World:
    return World()


async def test_the_incident_is_repeated_as_it_is_now_not_as_it_was_told(world: World) -> None:
    world.senders["am"] = am = FakeRepeater()
    world.open("am", message="4 runs failed")
    await world.once()
    ((body,),) = am.told
    assert body["incident"]["message"] == "4 runs failed"
    assert body["incident"]["resolvedAt"] is None
    assert body["cronjob"]["name"] == "backup"


@pytest.mark.parametrize(
    ("quiet", "severity"),
    [
        pytest.param({}, "critical", id="told"),
        pytest.param({"silenced_by": "silence:1"}, "warning", id="silenced"),
        pytest.param({"inhibited_by": policies.Kind.MISSED}, "warning", id="inhibited"),
    ],
)
async def test_what_is_kept_quiet_stays_the_alert_that_was_told(
    world: World, quiet: dict[str, Any], severity: str
) -> None:
    world.senders["am"] = am = FakeRepeater(during=world.open_ones.clear)
    world.open("am", severity=policies.Severity.CRITICAL, **quiet)
    await world.once()
    said = [body["incident"]["severity"] for bodies in am.told for body in bodies]
    assert said == [severity] * 2  # open, and once more ended


@pytest.mark.parametrize("is_same", [True, False], ids=["the-same", "another"])
async def test_a_run_is_told_again_only_while_the_incident_is_about_it(
    world: World, *, is_same: bool
) -> None:
    world.senders["am"] = am = FakeRepeater()
    run = payloads.failed("disk full")
    told = payloads.payload(execution=run) | {"lastRuns": [{"status": "failed"}]}
    told |= {"changes": setups.changed()}
    world.open("am", told=told, execution_id=run.id if is_same else uuid4())
    await world.once()
    ((body,),) = am.told
    assert (body["execution"], body["lastRuns"], body["changes"]) == (
        (told["execution"], told["lastRuns"], told["changes"]) if is_same else (None, [], None)
    )
    assert body["advice"] == reasons.REASONS["Error"].action


async def test_without_such_a_channel_nothing_is_read(world: World) -> None:
    await world.once()
    assert world.reads == 0


async def test_what_ended_meanwhile_is_ended_once_more(world: World) -> None:
    world.senders["am"] = am = FakeRepeater(during=world.open_ones.clear)
    world.open("am")
    await world.once()
    (opened,), (ended,) = am.told
    assert opened["incident"]["status"] == "open"
    assert ended["incident"]["status"] == "resolved"
    assert ended["incident"]["id"] == opened["incident"]["id"]


@pytest.mark.parametrize(
    ("sender", "error"),
    [
        pytest.param(FakeRepeater(REFUSED), "am answered 404 Not Found", id="refused"),
        pytest.param(errors.InvalidSpec("SecretNotFound", "no Secret"), "no Secret", id="secret"),
        pytest.param(errors.ClusterUnavailable("away"), "away", id="cluster"),
        pytest.param(KeyError("hush"), "internal error: KeyError", id="ours"),
    ],
)
async def test_a_failure_is_shown_and_is_no_refusal_of_a_message(
    world: World, sender: ports.Sender | Exception, error: str
) -> None:
    world.senders |= {"broken": sender, "good": (good := FakeRepeater())}
    world.open("broken")
    world.open("good")
    await world.once()
    assert world.reports == [("broken", ports.Delivery(delivered=False, error=error))]
    assert len(good.told) == 1


@pytest.mark.parametrize("sender", [None, OnlySender()], ids=["deleted", "of-another-kind"])
async def test_a_channel_that_changed_meanwhile_is_left_alone(
    world: World, sender: ports.Sender
) -> None:
    world.senders["am"] = sender
    world.open("am")
    await world.once()
    assert world.reports == []


async def test_each_channel_is_told_what_it_was_told_of(world: World) -> None:
    world.senders |= {"one": (one := FakeRepeater()), "two": (two := FakeRepeater())}
    world.open("one", kind=policies.Kind.LATE)
    world.open("two")
    world.open("two")
    await world.once()
    assert [len(bodies) for bodies in one.told] == [1]
    assert [len(bodies) for bodies in two.told] == [2]

"""The operator is stopped while slots pass, and what became of them is told when it is back.

What was measured of the two nearest products, side by side in one absence: slots that ran, slots
that a quota blocked and blocks still, and slots that it blocked until a moment before the return.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from rollcall.cluster import client
from support import heard, outages
from support import kube as kubes
from support import ledger as ledgers

NAME = "job"
PASSED = 3  # slots that a quota blocks meanwhile; the next one is free again, or not
# As tight as can be, so that nothing is kept quiet by being late.
SPEC = {"startingDeadlineSeconds": 15, "rules": {"late": {"warning": "10s"}}}
SECONDS = 5.0  # from the moment at which Rollcall is ready again until it has told


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """The slots that passed meanwhile, and when all was ready again."""

    slots: Sequence[datetime]
    back_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Three namespaces, each with a job."""

    fine: kubes.Place
    still: kubes.Place  # blocked until after the return
    briefly: kubes.Place  # blocked until a moment before it

    @property
    def all(self) -> tuple[kubes.Place, ...]:
        """Return all places."""
        return self.fine, self.still, self.briefly

    async def begin(self, ledger: ledgers.Ledger) -> None:
        """Let each job run once."""
        for place in self.all:
            await place.apply_job(NAME, **SPEC)
        for place in self.all:
            assert (await ledger.ended(place, NAME, 150)).status == "succeeded"

    async def pass_by(self, system: outages.System) -> Absence:
        """Stop the operator for four slots."""
        async with system.without("operator"):
            blocked = [self.still, self.briefly]
            for place in blocked:
                await place.forbid("count/jobs.batch")
            first = kubes.next_slot(ahead=2)
            slots = [first + number * kubes.MINUTE for number in range(PASSED + 1)]
            await _until(slots[-1], before=10)
            await self.briefly.allow()
            for place in (self.fine, self.briefly):
                await _ran(place, slots[-1])
        return Absence(slots=slots, back_at=datetime.now(UTC))


@pytest.fixture
async def scene(kube: client.KubeClient, image: str) -> AsyncIterator[Scene]:
    """Return three namespaces of the test's own."""
    async with AsyncExitStack() as stack:
        fine, still, briefly = [
            await stack.enter_async_context(kubes.own(kube, image)) for _ in range(3)
        ]
        yield Scene(fine=fine, still=still, briefly=briefly)


@pytest.mark.timeout(900)
async def test_what_a_quota_blocked_while_the_operator_was_stopped_is_told_and_nothing_else(
    scene: Scene, receiver: kubes.Receiver, system: outages.System, ledger: ledgers.Ledger
) -> None:
    await scene.begin(ledger)
    absence = await scene.pass_by(system)

    opened, resolved = [("missed", step, "critical") for step in ("opened", "resolved")]
    await heard.exactly(receiver, scene.still, NAME, [opened], SECONDS)
    await heard.exactly(receiver, scene.briefly, NAME, [opened, resolved], SECONDS)
    now, past = [
        (await receiver.of(place, NAME))[0]["incident"] for place in (scene.still, scene.briefly)
    ]
    assert {now["reason"], past["reason"]} == {"QuotaExceeded"}
    assert "quota none is used up" in now["message"]
    assert past["evidence"]["count"] == PASSED
    assert past["message"].startswith("while Rollcall could not see, 3 runs did not start")

    *blocked, free = absence.slots
    assert await _verdicts(scene.briefly, ledger, absence) == [
        *((slot, "missed", "QuotaExceeded") for slot in blocked),
        (free, "succeeded", "CompletionsReached"),
    ]
    assert await _verdicts(scene.fine, ledger, absence) == [
        (slot, "succeeded", "CompletionsReached") for slot in absence.slots
    ]

    await scene.still.allow()
    await heard.exactly(receiver, scene.still, NAME, [opened, resolved], 120)
    # The last slot could still start when the quota was lifted.
    missed = (await _verdicts(scene.still, ledger, absence))[:PASSED]
    assert missed == [(slot, "missed", "QuotaExceeded") for slot in blocked]
    # Minutes later nothing has been added, and of the job that ran nothing was ever told.
    assert await heard.steps(receiver, scene.briefly, NAME) == [opened, resolved]
    assert await heard.steps(receiver, scene.fine, NAME) == []


async def _until(at: datetime, *, before: float) -> None:
    await asyncio.sleep((at - datetime.now(UTC)).total_seconds() - before)


async def _ran(place: kubes.Place, slot: datetime) -> None:
    """Wait until the Job of a slot has succeeded."""
    path = place.group("batch/v1", "jobs", f"{NAME}-{int(slot.timestamp()) // 60}")

    async def complete() -> bool:
        return kubes.condition(await place.kube.get(path), "Complete").get("status") == "True"

    await kubes.eventually(complete, 60, what=f"the run of {place.name} at {slot:%H:%M}")


async def _verdicts(
    place: kubes.Place, ledger: ledgers.Ledger, absence: Absence
) -> list[tuple[datetime, str, str | None]]:
    rows = await ledger.rows(place, NAME)
    return [(row.slot_at, row.status, row.reason) for row in rows if row.slot_at in absence.slots]

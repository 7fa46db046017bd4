"""Kill -9 at every point of an alert's way, from the run that ended to the message recorded.

Each point has a process, a job and a cluster of its own. What one process left undone, the next one
that lives finishes, as soon as the lease of the dead is over.
"""

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from rollcall.core.executions import Status
from rollcall.services import deliver, observe
from rollcall.store import engine
from support import builders, mortal, receiver
from support.stories import HOUR, HOURLY, MINUTE, SLOT_AT

AT_ONCE = 4  # processes


@dataclass(frozen=True, slots=True)
class Chapter:
    """What is told, and how many steps the incident has taken by then."""

    told: str
    status: Status
    slot: int
    version: int


CHAPTERS = [
    Chapter("incident.opened", Status.FAILED, 0, 1),
    Chapter("incident.resolved", Status.SUCCEEDED, 1, 2),
]


@pytest.fixture
def hook() -> Iterator[receiver.Receiver]:
    with receiver.running() as running:
        yield running


class World:
    """One job, in a cluster of its own, and the processes that die over it or do not."""

    def __init__(
        self, store: engine.Database, dsn: str, hook: receiver.Receiver, files: Path, name: str
    ) -> None:
        self._store = store
        self._hook = hook
        self.job = mortal.job_of(name)
        self.walk = mortal.Walk(
            dsn=dsn,
            url=f"{hook.url}/{name}",
            cluster=name,
            status=Status.FAILED,
            slot=0,
            at=SLOT_AT + MINUTE,
            points=files / name,
        )

    async def begins(self, chapter: Chapter) -> None:
        """Bring the job to where the chapter begins."""
        async with self._store.transaction() as unit:
            await unit.registry.register(self.job)
            await unit.registry.applied(self.job.id, builders.applied(HOURLY))
        if chapter.status is Status.SUCCEEDED:
            assert await mortal.run(self.walk) == 0
        self.walk = replace(
            self.walk,
            status=chapter.status,
            slot=chapter.slot,
            at=SLOT_AT + chapter.slot * HOUR + MINUTE,
        )

    async def dies_at(self, point: int) -> str:
        """Let a process die there; returns the name of the point."""
        walk = replace(self.walk, dies_at=point)
        assert await mortal.run(walk) == -signal.SIGKILL
        return mortal.passed(walk)[-1]

    async def is_taken_over(self) -> None:
        """Let another process do all of it, as soon as the lease of the dead is over."""
        after = observe.SETTLE + deliver.LEASE + timedelta(seconds=1)
        assert await mortal.run(replace(self.walk, at=self.walk.at + after)) == 0

    @property
    def keys(self) -> list[str]:
        """The keys of what arrived of this job."""
        arrived = [one for one in self._hook.requests if one.path == f"/hook/{self.walk.cluster}"]
        return [one.headers["webhook-id"] for one in arrived]

    async def incident(self) -> str:
        """Return the id of the only one that there is."""
        [(found,)] = await self._rows("SELECT id::text FROM incidents WHERE cronjob_id = :job")
        return str(found)

    async def steps(self) -> list[tuple[str, ...]]:
        """Return the steps of the incident, oldest first."""
        return await self._rows(
            "SELECT transition FROM incident_transitions t JOIN incidents i ON i.id = incident_id"
            " WHERE cronjob_id = :job ORDER BY t.version"
        )

    async def messages(self) -> list[tuple[str, ...]]:
        """Return its messages with what became of them, oldest first."""
        return await self._rows(
            "SELECT type, status FROM notifications n JOIN incidents i ON i.id = incident_id"
            " WHERE cronjob_id = :job ORDER BY n.id"
        )

    async def _rows(self, query: str) -> list[tuple[str, ...]]:
        async with self._store.transaction() as unit:
            found = await unit.connection.execute(sa.text(query), {"job": self.job.id})
            return [tuple(row) for row in found]


@pytest.mark.timeout(300)  # a process dies, and another one lives, for each of some forty points
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.told)
async def test_a_kill_at_any_point_loses_nothing_and_costs_at_most_one_copy(
    store: engine.Database, dsn: str, hook: receiver.Receiver, tmp_path: Path, chapter: Chapter
) -> None:
    whole = World(store, dsn, hook, tmp_path, "whole")
    await whole.begins(chapter)
    assert await mortal.run(whole.walk) == 0
    points = mortal.passed(whole.walk)
    gate = asyncio.Semaphore(AT_ONCE)

    async def killed(number: int) -> int:
        """Return how many copies arrived."""
        async with gate:
            world = World(store, dsn, hook, tmp_path, f"killed-{number}")
            await world.begins(chapter)
            assert await world.dies_at(number) == points[number - 1]
            await world.is_taken_over()
        keys = [f"{await world.incident()}.{number + 1}" for number in range(chapter.version)]
        assert sorted(set(world.keys)) == keys
        told = ["opened", "resolved"][: chapter.version]
        assert await world.steps() == [(step,) for step in told]
        assert await world.messages() == [(f"incident.{step}", "delivered") for step in told]
        return world.keys.count(keys[-1])

    copies = await asyncio.gather(*map(killed, range(1, len(points) + 1)))
    sent, recorded = points.index("sent"), len(points) - 1
    assert copies == [2 if sent <= n < recorded else 1 for n in range(len(points))], points
    assert points.count("commit") == 5, points  # seen, due, looked at, claimed, recorded
    assert any(point.startswith("INSERT INTO notifications") for point in points), points
    assert points[recorded] == "committed"

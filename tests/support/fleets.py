"""Many jobs on a real Postgres, swept as the operator does, and the cluster as a whole."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import incidents, policies
from rollcall.core.executions import Attempt, JobObservation
from rollcall.services import observe, ports, sight, sweep, wide, wide_looks
from support import builders, herds
from support.stories import HOURLY, SECOND, Story


class Fleet:
    """A story of many jobs; `sweep` does what the operator does at a moment."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.jobs: list[ports.TrackedJob] = []
        self.sight = sight.Sight(
            store=story.store,
            evidence=story.cluster,
            inbox=self,
            resync=self._resync,
            cluster=builders.CLUSTER,
            clock=story.clock,
            changed=lambda _: None,
        )
        self.is_seen = True  # False: as the sight says, which looks at each sweep
        self.wide = wide.Wide(
            store=story.store,
            looks=wide_looks.Looks(
                directory=story.channels,
                quiet=story.quiet,
                cluster=builders.CLUSTER,
                defaults=policies.defaults(),
            ),
            eyes=self,
            cluster=builders.CLUSTER,
            clock=story.clock,
            wake=lambda: None,
        )
        story.wait = self.wide.wait
        self.sweeper = sweep.Sweep(
            store=story.store,
            evaluator=story.evaluator,
            beyond=self.wide,
            cluster=builders.CLUSTER,
            is_clear=self.is_clear,
            clock=story.clock,
        )

    def is_clear(self) -> bool:
        return self.is_seen or self.sight.is_clear()

    def why_blind(self) -> str | None:
        return self.sight.why_blind()

    def oldest(self) -> datetime | None:
        """Nothing waits to be written."""

    async def _resync(self) -> None:
        pass

    async def begin(self, count: int, **rhythm: object) -> None:
        """Register so many hourly jobs, as of before their first slot."""
        values = {name: getattr(HOURLY, name) for name in HOURLY.__slots__} | rhythm
        applied = builders.applied(builders.revision(**values))
        first = len(self.jobs)
        new = [
            builders.job(f"job-{number:04}", created_at=HOURLY.effective_from)
            for number in range(first, first + count)
        ]
        self.jobs += new
        self.story.clock.set(HOURLY.effective_from)
        async with self.story.store.transaction() as unit:
            await herds.register(unit, new, applied)
            await unit.sight.mark(builders.CLUSTER, None)

    async def see(self, jobs: Sequence[JobObservation], pods: Sequence[Attempt] = ()) -> None:
        """Record what was read of Jobs and Pods."""
        await observe.record(self.story.store, builders.CLUSTER, jobs, pods)

    async def sweep(self, at: datetime) -> None:
        """Look at the cluster, then sweep as often as is asked for at once."""
        self.story.clock.set(at)
        if not self.is_seen:
            await self.sight.try_to_look()
            self.story.sight = self.sight.seen()
        while await self.sweeper.sweep():
            pass

    async def go_on(self, until: datetime) -> None:
        """Sweep every ten seconds until then."""
        while self.story.clock() < until:
            await self.sweep(self.story.clock() + 10 * SECOND)

    async def of_cluster(self) -> dict[policies.Kind, incidents.Incident]:
        async with self.story.store.transaction() as unit:
            return dict(await unit.cluster_incidents.current(builders.CLUSTER))

    async def of_job(self, number: int) -> dict[policies.Kind, incidents.Incident]:
        async with self.story.store.transaction() as unit:
            current = await unit.incidents.current_of(self.jobs[number].id)
        return {kind: one for kind, one in current.items() if one.is_open}

    async def payloads(self) -> list[dict[str, Any]]:
        """Return the documents that wait to be sent, whatever may hold them back."""
        async with self.story.store.transaction() as unit:
            rows = await unit.outbox.claim("peek", 5000, timedelta(0), cluster=builders.CLUSTER)
        return [row.payload for row in rows]

"""One sweep over what is due."""

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from rollcall.core import errors
from rollcall.services import sweep
from support import clocks

FIRST, SECOND, THIRD = (UUID(int=number) for number in (1, 2, 3))


class World:
    """A store in which three jobs are due, and an evaluator that fails for some."""

    def __init__(self) -> None:
        self.clear = True
        self.store_away = False
        self.asked = 0
        self.are_due = [FIRST, SECOND, THIRD]
        self.looked: list[UUID] = []
        self.beyond: list[str] = []
        self.together: list[list[UUID]] = []
        self.ask_the_cluster: set[UUID] = set()
        self.postponed: dict[UUID, timedelta] = {}
        self.faults: dict[UUID, Exception] = {}
        self.fault_together: Exception | None = None
        self.clock = clocks.Clock()
        self.schedule = self
        self.sweep = sweep.Sweep(
            store=self,  # type: ignore[arg-type]  # only run is asked of it
            evaluator=self,
            beyond=self,
            cluster="test",
            is_clear=lambda: self.clear,
            clock=self.clock,
        )

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> object:
        return await work(self)

    async def due(self, cluster: str, limit: int) -> list[UUID]:
        assert (cluster, limit) == ("test", sweep.AT_ONCE)
        self.asked += 1
        return self.are_due

    async def evaluate_all(self, cronjob_ids: Collection[UUID]) -> list[UUID]:
        self.together.append(list(cronjob_ids))
        if self.fault_together:
            raise self.fault_together
        for cronjob_id in cronjob_ids:
            if cronjob_id in self.faults:
                raise self.faults[cronjob_id]
        alone = [one for one in cronjob_ids if one in self.ask_the_cluster]
        self.looked += [one for one in cronjob_ids if one not in alone]
        return alone

    async def evaluate(self, cronjob_id: UUID) -> None:
        self.looked.append(cronjob_id)
        if cronjob_id in self.faults:
            raise self.faults[cronjob_id]

    async def look_if_due(self) -> None:
        self.beyond.append("look")

    def expect(self, due: int) -> None:
        self.beyond.append(f"expect {due}")

    async def gathered(self, *, is_more: bool) -> None:
        self.beyond.append(f"gathered {len(self.looked)}, more: {is_more}")

    async def postpone(self, cronjob_id: UUID, by: timedelta) -> None:
        if self.store_away:
            raise errors.StoreUnavailable("no answer")
        self.postponed[cronjob_id] = by


async def test_everything_that_is_due_is_looked_at_once() -> None:
    world = World()
    await world.sweep.sweep()
    assert sorted(world.looked) == [FIRST, SECOND, THIRD]
    assert world.sweep.swept_at == world.clock()


async def test_causes_beyond_them_are_looked_for_before_and_after() -> None:
    world = World()
    await world.sweep.sweep()
    assert world.beyond == ["look", "expect 3", "gathered 3, more: False"]


async def test_while_nothing_is_seen_the_cluster_is_looked_at_all_the_same() -> None:
    world = World()
    world.clear = False
    await world.sweep.sweep()
    assert world.beyond == ["look"]


async def test_jobs_that_are_due_together_are_looked_at_together() -> None:
    world = World()
    world.are_due = [UUID(int=number) for number in range(sweep.TOGETHER + 1)]
    await world.sweep.sweep()
    assert [len(piece) for piece in world.together] == [sweep.TOGETHER, 1]
    assert sorted(world.looked) == world.are_due


async def test_a_job_for_which_the_cluster_is_read_is_looked_at_alone() -> None:
    world = World()
    world.ask_the_cluster = {SECOND}
    await world.sweep.sweep()
    assert world.looked == [FIRST, THIRD, SECOND]


async def test_what_fails_only_together_is_in_the_log_and_costs_no_look(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.fault_together = ValueError("two jobs that do not agree")
    await world.sweep.sweep()
    assert sorted(world.looked) == [FIRST, SECOND, THIRD]
    assert "two jobs that do not agree" in caplog.text


async def test_an_outage_is_told_by_each_look_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.fault_together = world.faults[FIRST] = errors.StoreUnavailable("down")
    await world.sweep.sweep()
    assert [record.getMessage() for record in caplog.records] == ["look postponed"]
    assert sorted(world.looked) == [FIRST, SECOND, THIRD]


async def test_while_blind_nothing_is_looked_at_and_no_sweep_is_claimed() -> None:
    world = World()
    world.clear = False
    await world.sweep.sweep()
    assert (world.asked, world.looked, world.sweep.swept_at) == (0, [], None)


async def test_a_job_that_cannot_be_evaluated_is_put_off_and_stops_no_other() -> None:
    world = World()
    world.faults[FIRST] = ValueError("a spec nobody thought of")
    await world.sweep.sweep()
    assert sorted(world.looked) == [FIRST, SECOND, THIRD]
    assert world.postponed == {FIRST: sweep.POISONED_FOR}


async def test_a_job_that_cannot_even_be_put_off_stops_no_other() -> None:
    world = World()
    world.faults[FIRST] = ValueError("a spec nobody thought of")
    world.store_away = True
    await world.sweep.sweep()
    assert sorted(world.looked) == [FIRST, SECOND, THIRD]


async def test_a_dependency_that_is_away_does_not_put_a_job_off() -> None:
    world = World()
    world.faults[SECOND] = errors.ClusterUnavailable("no answer")
    await world.sweep.sweep()
    assert sorted(world.looked) == [FIRST, SECOND, THIRD]
    assert world.postponed == {}


async def test_as_much_as_fits_into_one_sweep_means_that_more_may_be_due() -> None:
    world = World()
    assert not await world.sweep.sweep()
    world.are_due = [UUID(int=number) for number in range(sweep.AT_ONCE)]
    assert await world.sweep.sweep()


async def test_after_a_look_that_failed_the_next_sweep_takes_its_time() -> None:
    world = World()
    world.are_due = [UUID(int=number) for number in range(sweep.AT_ONCE)]
    world.faults[FIRST] = errors.ClusterUnavailable("no answer")
    assert not await world.sweep.sweep()

"""The leader's upkeep: in which order, how often, and what a failure does."""

import asyncio
from collections.abc import Sequence
from datetime import date

import pytest

from rollcall.core import errors
from rollcall.services import upkeep


class Keeper:
    """Notes what it is asked for; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[str] = []
        self.failures = failures

    async def make_partitions(self) -> Sequence[str]:
        self.asked.append("partitions")
        if self.failures:
            self.failures -= 1
            raise errors.StoreUnavailable("away")
        return []

    async def roll_up(self) -> Sequence[date]:
        self.asked.append("rollups")
        return [date(2026, 3, 1)]

    async def retire(self, weeks: int) -> Sequence[str]:
        self.asked.append(f"retire {weeks}")
        return []


ONCE = ["partitions", "rollups", "retire 13"]


async def test_partitions_come_first_and_nothing_goes_before_it_is_rolled_up() -> None:
    keeper = Keeper()

    await upkeep.Upkeep(store=keeper, retention_weeks=13).once()

    assert keeper.asked == ONCE


async def pauses_of(keeper: Keeper, monkeypatch: pytest.MonkeyPatch, rounds: int) -> list[float]:
    """Let it run and return how long it slept each time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == rounds:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await upkeep.Upkeep(store=keeper, retention_weeks=13).run()
    return pauses


async def test_it_comes_round_every_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()

    assert await pauses_of(keeper, monkeypatch, rounds=2) == [upkeep.EVERY] * 2
    assert keeper.asked == ONCE * 2


async def test_what_fails_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(failures=1)

    assert await pauses_of(keeper, monkeypatch, rounds=2) == [upkeep.RETRY, upkeep.EVERY]
    assert keeper.asked == ["partitions", *ONCE]

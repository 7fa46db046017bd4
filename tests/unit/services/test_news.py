"""Looks are asked for where reports bring news: at once, and then not too often."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TypeVar, cast
from uuid import UUID

import pytest

from rollcall.core import errors
from rollcall.services import news, ports
from support import builders

T = TypeVar("T")
NOW = builders.SLOT_AT
JOB, OTHER = builders.job().id, builders.job("other").id


class Store:
    """Keeps for when looks were asked; `fault` is raised once."""

    def __init__(self) -> None:
        self.asked: list[tuple[UUID, float]] = []
        self.fault: Exception | None = None
        self.transactions = 0

    async def run(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        self.transactions += 1
        fault, self.fault = self.fault, None
        if fault:
            raise fault

        async def look_at(times: Mapping[UUID, datetime]) -> None:
            await asyncio.sleep(0)
            seconds = {job: (at - NOW) / timedelta(seconds=1) for job, at in times.items()}
            self.asked.extend(seconds.items())

        unit = SimpleNamespace(now=NOW, schedule=SimpleNamespace(look_at=look_at))
        return await work(cast("ports.Transaction", unit))


class Teller(news.News):
    """With a clock that stands still until it is moved."""

    def __init__(self, store: Store) -> None:
        self.seconds = 1000.0
        super().__init__(cast("ports.Store", store), clock=lambda: self.seconds)

    async def say(self, *jobs: UUID) -> None:
        self.tell(jobs)
        await self.close()


async def test_the_first_news_asks_for_a_look_now() -> None:
    store = Store()
    await Teller(store).say(OTHER, JOB)
    assert store.asked == [(job, 0) for job in sorted((JOB, OTHER))]


async def test_no_news_is_no_transaction() -> None:
    store = Store()
    store.fault = ValueError("was asked")
    teller = Teller(store)
    await teller.say()
    assert store.fault is not None


async def test_further_news_is_looked_at_once_and_later() -> None:
    store = Store()
    teller = Teller(store)
    for _ in range(40):
        await teller.say(JOB)
        teller.seconds += 0.1
    assert store.asked == [(JOB, 0), (JOB, pytest.approx(news.EACH - 0.1))]


async def test_under_steady_news_there_is_a_look_each_few_seconds() -> None:
    store = Store()
    teller = Teller(store)
    at = []
    for _ in range(300):
        before = len(store.asked)
        await teller.say(JOB)
        at += [teller.seconds + delay for _, delay in store.asked[before:]]
        teller.seconds += 0.1
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert gaps == pytest.approx([news.EACH] * len(gaps))
    assert len(gaps) >= 5


async def test_news_that_comes_while_one_asks_is_not_forgotten() -> None:
    store = Store()
    teller = Teller(store)
    teller.tell([JOB])
    await asyncio.sleep(0)
    teller.tell([OTHER])
    await teller.close()
    assert [job for job, _ in store.asked] == [JOB, OTHER]


async def test_news_that_comes_shortly_after_another_is_asked_for_together() -> None:
    store = Store()
    teller = Teller(store)
    await teller.say(JOB)
    others = [builders.job(f"job-{number}").id for number in range(9)]
    for job in others:
        teller.tell([job])
        await asyncio.sleep(0)
    await teller.close()
    assert store.transactions == 2
    assert {job for job, _ in store.asked} == {JOB, *others}


async def test_an_outage_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.fault = errors.StoreUnavailable("down")
    teller = Teller(store)
    await teller.say(JOB)
    assert [line.getMessage() for line in caplog.records] == ["looks not asked for"]
    await teller.say(OTHER)
    assert store.asked == [(OTHER, 0)]

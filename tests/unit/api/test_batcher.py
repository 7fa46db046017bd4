"""Group commit: one transaction for many, an answer only after COMMIT."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest

from rollcall.core import errors
from rollcall.services import ingest, ports

T = TypeVar("T")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Store:
    """Keeps batches at COMMIT, which waits for `gate`; cannot keep the pods in `poison`."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []
        self.transactions = 0
        self.at: list[datetime] = []
        self.poison: set[str] = set()
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        batch: list[tuple[str, datetime]] = []
        self.transactions += 1

        async def heard(beats: Sequence[tuple[str, datetime]]) -> None:
            self.writing.set()
            if self.poison & {uid for uid, _ in beats}:
                raise ValueError("cannot be kept")
            batch.extend(beats)

        unit = SimpleNamespace(now=NOW, attempts=SimpleNamespace(heard=heard))
        yield cast("ports.Transaction", unit)
        await self.gate.wait()
        if self.fault:
            raise self.fault
        self.kept.append([uid for uid, _ in batch])
        self.at.extend(at for _, at in batch)

    async def run(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        async with self.transaction() as unit:
            return await work(unit)


async def settled(batcher: ingest.Batcher, *pods: str) -> list[BaseException | None]:
    return await asyncio.gather(*map(batcher.hear, pods), return_exceptions=True)


async def test_what_comes_together_is_one_transaction_and_one_row_per_pod() -> None:
    store, batches = Store(), []
    batcher = ingest.Batcher(store, on_batch=lambda seconds, size: batches.append((seconds, size)))
    assert await settled(batcher, "a", "b", "a", "c", "a") == [None] * 5
    assert store.kept == [["a", "b", "c"]]
    assert [size for _, size in batches] == [3]
    assert all(0 <= seconds < 10 for seconds, _ in batches)


async def test_the_time_is_the_databases() -> None:
    store = Store()
    await settled(ingest.Batcher(store), "a")
    assert NOW - timedelta(seconds=10) < store.at[0] <= NOW


async def test_nobody_is_answered_before_commit() -> None:
    store = Store()
    store.gate.clear()
    batcher = ingest.Batcher(store)
    heard = asyncio.create_task(batcher.hear("a"))
    await store.writing.wait()
    await asyncio.wait({heard}, timeout=0.05)
    assert not heard.done()
    store.gate.set()
    await heard
    assert store.kept == [["a"]]


async def test_what_comes_during_a_transaction_is_the_next_one() -> None:
    store = Store()
    store.gate.clear()
    batcher = ingest.Batcher(store)
    first = asyncio.create_task(batcher.hear("a"))
    await store.writing.wait()
    later = [asyncio.create_task(batcher.hear(uid)) for uid in ("a", "b")]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *later)
    assert store.kept == [["a"], ["a", "b"]]


async def test_large_crowds_are_cut_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH", 10)
    monkeypatch.setattr(ingest, "GATHER", 30.0)  # only a full batch, or the end, may start one
    store = Store()
    batcher = ingest.Batcher(store)
    assert await settled(batcher, *map(str, range(30))) == [None] * 30
    assert [len(batch) for batch in store.kept] == [10, 10, 10]


async def test_when_the_store_fails_all_are_refused_and_nothing_is_kept() -> None:
    store = Store()
    store.fault = errors.StoreUnavailable("down")
    batcher = ingest.Batcher(store)
    outcomes = await settled(batcher, "a", "b")
    assert [getattr(one, "retry_after", None) for one in outcomes] == [5, 5]
    store.fault = None
    assert await settled(batcher, "c") == [None]
    assert store.kept == [["c"]]


async def test_who_came_during_a_failing_transaction_is_refused_with_it() -> None:
    store = Store()
    store.gate.clear()
    store.fault = errors.StoreUnavailable("down")
    batcher = ingest.Batcher(store)
    first = asyncio.create_task(batcher.hear("a"))
    await store.writing.wait()
    second = asyncio.create_task(batcher.hear("b"))
    await asyncio.sleep(0)
    store.gate.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in outcomes] == [errors.StoreUnavailable] * 2
    assert store.transactions == 1


async def test_a_poisoned_row_costs_only_itself() -> None:
    store = Store()
    store.poison = {"d"}
    outcomes = await settled(ingest.Batcher(store), *"abcdefg")
    assert [type(one) for one in outcomes] == [type(None)] * 3 + [ValueError] + [type(None)] * 3
    assert sorted(uid for batch in store.kept for uid in batch) == list("abcefg")


async def test_too_many_waiting_are_turned_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MOST_WAITING", 3)
    store = Store()
    batcher = ingest.Batcher(store)
    outcomes = await settled(batcher, "a", "b", "c", "d")
    assert [type(one) for one in outcomes] == [type(None)] * 3 + [errors.StoreUnavailable]
    assert await settled(batcher, "d") == [None]


async def test_who_gives_up_leaves_the_others_alone() -> None:
    store = Store()
    store.gate.clear()
    batcher = ingest.Batcher(store)
    impatient = asyncio.create_task(batcher.hear("a"))
    patient = asyncio.create_task(batcher.hear("a"))
    await store.writing.wait()
    impatient.cancel()
    store.gate.set()
    await patient
    await batcher.close()
    assert store.kept == [["a"]]

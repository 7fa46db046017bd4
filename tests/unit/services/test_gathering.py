"""One reading for all who ask at about the same time."""

import asyncio
from collections.abc import Collection

import pytest

from rollcall.core import errors
from rollcall.services import gathering


class Source:
    """Lengths of words; `readings` lists what was asked for, `gate` holds answers back."""

    def __init__(self) -> None:
        self.readings: list[list[str]] = []
        self.reading = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def read(self, keys: Collection[str]) -> dict[str, int]:
        self.readings.append(sorted(keys))
        self.reading.set()
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return {key: len(key) for key in keys}


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def gathered(source: Source) -> gathering.Gathering[str, int]:
    return gathering.Gathering(source.read, wait=0, most=3)


async def test_who_asks_at_the_same_time_shares_a_reading(
    source: Source, gathered: gathering.Gathering[str, int]
) -> None:
    answers = await asyncio.gather(*map(gathered.get, ["one", "three", "eleven", "one"]))
    assert answers == [3, 5, 6, 3]
    assert source.readings == [["eleven", "one", "three"]]


async def test_who_asks_later_gets_a_newer_reading(
    source: Source, gathered: gathering.Gathering[str, int]
) -> None:
    assert await gathered.get("one") == await gathered.get("one")
    assert source.readings == [["one"], ["one"]]


async def test_a_reading_that_fails_fails_for_all_who_asked_and_nobody_else(
    source: Source, gathered: gathering.Gathering[str, int]
) -> None:
    source.fault = errors.StoreUnavailable("away")
    answers = await asyncio.gather(*map(gathered.get, ["one", "two"]), return_exceptions=True)
    assert answers == [source.fault, source.fault]
    source.fault = None
    assert await gathered.get("two") == 3


async def test_who_gives_up_takes_no_answer_from_the_others(
    source: Source, gathered: gathering.Gathering[str, int]
) -> None:
    hasty = asyncio.create_task(gathered.get("one"))
    patient = asyncio.create_task(gathered.get("one"))
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient == 3
    assert source.readings == [["one"]]


async def test_who_comes_while_one_reads_shares_the_next_reading(source: Source) -> None:
    gathered = gathering.Gathering(source.read, wait=0, most=3)
    source.gate.clear()
    first = asyncio.create_task(gathered.get("one"))
    await source.reading.wait()
    others = [asyncio.create_task(gathered.get(key)) for key in ("two", "three", "two")]
    for _ in range(5):  # as often as they need to have asked, and more
        await asyncio.sleep(0)
    assert source.readings == [["one"]]
    source.gate.set()
    assert [await task for task in (first, *others)] == [3, 3, 5, 3]
    assert source.readings == [["one"], ["three", "two"]]


async def test_a_very_large_crowd_is_several_readings(
    source: Source, gathered: gathering.Gathering[str, int]
) -> None:
    answers = await asyncio.gather(*(gathered.get("x" * length) for length in range(1, 8)))
    assert answers == list(range(1, 8))
    assert [len(keys) for keys in source.readings] == [3, 3, 1]


async def test_a_reading_that_fails_does_not_end_the_next_one(source: Source) -> None:
    gathered = gathering.Gathering(source.read, wait=0, most=3)
    source.gate.clear()
    source.fault = errors.StoreUnavailable("away")
    first = asyncio.create_task(gathered.get("one"))
    await source.reading.wait()
    second = asyncio.create_task(gathered.get("three"))
    source.gate.set()
    with pytest.raises(errors.StoreUnavailable):
        await first
    with pytest.raises(errors.StoreUnavailable):
        await second  # asked by itself: the fault lasts
    assert source.readings == [["one"], ["three"]]

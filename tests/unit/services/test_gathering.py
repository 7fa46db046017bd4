"""One reading for all who ask at about the same time."""

import asyncio
from collections.abc import Collection

import pytest

from rollcall.core import errors
from rollcall.services import gathering


class Source:
    """Numbers by their words; `read` lists what was asked for."""

    def __init__(self) -> None:
        self.readings: list[list[str]] = []
        self.fault: Exception | None = None

    async def read(self, keys: Collection[str]) -> dict[str, int]:
        self.readings.append(sorted(keys))
        if self.fault:
            raise self.fault
        return {key: len(key) for key in keys if key != "absent"}


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def gathered(source: Source) -> gathering.Gathering[str, int]:
    return gathering.Gathering(source.read)


async def test_who_asks_at_the_same_time_shares_a_reading(
    source: Source, gathered: gathering.Gathering[str, int]
) -> None:
    answers = await asyncio.gather(*map(gathered.get, ["one", "three", "absent", "one"]))
    assert answers == [3, 5, None, 3]
    assert source.readings == [["absent", "one", "three"]]


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

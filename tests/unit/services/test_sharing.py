"""One piece of work for all who want its outcome."""

import asyncio

import pytest

from rollcall.services import sharing


class Work:
    """Ends when the test says so."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self._fault = fault

    async def __call__(self) -> int:
        self.begun += 1
        await self.go.wait()
        if self._fault:
            raise self._fault
        return self.begun


def wanted(of: sharing.Sharing[str, int], work: Work, count: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(of.get("key", work)) for _ in range(count)]


async def test_who_comes_meanwhile_shares_and_who_comes_later_has_it_done_anew() -> None:
    of, work = sharing.Sharing[str, int]("test"), Work()
    tasks = wanted(of, work, 3)
    await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert await of.get("key", work) == 2


async def test_a_failure_is_that_of_all_who_waited() -> None:
    of, work = sharing.Sharing[str, int]("test"), Work(ValueError("no"))
    tasks = wanted(of, work, 2)
    await asyncio.sleep(0)
    work.go.set()
    for task in tasks:
        with pytest.raises(ValueError, match="no"):
            await task


async def test_who_gives_up_ends_nothing_for_others() -> None:
    of, work = sharing.Sharing[str, int]("test"), Work()
    first, second = wanted(of, work, 2)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    work.go.set()
    assert await second == 1


async def test_closing_waits_for_what_is_under_way_also_when_it_fails() -> None:
    of, work = sharing.Sharing[str, int]("test"), Work(ValueError("no"))
    (task,) = wanted(of, work, 1)
    await asyncio.sleep(0)
    task.cancel()
    closing = asyncio.create_task(of.close())
    await asyncio.sleep(0)
    assert not closing.done()
    work.go.set()
    await closing

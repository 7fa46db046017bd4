"""Time-outs of one length for many."""

import asyncio
import time

from rollcall.api import deadlines

SOON = 0.05


async def test_what_takes_too_long_is_over_in_time() -> None:
    over = asyncio.Queue[str]()
    limit = deadlines.Deadlines[str](SOON, over.put_nowait)
    limit.begin("late")
    before = time.monotonic()
    assert await over.get() == "late"
    assert SOON <= time.monotonic() - before < 5
    assert not limit.end("late")


async def test_what_ends_in_time_is_never_over() -> None:
    over: list[str] = []
    limit = deadlines.Deadlines[str](SOON, over.append)
    for name in ("a", "b"):
        limit.begin(name)
        assert limit.end(name)
    await asyncio.sleep(3 * SOON)
    assert over == []


async def test_each_has_its_own_time() -> None:
    over = asyncio.Queue[int]()
    began = time.monotonic()
    limit = deadlines.Deadlines[int](0.3, over.put_nowait)
    for number in range(3):
        limit.begin(number)
        await asyncio.sleep(0.1)
    for number in range(3):
        assert await over.get() == number
        assert 0.1 * number + 0.29 <= time.monotonic() - began < 5


async def test_one_whose_end_fails_keeps_no_other_waiting() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    over = asyncio.Queue[int]()

    def end(number: int) -> None:
        over.put_nowait(number)
        if number == 1:
            raise ValueError(number)

    limit = deadlines.Deadlines[int](SOON, end)
    for number in (1, 2, 3):
        limit.begin(number)
    async with asyncio.timeout(5):
        assert [await over.get() for _ in range(3)] == [1, 2, 3]

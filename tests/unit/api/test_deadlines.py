"""Time-outs of one length for many tasks."""

import asyncio
import time

import pytest

from rollcall.api import deadlines

SOON = 0.05


async def late(limit: deadlines.Deadlines) -> None:
    """Wait longer than the limit."""
    with limit.one():
        await asyncio.sleep(60)


async def test_what_takes_too_long_ends_in_time() -> None:
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        await late(deadlines.Deadlines(SOON))
    assert SOON <= time.monotonic() - before < 5


async def test_what_ends_in_time_is_left_alone() -> None:
    limit = deadlines.Deadlines(SOON)
    for _ in range(3):
        with limit.one():
            await asyncio.sleep(0)
    await asyncio.sleep(3 * SOON)
    with limit.one():
        await asyncio.sleep(0)


async def test_each_has_its_own_time() -> None:
    limit = deadlines.Deadlines(0.3)
    began = time.monotonic()
    ends = []

    async def one(after: float) -> None:
        await asyncio.sleep(after)
        with pytest.raises(TimeoutError):
            await late(limit)
        ends.append(time.monotonic() - began)

    await asyncio.gather(*(one(after) for after in (0.0, 0.1, 0.2)))
    for end, after in zip(ends, (0.0, 0.1, 0.2), strict=True):
        assert after + 0.29 <= end < after + 5
    assert ends == sorted(ends)


async def test_a_task_that_is_cancelled_is_cancelled() -> None:
    task = asyncio.create_task(late(deadlines.Deadlines(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_before_the_end_is_told_as_it_is() -> None:
    with pytest.raises(ValueError, match="wrong"), deadlines.Deadlines(SOON).one():
        raise ValueError("wrong")


async def test_after_its_end_a_task_goes_on_and_can_be_cancelled() -> None:
    limit = deadlines.Deadlines(SOON)

    async def twice() -> None:
        with pytest.raises(TimeoutError):
            await late(limit)
        await asyncio.sleep(60)

    task = asyncio.create_task(twice())
    await asyncio.sleep(3 * SOON)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_outer_limit_that_is_reached_with_it_counts_as_well() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON):
            await late(deadlines.Deadlines(60))


def test_outside_a_task_there_is_nothing_to_end() -> None:
    loop = asyncio.new_event_loop()
    limit = deadlines.Deadlines(SOON)

    def enter() -> None:
        with pytest.raises(RuntimeError, match="only a task"), limit.one():
            pass
        loop.stop()

    loop.call_soon(enter)
    loop.run_forever()
    loop.close()

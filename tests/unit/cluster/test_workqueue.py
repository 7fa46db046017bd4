"""The queue of keys, on a loop whose time is moved by hand."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from rollcall.cluster import workqueue
from rollcall.core import errors
from support.loops import play


@asynccontextmanager
async def running(queue: workqueue.WorkQueue[str]) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_key_added_many_times_is_worked_on_once() -> None:
    done: list[str] = []

    async def handle(key: str) -> None:
        done.append(key)

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle)
        for _ in range(3):
            queue.add("a")
            queue.add("b")
        async with running(queue):
            await asyncio.sleep(5)
        assert sorted(done) == ["a", "b"]
        assert len(queue) == 0

    play(scenario)


def test_a_key_added_while_it_is_worked_on_comes_again_and_never_twice_at_once() -> None:
    running_now, most, runs = 0, 0, 0

    async def handle(_key: str) -> None:
        nonlocal running_now, most, runs
        running_now += 1
        most = max(most, running_now)
        runs += 1
        await asyncio.sleep(1)
        running_now -= 1

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=4)
        async with running(queue):
            queue.add("a")
            await asyncio.sleep(0.5)
            queue.add("a")
            queue.add("a")
            await asyncio.sleep(5)
        assert (most, runs) == (1, 2)

    play(scenario)


def test_different_keys_are_worked_on_side_by_side() -> None:
    most, busy = 0, 0

    async def handle(_key: str) -> None:
        nonlocal most, busy
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(1)
        busy -= 1

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=3)
        async with running(queue):
            for key in "abcdef":
                queue.add(key)
            await asyncio.sleep(10)
        assert most == 3

    play(scenario)


def test_failures_back_off_longer_each_time_and_success_resets() -> None:
    times: list[float] = []

    async def handle(_key: str) -> None:
        times.append(now())
        if len(times) not in {5, 6}:
            raise errors.Conflict("somebody was faster")

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        async with running(queue):
            queue.add("a")
            await asyncio.sleep(60)
            queue.add("a")  # succeeds
            await asyncio.sleep(1)
            queue.add("a")  # fails again: a first failure
            await asyncio.sleep(1.5)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        for gap, base in zip(gaps, (1, 2, 4, 8), strict=False):
            assert base <= gap <= base * 1.3
        assert len(times) == 8
        assert 1 <= gaps[6] <= 1.3

    play(scenario)


def test_the_longest_back_off_is_five_minutes() -> None:
    times: list[float] = []

    async def handle(_key: str) -> None:
        times.append(now())
        raise errors.Conflict("always")

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        async with running(queue):
            queue.add("a")
            await asyncio.sleep(4 * 3600)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert max(gaps) <= 300 * 1.21
        assert len(times) > 35

    play(scenario)


@pytest.mark.parametrize(("asked", "waited"), [(40.0, 40), (9999.0, 300)], ids=["minute", "hours"])
def test_a_server_that_asks_for_a_pause_gets_it_within_reason(asked: float, waited: int) -> None:
    times: list[float] = []

    async def handle(_key: str) -> None:
        times.append(now())
        if len(times) == 1:
            raise errors.ClusterUnavailable("slow down", retry_after=asked)

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        async with running(queue):
            queue.add("a")
            await asyncio.sleep(1000)
        assert waited <= times[1] - times[0] <= waited * 1.3

    play(scenario)


def test_one_bad_key_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def handle(key: str) -> None:
        if key == "bad":
            raise KeyError(key)
        done.append(key)

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        async with running(queue):
            queue.add("bad")
            queue.add("good")
            await asyncio.sleep(3)
        assert done == ["good"]

    play(scenario)
    assert "KeyError" in caplog.text


def test_what_the_handler_returns_is_when_the_key_comes_back() -> None:
    times: list[float] = []

    async def handle(_key: str) -> timedelta | None:
        times.append(now())
        return timedelta(seconds=30)

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        async with running(queue):
            queue.add("a")
            await asyncio.sleep(65)
        assert [round(at - times[0]) for at in times] == [0, 30, 60]

    play(scenario)


def test_of_several_delays_the_earliest_wins() -> None:
    times: list[float] = []

    async def handle(_key: str) -> None:
        times.append(now())

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        began = now()
        async with running(queue):
            queue.add_after("a", timedelta(seconds=30))
            queue.add_after("a", timedelta(seconds=5))
            queue.add_after("a", timedelta(seconds=60))
            await asyncio.sleep(100)
        assert [round(at - began) for at in times] == [5]

    play(scenario)


def test_the_longest_wait_is_told() -> None:
    async def handle(_key: str) -> None: ...

    async def scenario() -> None:
        queue = workqueue.WorkQueue(handle=handle, workers=1)
        assert queue.oldest() == 0
        queue.add("a")
        queue.add_after("b", timedelta(seconds=100))
        await asyncio.sleep(7)
        assert round(queue.oldest()) == 7

    play(scenario)

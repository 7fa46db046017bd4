"""Turns at what there is little of."""

import asyncio

import pytest

from rollcall.core import errors
from rollcall.services import turns


def make(*, at_once: int = 2, waiting: int = 3, within: float = 0.05) -> turns.Turns:
    return turns.Turns(at_once=at_once, waiting=waiting, within=within, refusal="full")


class Users:
    """Each has its turn until the test lets it go."""

    def __init__(self, of: turns.Turns) -> None:
        self._of = of
        self.inside = 0
        self.go = asyncio.Event()

    async def use(self) -> None:
        async with self._of.one(retry_after=5):
            self.inside += 1
            await self.go.wait()
            self.inside -= 1


async def test_no_more_than_so_many_are_in_and_all_come_to_their_turn() -> None:
    users = Users(make(within=10))
    tasks = [asyncio.create_task(users.use()) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert users.inside == 2
    users.go.set()
    await asyncio.gather(*tasks)
    assert users.inside == 0


async def test_who_waits_too_long_is_told_when_to_come_back() -> None:
    of = make()
    users = Users(of)
    inside = [asyncio.create_task(users.use()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(errors.Unavailable, match="full") as refused:
        await users.use()
    assert refused.value.retry_after == 5
    users.go.set()
    await asyncio.gather(*inside)
    await users.use()  # the turns are there again


async def test_nobody_waits_behind_too_many() -> None:
    users = Users(make(waiting=1, within=10))
    tasks = [asyncio.create_task(users.use()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(errors.Unavailable):
        await users.use()
    users.go.set()
    await asyncio.gather(*tasks)


async def test_who_gives_up_leaves_its_place_to_others() -> None:
    users = Users(make(at_once=1, waiting=1, within=10))
    inside = asyncio.create_task(users.use())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(users.use())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    following = asyncio.create_task(users.use())
    users.go.set()
    await asyncio.gather(inside, following)

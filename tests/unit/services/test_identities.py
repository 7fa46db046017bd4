"""Who pods are is asked in groups."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

from rollcall.core import errors
from rollcall.services import identities, ports
from support import builders, said

RUN = builders.execution()


class Store:
    """Knows all pods but `stranger`; answers when `gate` is open; `fault` is raised once."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.asking = asyncio.Event()
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        attempts = SimpleNamespace(identify=self.identify)
        yield cast("ports.Transaction", SimpleNamespace(now=builders.SLOT_AT, attempts=attempts))

    async def identify(self, pod_uids: Collection[str]) -> Mapping[str, ports.Identity]:
        self.asked.append(list(pod_uids))
        self.asking.set()
        await self.gate.wait()
        fault, self.fault = self.fault, None
        if fault:
            raise fault
        return {uid: said.identity(RUN, pod_uid=uid) for uid in pod_uids if uid != "stranger"}


async def ask(store: Store, *uids: str) -> list[identities.Seen | BaseException]:
    """Ask for the first, and for the others while that is asked."""
    known = identities.Identities(cast("ports.Store", store))
    first, *others = uids
    tasks = [asyncio.create_task(known.find(first))]
    await store.asking.wait()
    tasks += [asyncio.create_task(known.find(uid)) for uid in others]
    await asyncio.sleep(0)
    store.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_comes_while_one_asks_is_asked_for_together() -> None:
    store = Store()
    seen = await ask(store, "a", "b", "stranger", "b")
    assert store.asked == [["a"], ["b", "stranger"]]
    found = [one.identity and one.identity.pod_uid for one in seen
             if isinstance(one, identities.Seen)]  # fmt: skip
    assert found == ["a", "b", None, "b"]


async def test_a_very_large_crowd_is_several_groups() -> None:
    store = Store()
    crowd = [f"pod-{number}" for number in range(identities.GROUP + 1)]
    await ask(store, "a", *crowd)
    assert [len(group) for group in store.asked] == [1, identities.GROUP, 1]


async def test_a_failure_is_that_of_all_who_asked_and_of_nobody_else() -> None:
    store = Store()
    store.fault = errors.StoreUnavailable("down")
    first, second = await ask(store, "a", "b")
    assert isinstance(first, errors.StoreUnavailable)
    assert isinstance(second, identities.Seen)

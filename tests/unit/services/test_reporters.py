"""Pods that nobody knows are looked up in the cluster a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from rollcall.services import ports, reporters
from support import builders, said
from support import reporting as stand_ins

CROWD = 3 * reporters.MOST_DISCOVERED


class Lookup:
    """Finds nobody, and counts how many ask at a time."""

    def __init__(self) -> None:
        self.asking = self.most = self.asked = 0
        self.answers = asyncio.Event()

    async def find(self, _pod: reporters.Pod) -> reporters.Found | None:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        if self.asking == reporters.MOST_DISCOVERED:
            self.answers.set()  # nobody is answered before so many ask
        await self.answers.wait()
        await asyncio.sleep(0)
        self.asking -= 1
        return None


class Store:
    """Knows the pods in `known`; counts how often it is asked."""

    def __init__(self, **known: ports.Identity) -> None:
        self.known = known
        self.asked = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        async def identify(_pod_uids: Collection[str]) -> Mapping[str, ports.Identity]:
            self.asked += 1
            return self.known

        attempts = SimpleNamespace(identify=identify)
        yield cast("ports.Transaction", SimpleNamespace(now=builders.SLOT_AT, attempts=attempts))


async def test_a_crowd_of_unknown_pods_is_looked_up_a_few_at_a_time() -> None:
    crowd = {f"pod-{number}": stand_ins.caller(f"pod-{number}") for number in range(CROWD)}
    lookup = Lookup()
    known = reporters.Reporters(
        store=cast("ports.Store", Store()),
        reviewer=stand_ins.Reviewer(**crowd),
        lookup=lookup,
        cluster=builders.CLUSTER,
    )
    refused = await asyncio.gather(*map(known.identify, crowd), return_exceptions=True)
    assert {type(one) for one in refused} == {reporters.Forbidden}
    assert (lookup.asked, lookup.most) == (CROWD, reporters.MOST_DISCOVERED)


async def test_who_is_the_same_at_a_second_look_is_looked_at_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporters, "SPREAD", 0.0)
    run, now = builders.execution(builders.job()), [0.0]
    store = Store(pod=said.identity(run, pod_uid="pod"))
    known = reporters.Reporters(
        store=cast("ports.Store", store),
        reviewer=stand_ins.Reviewer(token=stand_ins.caller("pod")),
        lookup=Lookup(),
        cluster=builders.CLUSTER,
        clock=lambda: now[0],
    )

    async def identify(at: float) -> tuple[int, int]:
        now[0] = at
        return (await known.identify("token")).attempt, store.asked

    assert await identify(0) == (1, 1)
    assert await identify(reporters.KNOWN_FOR) == (1, 1)
    store.known["pod"] = said.identity(run, pod_uid="pod", attempt=2)  # an earlier one turned up
    assert await identify(61) == (2, 2)
    assert await identify(121) == (2, 2)
    assert await identify(122) == (2, 3)  # the same again: it stays so
    assert await identify(122 + reporters.SETTLED_FOR) == (2, 3)
    assert await identify(123 + reporters.SETTLED_FOR) == (2, 4)
    assert await identify(123 + 2 * reporters.SETTLED_FOR) == (2, 4)  # no less settled than before


async def test_a_crowd_that_was_heard_at_once_is_not_looked_at_again_at_once() -> None:
    run, now = builders.execution(builders.job()), [0.0]
    crowd = [f"pod-{number}" for number in range(500)]
    store = Store(**{uid: said.identity(run, pod_uid=uid) for uid in crowd})
    known = reporters.Reporters(
        store=cast("ports.Store", store),
        reviewer=stand_ins.Reviewer(**{uid: stand_ins.caller(uid) for uid in crowd}),
        lookup=Lookup(),
        cluster=builders.CLUSTER,
        clock=lambda: now[0],
    )
    asked = []
    for _ in range(60):  # two minutes
        before = store.asked
        for token in crowd:
            await known.identify(token)
        asked.append(store.asked - before)
        now[0] += 2
    first, *later = asked
    assert first == len(crowd)
    assert sum(later[:30]) == 0  # a minute long
    assert sum(later) == len(crowd)
    assert max(later) < 100

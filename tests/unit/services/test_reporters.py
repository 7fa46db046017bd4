"""Pods that nobody knows are looked up in the cluster a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

from rollcall.services import ports, reporters
from support import builders
from support import reporting as stand_ins

CROWD = 3 * reporters.MOST_DISCOVERED


class Lookup:
    """Finds nobody, and counts how many ask at a time."""

    def __init__(self) -> None:
        self.asking = self.most = self.asked = 0

    async def find(self, _pod: reporters.Pod) -> reporters.Found | None:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        await asyncio.sleep(0.001)
        self.asking -= 1
        return None


class Store:
    """Knows nobody."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        async def identify(_pod_uids: Collection[str]) -> Mapping[str, ports.Identity]:
            return {}

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

"""What a process says of the store."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from rollcall.core import errors
from rollcall.metrics import names
from rollcall.services import vitals
from support import clocks


class Store:
    """A store of which only the age of messages is asked; `since` None: none waits."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.is_away = False

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> object:
        if self.is_away:
            raise errors.StoreUnavailable("no answer")
        return await work(SimpleNamespace(now=clocks.START, bundles=self))

    async def oldest_due(self, cluster: str) -> datetime | None:
        assert cluster == "test"
        return self.since


async def look(store: Store) -> timedelta | None:
    return await vitals.look(cast("Any", store), "test")


async def test_it_says_for_how_long_the_oldest_message_waits() -> None:
    store = Store()
    assert await look(store) == timedelta()
    store.since = clocks.START - timedelta(minutes=7)
    assert await look(store) == timedelta(minutes=7)
    store.is_away = True
    assert await look(store) is None


async def test_it_looks_again_and_again_also_while_the_store_is_away() -> None:
    store, told = Store(), asyncio.Queue[timedelta | None]()
    store.is_away = True
    watching = asyncio.create_task(
        vitals.watch(cast("Any", store), "test", told.put_nowait, every=0)
    )
    assert await told.get() is None
    store.is_away = False
    while await told.get() is None:
        pass
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def test_what_was_known_last_stays_while_the_store_is_away() -> None:
    metrics = names.Metrics()
    metrics.saw_store(timedelta(minutes=7))
    metrics.saw_store(None)
    assert metrics.registry.get_sample_value("rollcall_outbox_oldest_pending_seconds") == 420
    assert metrics.registry.get_sample_value("rollcall_store_up") == 0


def test_a_channel_that_is_gone_is_no_series_any_more() -> None:
    metrics = names.Metrics()
    metrics.knows_channels({"pager": None, "mail": "no Secret"})
    ready = metrics.registry.get_sample_value
    assert ready("rollcall_channel_ready", {"channel": "pager"}) == 1
    assert ready("rollcall_channel_ready", {"channel": "mail"}) == 0
    metrics.knows_channels({"pager": None})
    assert ready("rollcall_channel_ready", {"channel": "mail"}) is None

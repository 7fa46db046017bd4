"""A process that delivers to one webhook, to be killed: `python -m support.delivering DSN URL`."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rollcall.core import pacing
from rollcall.notify import http, registry
from rollcall.services import deliver, dispatch, ports
from rollcall.store import engine
from support import receiver

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL = "team"


class Senders:
    """Webhook channels by name, without a cluster."""

    def __init__(self, client: http.Client, **urls: str) -> None:
        make = registry.factories(client, now)["webhook"]
        self.channels = {name: make({"url": url}) for name, url in urls.items()}
        self.reports: list[tuple[str, ports.Delivery]] = []
        self.hear: Callable[[str, ports.Delivery, datetime], None] = _nothing

    async def sender(self, channel: str) -> ports.Sender | None:
        return self.channels.get(channel)

    def report(self, channel: str, delivery: ports.Delivery, at: datetime) -> None:
        assert at.tzinfo
        self.reports.append((channel, delivery))
        self.hear(channel, delivery, at)


def _nothing(_channel: str, _delivery: ports.Delivery, _at: datetime) -> None:
    """Keep nothing of a report."""


def unpaced(sift: dispatch.Sift, *, cluster: str) -> dispatch.Dispatch:
    """Let messages go as they come, but for what is sifted out."""
    return dispatch.Dispatch(paces=lambda _: pacing.PLAIN, sift=sift, cluster=cluster)


def now() -> datetime:
    return datetime.now(UTC)


async def main(dsn: str, url: str) -> None:
    store = engine.Database(dsn, application_name="tests")
    async with http.Client(
        now=now, allowed=receiver.LOOPBACK, timeout=timedelta(seconds=10)
    ) as client:
        await deliver.Deliver(
            store=store,
            senders=Senders(client, **{CHANNEL: url}),
            clock=now,
            cluster="test",
            holder="to-be-killed",
        ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))

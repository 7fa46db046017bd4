"""A worker at an outbox, to be run twice: `python -m support.claiming DSN FILE`.

It claims as the product does and settles what it claimed; the rows' numbers go to the file.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path

from rollcall.services import deliver, ports
from rollcall.store import engine

CLUSTER = "test"


async def main(dsn: str) -> list[int]:
    """Go on until nothing is left; returns what was claimed."""
    store = engine.Database(dsn, application_name="tests")
    claimed = []
    while rows := await store.run(_claim):
        claimed += [row.id for row in rows]
        await store.run(partial(_settle, rows=rows))
    await store.close()
    return claimed


async def _claim(unit: ports.Transaction) -> list[ports.Notification]:
    return list(await unit.outbox.claim("worker", deliver.BATCH, deliver.LEASE, cluster=CLUSTER))


async def _settle(unit: ports.Transaction, rows: list[ports.Notification]) -> None:
    await unit.outbox.settle([ports.Outcome(notification=row, delivered=True) for row in rows])


if __name__ == "__main__":
    numbers = asyncio.run(main(sys.argv[1]))
    Path(sys.argv[2]).write_text("".join(f"{number}\n" for number in numbers))

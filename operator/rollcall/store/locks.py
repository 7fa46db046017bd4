"""Advisory locks, held for one transaction (a pooler or a failover loses longer ones)."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]

_SPACE = int.from_bytes(b"roll")  # ours among the advisory locks of the database
UPGRADE = 1
PARTITIONS = 2
ROLLUPS = 3


async def take(connection: AsyncConnection, lock: int) -> None:
    """Wait for the lock, at most for the transaction's lock_timeout."""
    await connection.execute(
        sa.text("SELECT pg_advisory_xact_lock(:space, :lock)"), {"space": _SPACE, "lock": lock}
    )


async def is_free(connection: AsyncConnection, lock: int) -> bool:
    """Take the lock if nobody has it."""
    taken: bool = (
        await connection.execute(
            sa.text("SELECT pg_try_advisory_xact_lock(:space, :lock)"),
            {"space": _SPACE, "lock": lock},
        )
    ).scalar_one()
    return taken

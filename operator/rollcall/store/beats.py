"""Heartbeats in one round trip, on a connection of their own: begin, write, commit.

Most batches hold nothing else. The three statements are sent together, which costs both sides a
fraction of what a transaction with its round trips does.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from rollcall.core import reporting
from rollcall.store import connections, heard


class Beats:
    """Writes batches one after the other. After a failure the next one connects anew."""

    def __init__(self, connect: connections.Connect, *, begin: bytes) -> None:
        self._connect = connect
        self._begin = begin
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._connected_at = 0.0

    async def keep(self, reports: Sequence[reporting.Report], now: datetime) -> None:
        """Keep heartbeats and progress; raises psycopg.Error, and mostly nothing is kept then.

        Where the connection is lost at COMMIT it may be: who repeats them counts them twice.

        `now` is what the reports' times are counted back from, on whatever clock.
        """
        connection = await self._open()
        try:
            async with connection.pipeline():
                await connection.execute(self._begin)
                await connection.execute(heard.PLAIN, heard.parameters(reports, now))
                await connection.commit()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        age = time.monotonic() - self._connected_at
        if self._connection and age > connections.POOL_RECYCLE:
            await self.close()
        if self._connection is None:
            self._connection = await self._connect()
            self._connected_at = time.monotonic()
        return self._connection

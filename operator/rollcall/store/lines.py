"""Statements one after the other on a connection of their own, straight by libpq.

psycopg's cursors have the event loop watch the socket anew for each answer, and look up how each
value is converted. For batches of a few reports that is a good part of what they cost.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Self

import psycopg
from psycopg import pq

from rollcall.store import connections

Row = Sequence[bytes | None]

# Seconds after which the socket is looked at whether or not the loop says that there is something.
# uvloop calls once for a socket with an error and watches it no more, and that call may have read
# only what came before the error. psycopg wakes up as often.
LOOK = 0.1


class Line:
    """Runs one statement at a time, each a transaction of its own.

    Statements are prepared at their first use. After a failure the line is good for nothing but to
    be closed: whether its last statement was committed may be unknown.
    """

    def __init__(self, connection: connections.Connection) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._names: dict[bytes, bytes] = {}  # of prepared statements, by their text
        self._result: pq.abc.PGresult | None = None
        self._answer: asyncio.Future[pq.abc.PGresult] | None = None
        # One of our own: when a connection is lost, libpq closes its descriptor at once.
        self._watched = os.dup(self._libpq.socket)
        self._loop.add_reader(self._watched, self._guarded, self._read)

    @classmethod
    async def over(cls, connection: connections.Connection) -> Self:
        """Begin on a new connection; raises psycopg.OperationalError if the process has no room."""
        try:
            return cls(connection)
        except OSError as error:
            await connection.close()
            raise psycopg.OperationalError(str(error)) from error

    async def run(self, statement: bytes, parameter: bytes) -> Sequence[Row]:
        """Return the rows as text; `parameter`, as text too, is $1. Raises psycopg.Error."""
        name = self._names.get(statement) or await self._prepare(statement)
        self._libpq.send_query_prepared(name, [parameter])
        result = await self._answered()
        columns = range(result.nfields)
        return [[result.get_value(row, column) for column in columns]
                for row in range(result.ntuples)]  # fmt: skip

    async def close(self) -> None:
        """Hang up."""
        self._stop_watching()
        await self._connection.close()

    async def _prepare(self, statement: bytes) -> bytes:
        name = b"line_%d" % len(self._names)
        self._libpq.send_prepare(name, statement)
        await self._answered()
        self._names[statement] = name
        return name

    async def _answered(self) -> pq.abc.PGresult:
        """Send what was asked, and wait for the answer as long as the connection allows."""
        self._answer = self._loop.create_future()
        self._look_later(self._loop.time() + self._connection.answer_within)
        try:
            self._guarded(self._write)
            result = await self._answer
        finally:
            self._answer = None
            self._look.cancel()
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
        return result

    def _guarded(self, step: Callable[..., None], *arguments: float) -> None:
        """Take a step; if it fails the line is of no more use, and who waits is told."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits must not wait for ever
            known = isinstance(error, psycopg.Error)
            if self._answer and not self._answer.done():
                self._answer.set_exception(
                    error if known else psycopg.OperationalError(repr(error))
                )
            self._stop_watching()

    def _write(self) -> None:
        """Send what the socket takes, and the rest when it takes more."""
        if self._libpq.flush():
            self._loop.add_writer(self._watched, self._guarded, self._write)
        else:
            self._loop.remove_writer(self._watched)

    def _read(self) -> None:
        """Take what has come: an answer is complete when nothing follows its result."""
        self._libpq.consume_input()
        while not self._libpq.is_busy():
            result = self._libpq.get_result()
            if result is None:
                self._settle()
                return
            self._result = result

    def _look_later(self, give_up_at: float) -> None:
        self._look = self._loop.call_later(LOOK, self._guarded, self._look_again, give_up_at)

    def _look_again(self, give_up_at: float) -> None:
        self._read()
        if self._answer is None or self._answer.done():
            return
        if self._loop.time() >= give_up_at:
            raise psycopg.OperationalError("no answer in time")
        self._look_later(give_up_at)

    def _settle(self) -> None:
        result, self._result = self._result, None
        if result and self._answer and not self._answer.done():
            self._answer.set_result(result)

    def _stop_watching(self) -> None:
        if self._watched >= 0:
            self._loop.remove_reader(self._watched)
            self._loop.remove_writer(self._watched)
            os.close(self._watched)
            self._watched = -1

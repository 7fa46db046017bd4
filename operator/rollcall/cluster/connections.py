"""Connections to the API server, kept for the next request.

Invariants:
- At most `limit` are open; who finds all of them busy waits in order.
- One is of use exactly as long as its transport is open. Whatever leaves its next answer in doubt
  closes it: an exchange that failed or was given up, bytes that nobody asked for, the server's word
  that it will close.
- A request is sent once. Only one that changes nothing goes out again, once, on a new connection,
  when the server closed the kept one before it said anything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import http11

LIMIT = 20
# The API server closes what was idle for 90 s (IdleTimeout in secure_serving.go of k8s.io/apiserver
# since 1.23), load balancers often after 60 s. We are first, lest a request meets that.
IDLE = 50.0  # seconds


class Unanswered(http11.Broken):
    """The other side hung up before the first byte of its answer."""


class Connection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    idle_since = 0.0  # by the loop's clock

    def __init__(self) -> None:
        self._reader = http11.Reader()
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[http11.Answer] | None = None

    @property
    def is_open(self) -> bool:
        """Say whether it can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> http11.Answer:
        """Send a request and return the answer; raises Unanswered or http11.Broken."""
        if self._transport is None or self._transport.is_closing():
            raise Unanswered("it hung up")
        self._reader.begin()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Close it at once: there is nothing to say to a server that we ask no more."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream(transport)

    @override
    def data_received(self, data: bytes) -> None:
        answered = self._answered
        if answered is None or answered.done():
            self.close()
            return
        try:
            answer = self._reader.feed(data)
        except http11.Broken as error:
            answered.set_exception(error)
            self.close()
            return
        if answer is not None:
            answered.set_result(answer)
            if not self._reader.is_reusable:
                self.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        answered = self._answered
        if answered is None or answered.done():
            return
        why = f": {exc}" if exc else ""
        if not self._reader.size:
            answered.set_exception(Unanswered(f"it hung up without an answer{why}"))
        elif exc is None and (answer := self._reader.end()):
            answered.set_result(answer)
        else:
            answered.set_exception(http11.Broken(f"it hung up in the middle of its answer{why}"))


def stream(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Return the transport as what that of a stream is; those of uvloop do not inherit from it."""
    return cast("asyncio.Transport", transport)


class Pool:
    """The connections to one server, opened by `connect`. Close it at the end."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        *,
        limit: int = LIMIT,
        idle: float = IDLE,
    ) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(limit)
        self._longest_idle = idle
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []  # the last used at the end
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def exchange(self, request: bytes, *, is_safe: bool) -> http11.Answer:
        """Send a request and return its answer; raises OSError, as http11.Broken is.

        `is_safe` says that the request changes nothing, and may be sent again. We do so for nothing
        else, unlike clients that repeat PUT and DELETE: the second would be answered by Conflict or
        NotFound if the first was heard, and whoever asked would take that for somebody else's work.
        """
        async with self._turns:
            kept = self._take()
            if kept is not None:
                try:
                    return await self._ask(kept, request)
                except Unanswered:
                    if not is_safe:
                        raise
            return await self._ask(await self._new(), request)

    async def close(self) -> None:
        """Close all, also those that wait for an answer."""
        self._is_closed = True
        if self._sweeping:
            self._sweeping.cancel()
        for connection in self._open:
            connection.close()
        await asyncio.sleep(0)  # the loop takes one more round to close the sockets

    async def _new(self) -> Connection:
        if self._is_closed:
            raise http11.Broken("the client is closed")
        connection = await self._connect()
        self._open.add(connection)
        return connection

    async def _ask(self, connection: Connection, request: bytes) -> http11.Answer:
        try:
            answer = await connection.exchange(request)
        except BaseException:  # being cancelled too: its answer would be taken for the next one's
            self._drop(connection)
            while self._idle:  # who is gone without a word is so on all of them
                self._drop(self._idle.pop())
            raise
        self._keep(connection)
        return answer

    def _take(self) -> Connection | None:
        """Return the open one that was used last, so that those too many become idle for long."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            self._drop(connection)
        return None

    def _keep(self, connection: Connection) -> None:
        if self._is_closed or not connection.is_open:
            self._drop(connection)
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._longest_idle, self._sweep)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._open.discard(connection)

    def _sweep(self) -> None:
        """Close those that were idle for too long, and look again when the next one will be."""
        loop = asyncio.get_running_loop()
        past = loop.time() - self._longest_idle
        for connection in list(self._idle):
            if connection.idle_since <= past or not connection.is_open:
                self._idle.remove(connection)
                self._drop(connection)
        self._sweeping = None
        if self._idle:
            again = self._idle[0].idle_since + self._longest_idle
            self._sweeping = loop.call_at(again, self._sweep)

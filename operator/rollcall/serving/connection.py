"""One connection: bytes in, exchanges with the application, bytes out.

Invariants:
- The application has at most one request at a time, and answers go out in the order of requests.
- Each state ends: what the other side owes comes in time, or the connection is given up.
- At most MOST_WAITING requests wait behind the one under way, and nothing is read while answers are
  not fetched.
- After the last answer our side is closed first, and the rest of what comes is thrown away:
  to close with bytes unread would reset the connection, and could take the answer with it.
"""

import asyncio
from typing import Protocol, cast

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.serving.limits import Limits
from rollcall.serving.messages import Application, Exchange, Fault, Response
from rollcall.serving.reader import Reader, State

MOST_WAITING = 16  # requests that were sent before the one under way was answered


class House(Protocol):
    """What all connections share. `now` is some tenths of a second old; `held` they count."""

    application: Application
    limits: Limits
    now: float
    held: int
    date: bytes
    is_closing: bool

    def enter(self, connection: "Connection") -> bool:
        """Count it in; False if it is one too many, which is to be told so."""

    def leave(self, connection: "Connection") -> None:
        """Count it out."""


class Connection(asyncio.Protocol):
    """A peer's connection."""

    __slots__ = (
        "_house", "_is_closed_there", "_is_reading", "_reader", "_transport", "_under_way",
        "_unfetched_since", "_waiting",
    )  # fmt: skip

    def __init__(self, house: House) -> None:
        self._house = house
        self._reader = Reader(self, house.limits, house)
        self._under_way: Exchange | None = None
        self._waiting: list[Exchange] = []
        self._is_reading = True
        self._is_closed_there = False
        self._unfetched_since: float | None = None  # what we wrote
        self._transport: asyncio.Transport | None = None

    # What the loop says

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._reader.is_welcome = self._house.enter(self)

    @override
    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    @override
    def eof_received(self) -> bool:
        """Answer what was asked: who closes one side may still read."""
        self._is_closed_there = True
        if self._reader.state in {State.HEAD, State.BODY}:
            self._reader.refuse(Fault.INCOMPLETE)
        self._reader.enter(State.OVER)
        return self._under_way is not None

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; what is under way ends, and its answer is dropped."""
        self._transport = None
        self._house.held -= sum(len(exchange.body) for exchange in self._waiting)
        self._waiting.clear()
        self._reader.close()
        self._house.leave(self)

    @override
    def pause_writing(self) -> None:
        self._unfetched_since = self._house.now
        self._read_on()

    @override
    def resume_writing(self) -> None:
        self._unfetched_since = None
        self._read_on()

    # What the reader says

    def is_enough(self) -> bool:
        """Whether the next request is the last one that is taken."""
        return self._house.is_closing or len(self._waiting) >= MOST_WAITING - 1

    def is_full(self) -> bool:
        """Whether the next request would wait where too much does already."""
        house = self._house
        return self._under_way is not None and house.held > house.limits.most_held

    def take(self, exchange: Exchange) -> None:
        """Hand a request over when it is its turn."""
        self._waiting.append(exchange)
        self._house.held += len(exchange.body)
        self._go_on()

    def expects(self) -> None:
        """Call for the body; not at all while an earlier request is under way.

        Nobody may wait for that call for ever (RFC 9110 §10.1.1).
        """
        transport = self._open()
        if self._under_way is None and transport:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # What the server says

    def look(self) -> None:
        """Give up what takes too long."""
        now, limits = self._house.now, self._house.limits
        waited = now - self._reader.since
        if self._unfetched_since is not None:
            if now - self._unfetched_since > limits.read_within:
                self.abort()
        elif self._under_way is not None:
            return  # the application is waited for
        elif self._reader.state is State.IDLE:
            if waited > limits.idle:
                self.abort()
        elif self._reader.state is State.OVER:
            if waited > limits.linger:
                self.abort()
        elif waited > limits.read_within:
            self._reader.refuse(Fault.TOO_SLOW)

    def stop(self) -> None:
        """Close it as soon as all that has begun is answered."""
        if self._reader.state is State.IDLE:
            self._reader.enter(State.OVER)
            if self._under_way is None:
                self._end()

    def abort(self) -> None:
        """Close it now."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        """Hand over the next request."""
        while self._waiting and self._under_way is None:
            self._under_way = self._waiting.pop(0)
            self._house.held -= len(self._under_way.body)
            self._house.application.answer(self._under_way)
        self._read_on()

    def answered(self, exchange: Exchange, response: Response) -> None:
        """Write an answer, and go on."""
        self._under_way = None
        transport = self._open()
        if transport is None:
            return
        is_last = self._reader.state is State.OVER and not self._waiting
        is_head = exchange.method == b"HEAD"
        written = response.written(date=self._house.date, is_head=is_head, is_last=is_last)
        transport.write(written)
        self._reader.since = self._house.now
        if is_last:
            self._end()
        elif self._waiting:
            self._go_on()

    def _read_on(self) -> None:
        """Read, unless there are requests or answers enough."""
        is_full = bool(self._waiting) and self._reader.state is not State.OVER
        is_reading = not is_full and self._unfetched_since is None
        transport = self._open()
        if transport and is_reading is not self._is_reading:
            self._is_reading = is_reading
            self._reader.since = self._house.now
            (transport.resume_reading if is_reading else transport.pause_reading)()

    def _end(self) -> None:
        """Close our side, and wait for the other's."""
        self._read_on()
        transport = self._open()
        if transport is None:
            return
        if self._is_closed_there or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()

    def _open(self) -> asyncio.Transport | None:
        """Return the transport if something can be said; it may be closing, and soon be lost."""
        transport = self._transport
        return None if transport is None or transport.is_closing() else transport

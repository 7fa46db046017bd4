"""Bytes of one connection become requests.

Invariants:
- A request that is not whole is never handed over. What cannot become one is handed over with a
  fault, and nothing is read behind it.
- What is held is bounded: one head, and one body with what frames it; and all that have begun to
  come or wait for others, on all connections, by `most_held`.
"""

import enum
from typing import Protocol

import httptools

from rollcall.serving.limits import Limits
from rollcall.serving.messages import TWICE, Exchange, Fault, Response


class State(enum.Enum):
    """What has come of the next request."""

    IDLE = "nothing"
    HEAD = "a part of its head"
    BODY = "its head"
    OVER = "there is no next one"


class House(Protocol):
    """What all readers share. `now` is in seconds, some tenths of one late."""

    now: float
    held: int  # bytes of requests that nobody has taken over yet


class Taker(Protocol):
    """Whose connection it is."""

    def is_enough(self) -> bool:
        """Whether the next request is the last one that is wanted."""

    def is_full(self) -> bool:
        """Whether the next request would wait where too much does already."""

    def take(self, exchange: Exchange) -> None:
        """Take over a request, whole or with a fault."""

    def answered(self, exchange: Exchange, response: Response) -> None:
        """Hear the answer."""

    def expects(self) -> None:
        """Hear that the body comes once it is called for."""


class _Enough(Exception):
    """Ends the parser: the rest is not read."""


class _Nobody:
    """Stands where a taker was: a connection and its reader would hold each other for ever.

    They were left to the garbage collector, which then stopped the process for tens of milliseconds
    (measured with 1,000 connections a second).
    """

    def is_enough(self) -> bool:
        return True

    def is_full(self) -> bool:
        return False

    def take(self, exchange: Exchange) -> None:
        pass

    def answered(self, exchange: Exchange, response: Response) -> None:
        pass

    def expects(self) -> None:
        pass


_NOBODY = _Nobody()
_BESIDE = 64  # bytes that a header takes beside its name and value
_NOTHING = Exchange(_NOBODY.answered)  # stands where no request is coming, so that none is held
_UNUSED = httptools.HttpRequestParser(None)  # stands where no bytes have come


class Reader:
    """Takes bytes until its state is OVER; the functions `on_…` are called by the parser.

    There may be thousands that never say anything: it takes little until the first bytes come.
    """

    __slots__ = (
        "_coming", "_head_size", "_held", "_house", "_is_last", "_limits", "_parser", "_rest",
        "_taker", "_untold", "is_welcome", "since", "state",
    )  # fmt: skip

    def __init__(self, taker: Taker, limits: Limits, house: House) -> None:
        self.state = State.IDLE
        self.since = house.now  # it is in that state
        self.is_welcome = True  # else a request is only told that there are too many
        self._taker: Taker = taker
        self._limits = limits
        self._house = house
        self._parser = _UNUSED
        self._coming = _NOTHING
        self._rest = bytearray()  # of its body, where that comes in many pieces
        self._is_last = False
        self._head_size = 0  # as far as the parser has told of it
        self._untold = 0  # bytes that came behind those that began it
        self._held = 0  # our part of what the house holds

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self.state is State.OVER:
            return
        before = self._coming
        self._parse(data)
        if self._coming is not _NOTHING:
            self._hold(len(data), has_begun=self._coming is not before)

    def _parse(self, data: bytes) -> None:
        if self._parser is _UNUSED:
            self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Enough):
                raise
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.refuse(Fault.MALFORMED)

    def _hold(self, size: int, *, has_begun: bool) -> None:
        """Count what came of a request that is not whole.

        The parser keeps a header to itself until its end has come, also one behind the body.
        """
        self._held += size
        self._house.held += size
        if not has_begun:  # else much of it may be of those before
            self._untold += size
        fault = self._too_much()
        if fault:
            self.refuse(fault)

    def _too_much(self) -> Fault | None:
        limits = self._limits
        if self.state is State.HEAD and self._untold > limits.largest_head:
            return Fault.HEAD_TOO_LARGE
        if self._untold > limits.largest_head + 2 * limits.largest_body:  # as much framing again
            return Fault.BODY_TOO_LARGE
        return Fault.FULL if self._house.held > limits.most_held else None

    def _let_go(self) -> None:
        """Hold nothing of a request any more."""
        self._rest = bytearray()
        self._house.held -= self._held
        self._held = 0

    def refuse(self, fault: Fault) -> None:
        """End with the request that is coming."""
        coming, self._coming = self._coming, _NOTHING
        if coming is _NOTHING:
            coming = Exchange(self._taker.answered)
        coming.fault = fault
        coming.body = b""
        self._let_go()
        self.enter(State.OVER)
        self._taker.take(coming)

    def enter(self, state: State) -> None:
        """Change the state, or let its time begin anew."""
        self.state = state
        self.since = self._house.now

    def close(self) -> None:
        """Let go of all, also of what holds us: the parser and the taker."""
        self.enter(State.OVER)
        self._let_go()
        self._coming = _NOTHING
        self._parser = _UNUSED
        self._taker = _NOBODY

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.enter(State.HEAD)
        self._coming = Exchange(self._taker.answered)
        self._head_size = self._untold = 0

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it."""
        self._measure(len(url))
        self._coming.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind the body say nothing to us."""
        if self.state is State.HEAD:
            self._measure(len(name) + len(value) + _BESIDE)
            headers, key = self._coming.headers, name.lower()
            headers[key] = TWICE if key in headers else value

    def on_headers_complete(self) -> None:
        """Look at the head before anything of the body is taken."""
        coming, version = self._coming, self._parser.get_http_version()
        coming.method = self._parser.get_method()
        coming.path = _path(coming.path)
        self._is_last = version != "1.1" or not self._parser.should_keep_alive()
        fault = self._fault(version)
        if fault:
            self._stop_at(fault)
        self.enter(State.BODY)
        expected = coming.headers.get(b"expect")
        if expected and expected.lower() == b"100-continue" and version == "1.1":
            self._taker.expects()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        coming = self._coming
        if len(coming.body) + len(self._rest) + len(body) > self._limits.largest_body:
            self._stop_at(Fault.BODY_TOO_LARGE)
        if coming.body:
            self._rest += body
        else:
            coming.body = body

    def on_message_complete(self) -> None:
        """Hand it over."""
        if self._taker.is_full():
            self._stop_at(Fault.FULL)
        coming, self._coming = self._coming, _NOTHING
        if self._rest:
            coming.body += self._rest
        self._let_go()
        is_last = self._is_last or self._taker.is_enough()
        self.enter(State.OVER if is_last else State.IDLE)
        self._taker.take(coming)
        if is_last:
            raise _Enough

    def _fault(self, version: str) -> Fault | None:
        headers = self._coming.headers
        if not self.is_welcome:
            return Fault.CROWDED
        if self._parser.should_upgrade():
            return Fault.UPGRADE
        is_named = version == "1.0" or (version == "1.1" and b"host" in headers)
        coding = headers.get(b"transfer-encoding", b"chunked").strip().lower()
        if not is_named or coding != b"chunked":
            return Fault.MALFORMED
        # The parser has seen to it that it is a number and comes once.
        if int(headers.get(b"content-length", b"0")) > self._limits.largest_body:
            return Fault.BODY_TOO_LARGE
        return None

    def _measure(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.largest_head:
            self._stop_at(Fault.HEAD_TOO_LARGE)

    def _stop_at(self, fault: Fault) -> None:
        self.refuse(fault)
        raise _Enough


def _path(target: str) -> str:
    """Return the path of a target, which may be a whole address."""
    path = target.partition("?")[0] if "?" in target else target
    if path.startswith("/") or "://" not in path:
        return path
    return "/" + path.partition("://")[2].partition("/")[2]

"""A connection of the product's own without a socket: bytes in, bytes out."""

import asyncio

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.serving import connection, limits, messages

LIMITS = limits.Limits(largest_body=1_000)
DATE = b"Mon, 02 Mar 2026 12:00:00 GMT"


class Echo(messages.Application):
    """Answers at once with what was asked, a fault with its name; keeps all exchanges.

    Those in `later` are answered when the test says so.
    """

    def __init__(self, later: str = "/later") -> None:
        self.later = later
        self.seen: list[messages.Exchange] = []

    @override
    def answer(self, exchange: messages.Exchange) -> None:
        self.seen.append(exchange)
        if exchange.fault or exchange.path != self.later:
            self.reply(exchange)

    def reply(self, exchange: messages.Exchange) -> None:
        """Answer one."""
        if exchange.fault:
            body, status = exchange.fault.name.encode(), exchange.fault.status.value
        else:
            head = b"%s %s " % (exchange.method, exchange.path.encode())
            body, status = head + exchange.body, 200
        exchange.answer(messages.Response(body=body, status=status))


class Room:
    """connection.House, where the test is the clock."""

    def __init__(
        self, application: messages.Application, limits: limits.Limits = LIMITS, *, places: int = 1
    ) -> None:
        self.application = application
        self.limits = limits
        self.now = 100.0
        self.held = 0
        self.date = DATE
        self.is_closing = False
        self.places = places
        self.inside: set[connection.Connection] = set()

    def enter(self, one: connection.Connection) -> bool:
        self.inside.add(one)
        return len(self.inside) <= self.places

    def leave(self, one: connection.Connection) -> None:
        self.inside.discard(one)


class Pipe(asyncio.Transport):
    """The server's side of a socket. Where the test says so, the peer does not fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading_now = True
        self.is_shut = False  # our side
        self.is_aborted = False
        self.is_closed = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_shut, "nothing is written behind the end"
        assert not self.is_closing(), "nothing is written to what is closed"
        self.written += bytes(data)

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def write_eof(self) -> None:
        self.is_shut = True

    @override
    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    @override
    def close(self) -> None:
        self.is_closed = True

    @override
    def abort(self) -> None:
        self.is_aborted = True

    @override
    def pause_reading(self) -> None:
        assert self.is_reading_now
        assert not self.is_closing()
        self.is_reading_now = False

    @override
    def resume_reading(self) -> None:
        assert not self.is_reading_now
        assert not self.is_closing()
        self.is_reading_now = True


class Peer:
    """The other side of a connection."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.pipe = Pipe()
        self.connection = connection.Connection(room)
        self.connection.connection_made(self.pipe)

    def sends(self, *pieces: bytes) -> bytes:
        """Send pieces; return all that was written until now."""
        for piece in pieces:
            self.connection.data_received(piece)
        return self.pipe.written

    def closes(self) -> bool:
        """Close its side; whether ours stays open."""
        return bool(self.connection.eof_received())

    def goes(self) -> None:
        """Be gone."""
        self.connection.connection_lost(None)

    def waits(self, seconds: float) -> None:
        """Let time pass until the server looks again."""
        self.room.now += seconds
        self.connection.look()

    def answers(self) -> list[tuple[int, bytes]]:
        """Return status and body of what was written."""
        return answers(self.pipe.written)


def answers(written: bytes) -> list[tuple[int, bytes]]:
    """Read whole answers, each with a body."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        status = int(lines[0].split(b" ")[1])
        length = next((int(line.split(b":")[1]) for line in lines if b"content-length" in line), 0)
        assert len(rest) >= length, "an answer is whole"
        found.append((status, rest[:length]))
        written = rest[length:]
    return found

"""A port that is listened on, and the connections it has."""

import asyncio
import email.utils
import ssl

from rollcall.serving import connection
from rollcall.serving.limits import Limits
from rollcall.serving.messages import Application

MOST_TOLD = 1_000  # connections beyond the most, that are told so
BACKLOG = 2_048  # connections that nobody has accepted yet


class Server:
    """Serves an application from `listen` until it is closed."""

    def __init__(self, application: Application, limits: Limits) -> None:
        self.application = application
        self.limits = limits
        self.is_closing = False
        self.now = 0.0
        self.held = 0  # bytes of requests that come or wait; its connections count
        self.date = b""
        self._connections: set[connection.Connection] = set()
        self._gone = asyncio.Event()
        self._listening: asyncio.Server | None = None
        self._looking: asyncio.TimerHandle | None = None

    async def listen(
        self, port: int, *, host: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve on a port of one address, of all addresses if there is none."""
        loop = asyncio.get_running_loop()
        self._look()
        self._listening = await loop.create_server(
            self._connection, host=host, port=port, ssl=tls, backlog=BACKLOG
        )

    async def listen_at(self, path: str) -> None:
        """Serve on a Unix socket."""
        loop = asyncio.get_running_loop()
        self._look()
        self._listening = await loop.create_unix_server(
            self._connection, path=path, backlog=BACKLOG
        )

    @property
    def is_listening(self) -> bool:
        """Whether new connections are taken."""
        return self._listening is not None and not self.is_closing

    async def close(self) -> None:
        """Listen no longer, answer what has begun, and close what is left after that time."""
        self.is_closing = True
        if self._listening:
            self._listening.close()
        for one in tuple(self._connections):
            one.stop()
        try:
            async with asyncio.timeout(self.limits.stop_within):
                while self._connections:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            for one in tuple(self._connections):
                one.abort()
        if self._looking:
            self._looking.cancel()

    # What its connections ask

    def enter(self, one: connection.Connection) -> bool:
        """Count a connection in; False if it is one too many, which is to be told so.

        Where too many of those wait to be told, it is not even that.
        """
        self._connections.add(one)
        if len(self._connections) > self.limits.most_connections + MOST_TOLD:
            one.abort()
        return len(self._connections) <= self.limits.most_connections

    def leave(self, one: connection.Connection) -> None:
        """Count it out."""
        self._connections.discard(one)
        self._gone.set()

    def _connection(self) -> connection.Connection:
        return connection.Connection(self)

    def _look(self) -> None:
        """Give up what takes too long, and again soon."""
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self.date = email.utils.formatdate(usegmt=True).encode()
        self._looking = loop.call_later(self.limits.look_every, self._look)
        for one in tuple(self._connections):
            one.look()

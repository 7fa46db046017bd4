"""Connections to Postgres that give up in time, made from a DSN as users write it.

Invariants:
- No call waits for ever. A server that is gone, unreachable or frozen ends in an OperationalError
  within CONNECT_TIMEOUT or `answer_within`.
- Only a server that accepts writes is used: after a failover the old primary is left alone.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.types.json import set_json_dumps
from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.core import errors
from rollcall.store import columns, failures

# The whole of it: looking up the name, all addresses of it (3 s each), login.
CONNECT_TIMEOUT = 10.0
# A dead peer is noticed in 10 s while a statement is sent, in 25 s while one is awaited.
_PARAMETERS: dict[str, str | int] = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
    "gssencmode": "disable",  # else each connection first looks for a Kerberos ticket
}
POOL_SIZE = 10
POOL_TIMEOUT = 5.0
# A moved name (a failover behind a Service) is followed after this long at the latest.
POOL_RECYCLE = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which database, as whom, and how long a single answer may take (seconds)."""

    dsn: str
    password: str | None = None  # takes precedence over the one in the DSN
    application_name: str
    answer_within: float

    def parameters(self) -> dict[str, Any]:
        """Return libpq's parameters; what the DSN says comes before our defaults.

        Raises errors.InvalidSpec for a DSN that libpq cannot read.
        """
        try:
            written = conninfo.conninfo_to_dict(self.dsn)
        except psycopg.Error:  # its message repeats the DSN, and with it the password
            raise errors.InvalidSpec(
                "InvalidSetting",
                "the database DSN cannot be read; write it like "
                "postgresql://rollcall@host:5432/rollcall and percent-encode special characters",
            ) from None
        given = {"password": self.password} if self.password else {}
        return {**_PARAMETERS, "application_name": self.application_name, **written, **given}


class Connection(psycopg.AsyncConnection[Any]):
    """A connection that hangs up when an answer takes too long.

    A frozen server keeps its sockets open and the kernel acknowledges for it, so neither keepalives
    nor tcp_user_timeout nor the server's own statement_timeout would end the wait.
    """

    answer_within = CONNECT_TIMEOUT  # seconds

    @override
    async def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self.answer_within, _hang_up, self.pgconn.socket)
        try:
            return await super().wait(gen, *args, **options)
        finally:
            alarm.cancel()


Connect = Callable[[], Awaitable[Connection]]


def connector(target: Target) -> Connect:
    """Return what opens a connection. Raises errors.InvalidSpec for a bad DSN."""
    parameters = target.parameters()

    async def connect() -> Connection:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection = await Connection.connect(**parameters)
        except TimeoutError as error:
            raise psycopg.OperationalError("could not connect in time") from error
        except psycopg.ProgrammingError as error:  # a value that only connecting looks at
            raise errors.InvalidSpec("InvalidSetting", f"the database DSN: {error}") from error
        connection.answer_within = target.answer_within
        set_json_dumps(columns.dumps, connection)  # the dialect's own way needs its own connect
        return connection

    return connect


def create_engine(target: Target) -> AsyncEngine:
    """Build the pool; nothing is connected yet. Raises errors.InvalidSpec for a bad DSN."""
    connect = connector(target)
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_recycle=POOL_RECYCLE,
        pool_use_lifo=True,  # idle connections can age out
        use_native_hstore=False,  # saves a look-up per connection
    )
    event.listen(engine.sync_engine, "handle_error", _leave_read_only_server)
    return engine


def _leave_read_only_server(context: ExceptionContext) -> None:
    """After a failover every pooled connection is to the old primary: treat them as lost."""
    if getattr(context.original_exception, "sqlstate", None) == failures.READ_ONLY:
        context.is_disconnect = True


def _hang_up(descriptor: int) -> None:
    """Shut the socket down, which wakes up whoever waits for it."""
    with socket.socket(fileno=os.dup(descriptor)) as connection, contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # OSError: the other side was faster

"""Statements straight by libpq, one at a time."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from rollcall.store import connections, lines
from support import certificates, postgres

# Much more than a socket takes at once, each way.
LARGE = b"x" * 8 * 1024 * 1024
ECHO = b"SELECT $1::text, NULL, length($1) = 1"


async def opened(dsn: str, *, within: float = 5) -> lines.Line:
    target = connections.Target(dsn=dsn, application_name="tests", answer_within=within)
    return lines.Line(await connections.connector(target)())


@pytest.fixture
async def line(dsn: str) -> AsyncIterator[lines.Line]:
    """Open a line for this test."""
    line = await opened(dsn)
    yield line
    await line.close()


async def backend(line: lines.Line) -> int:
    """Return the process that serves it."""
    rows = await line.run(b"SELECT pg_backend_pid(), $1::text", b"")
    return int(rows[0][0] or 0)


async def test_rows_come_as_text(line: lines.Line) -> None:
    assert await line.run(ECHO, b"a") == [[b"a", None, b"t"]]
    numbers = b"SELECT * FROM generate_series(1, CAST($1 AS int))"
    assert await line.run(numbers, b"3") == [[b"1"], [b"2"], [b"3"]]
    assert await line.run(numbers, b"0") == []


async def test_a_statement_without_rows_has_none(line: lines.Line) -> None:
    assert await line.run(b"DELETE FROM attempts WHERE pod_uid = $1", b"unknown") == []


async def test_each_statement_is_prepared_once(line: lines.Line) -> None:
    for letter in (b"a", b"b", b"c"):
        await line.run(ECHO, letter)
    prepared = b"SELECT count(*) FROM pg_prepared_statements WHERE name LIKE $1"
    assert await line.run(prepared, b"%") == [[b"2"]]


async def test_what_the_socket_does_not_take_at_once_arrives_whole(line: lines.Line) -> None:
    assert await line.run(ECHO, LARGE) == [[LARGE, None, b"f"]]


async def test_it_works_encrypted(own_server: postgres.Server) -> None:
    _encrypt(own_server)
    line = await opened(own_server.tcp_dsn() + "?sslmode=require")
    encrypted = b"SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND $1 <> ''"
    assert await line.run(encrypted, b"x") == [[b"t"]]
    assert await line.run(ECHO, LARGE) == [[LARGE, None, b"f"]]
    await line.close()


def _encrypt(server: postgres.Server) -> None:
    for path, name in zip(
        certificates.make(server.data), ("ssl_cert_file", "ssl_key_file"), strict=True
    ):
        owner = server.data.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
        server.execute(f"ALTER SYSTEM SET {name} TO '{path}'")
    server.execute("ALTER SYSTEM SET ssl TO on")
    server.execute("SELECT pg_reload_conf()")
    while server.execute("SHOW ssl") != [("on",)]:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("statement", "parameter", "error"),
    [
        (b"SELEKT $1", b"1", psycopg.errors.SyntaxError),
        (b"SELECT 1 / CAST($1 AS int)", b"0", psycopg.errors.DivisionByZero),
    ],
    ids=["when prepared", "when run"],
)
async def test_an_error_of_the_database_is_raised_as_psycopg_names_it(
    line: lines.Line, statement: bytes, parameter: bytes, error: type[psycopg.Error]
) -> None:
    with pytest.raises(error):
        await line.run(statement, parameter)


async def test_a_connection_that_is_lost_while_it_answers_is_an_error(
    line: lines.Line, dsn: str
) -> None:
    pid = await backend(line)
    asleep = asyncio.create_task(line.run(b"SELECT pg_sleep(CAST($1 AS int))", b"30"))
    await asyncio.sleep(0.1)
    await _end(dsn, pid)
    with pytest.raises(psycopg.OperationalError):
        await asleep


async def test_a_connection_that_is_lost_while_nobody_asks_fails_the_next_statement(
    line: lines.Line, dsn: str
) -> None:
    pid = await backend(line)
    await _end(dsn, pid)
    await asyncio.sleep(0.1)
    with pytest.raises(psycopg.OperationalError):
        await line.run(ECHO, b"a")


async def _end(dsn: str, pid: int) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", (pid,))


async def test_a_server_that_is_frozen_is_hung_up_on(own_server: postgres.Server) -> None:
    line = await opened(own_server.tcp_dsn(), within=0.5)
    await line.run(ECHO, b"a")
    with own_server.frozen(), pytest.raises(psycopg.OperationalError):
        async with asyncio.timeout(5):
            await line.run(ECHO, b"a")
    await line.close()


async def test_a_mistake_of_ours_while_it_waits_is_an_error_and_no_wait_for_ever(
    line: lines.Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(_line: lines.Line) -> None:
        raise ValueError("a mistake of ours")

    await line.run(ECHO, b"a")
    monkeypatch.setattr(lines.Line, "_read", mistake)
    with pytest.raises(psycopg.OperationalError, match="a mistake of ours"):
        await asyncio.wait_for(line.run(b"SELECT pg_sleep(CAST($1 AS int))", b"3"), 2)


async def test_who_is_told_to_stop_does_not_wait_for_the_answer(line: lines.Line) -> None:
    asleep = asyncio.create_task(line.run(b"SELECT pg_sleep(CAST($1 AS int))", b"30"))
    await asyncio.sleep(0.1)
    asleep.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asleep, 5)
    await asyncio.wait_for(line.close(), 5)


async def test_closing_leaves_no_descriptor_open(dsn: str) -> None:
    before = _descriptors()
    line = await opened(dsn)
    await line.run(ECHO, b"a")
    await line.close()
    await line.close()
    assert _descriptors() - before == set()


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}

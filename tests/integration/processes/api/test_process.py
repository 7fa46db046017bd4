"""`rollcall api` as the process that it is in its pod."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from rollcall.store import upgrade
from support import apiprocess, loopback, surroundings

NAME = {"name": "nowhere"}
KUBECONFIG = {
    "current-context": "nowhere",
    "clusters": [NAME | {"cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [NAME | {"user": {"token": "secret"}}],
    "contexts": [NAME | {"context": {"cluster": "nowhere", "user": "nowhere"}}],
}


def test_a_process_that_can_never_say_that_it_keeps_reports_ends_and_says_why(
    empty_dsn: str, tmp_path: Path
) -> None:
    asyncio.run(upgrade.upgrade(empty_dsn))
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("ALTER TABLE clusters DROP COLUMN kept_since")
    ended = subprocess.run(
        [sys.executable, "-m", "rollcall", "api"],
        env=environment(empty_dsn, tmp_path / "kubeconfig"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    said = ended.stdout + ended.stderr
    assert "kept_since" in said
    assert '"loop": "canary"' in said


def environment(dsn: str, kubeconfig: Path) -> dict[str, str]:
    kubeconfig.write_text(json.dumps(KUBECONFIG))
    return surroundings.without_settings() | {
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(apiprocess.CODE),
        "ROLLCALL_CLUSTER": "test",
        "ROLLCALL_DATABASE_DSN": dsn,
        "ROLLCALL_INGEST_PORT": str(loopback.free_port()),
        "ROLLCALL_HEALTH_PORT": str(loopback.free_port()),
    }


def test_a_process_that_is_told_to_end_answers_what_has_begun(
    empty_dsn: str, tmp_path: Path
) -> None:
    asyncio.run(upgrade.upgrade(empty_dsn))
    settings = environment(empty_dsn, tmp_path / "kubeconfig")
    address = ("127.0.0.1", int(settings["ROLLCALL_INGEST_PORT"]))
    with subprocess.Popen([sys.executable, "-m", "rollcall", "api"], env=settings) as process:
        try:
            with connected(address) as begun, connected(address):
                begun.sendall(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n")
                assert begun.recv(10_000)  # from here on it is quick
                begun.sendall(b"GET /healthz HTTP/1.1\r\n")
                time.sleep(0.2)  # it is read by then
                process.terminate()
                wait_until_refused(address)
                begun.sendall(b"Host: api\r\n\r\n")
                answer = begun.recv(10_000)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer


def connected(address: tuple[str, int]) -> socket.socket:
    """Connect as soon as somebody listens."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            return socket.create_connection(address, timeout=20)
        time.sleep(0.1)
    raise AssertionError("nobody listens")


def wait_until_refused(address: tuple[str, int]) -> None:
    for _ in range(200):
        try:
            socket.create_connection(address, timeout=20).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("it still listens")

"""A temporary Postgres on this machine: one of one's own, or one that a test run's workers share.

The shared one has a supervisor, a process of its own: it stops the server when the last user is
gone, however that user ended. Every user holds a shared lock on a file, which the kernel releases
with the process; the supervisor waits for the exclusive one.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

SUPERUSER = "postgres"
START_TIMEOUT = 60.0
_IN_MEMORY = Path("/dev") / "shm"  # Linux; elsewhere there is none
_ROOM = 4 << 30  # several times what a whole run takes
# No test cuts the power, so nothing waits for a disk.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_min_messages": "warning",
    "deadlock_timeout": "200ms",
}


class PostgresMissingError(Exception):
    """Says which package to install."""


@dataclass(kw_only=True)
class Server:
    """One cluster in `directory`, reached by a socket there and, with `port`, on loopback."""

    directory: Path
    port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)  # beside or instead of ours
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def create(self, like: Path | None = None) -> None:
        if like:
            _run("cp", "-a", like, self.data)
        else:
            make_data(self.data)

    def start(self) -> None:
        chosen = {**_SETTINGS, **self.settings}
        settings = [f"-c{name}={value}" for name, value in chosen.items()]
        listen = "127.0.0.1" if self.port else ""
        command = [program("postgres"), "-D", str(self.data), "-k", str(self.directory)]
        command += [f"-clisten_addresses={listen}", f"-p{self._port}", *settings]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, stdout=log, stderr=log, **_unprivileged()
            )
        self._await_start(time.monotonic() + START_TIMEOUT)

    def stop(self) -> None:
        """Shut down at once, cutting connections, as when a pod is deleted."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes in place: sockets stay open, nothing answers."""
        pids = [int(pid) for pid in _descendants(self.process.pid)] if self.process else []
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def dsn(self, database: str = "postgres") -> str:
        where = f"host={quote(str(self.directory))}&port={self._port}"
        return f"postgresql://{SUPERUSER}@/{quote(database)}?{where}"

    def tcp_dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{quote(database)}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def _port(self) -> int:
        return self.port or 5432  # also part of the socket's name

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def _await_start(self, deadline: float) -> None:
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=3).close()
            except psycopg.OperationalError:
                has_ended = self.process is None or self.process.poll() is not None
                if has_ended or time.monotonic() > deadline:
                    raise RuntimeError((self.directory / "log").read_text()[-2000:]) from None
                time.sleep(0.05)
            else:
                return


@contextlib.contextmanager
def own_server(
    *,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> Iterator[Server]:
    """Run a server for this caller alone, on a copy of `data` if that is given."""
    waits_for_disks = (settings or {}).get("fsync") == "on"
    with _directory(None if waits_for_disks else _memory()) as directory:
        server = Server(directory=directory, port=port, settings=settings or {})
        server.create(like=data)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def make_data(folder: Path) -> None:
    """Make what a new server begins with; that costs ten times what copying it does."""
    _run("initdb", "-D", folder, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "-N")


@contextlib.contextmanager
def shared_server(meeting_point: Path) -> Iterator[Server]:
    """Use the server of everybody who names the same folder; the first one starts it."""
    with (meeting_point / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with locked(meeting_point / "starting"):
            running = meeting_point / "server"
            if not running.exists():
                _start_supervisor(meeting_point, running)
            directory = Path(running.read_text())
        yield Server(directory=directory)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time in."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def program(name: str) -> str:
    """Find one of Postgres' programs on PATH or where Debian keeps them."""
    found = shutil.which(name)
    if found:
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    if not versions:
        raise PostgresMissingError(
            f"{name} was not found: install the package `postgresql` (apt-get install postgresql)"
        )
    return str(versions[-1])


def _version(path: Path) -> int:
    version = path.parts[4]
    return int(version) if version.isdigit() else 0


def _start_supervisor(meeting_point: Path, running: Path) -> None:
    with (meeting_point / "supervisor.log").open("ab") as log:
        subprocess.run(
            [sys.executable, __file__, str(meeting_point)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupted test run must not take it along half-way
            check=True,
        )
    deadline = time.monotonic() + START_TIMEOUT
    while not running.exists():
        log_text = (meeting_point / "supervisor.log").read_text()
        if log_text or time.monotonic() > deadline:
            raise RuntimeError(log_text[-2000:] or "Postgres did not start in time")
        time.sleep(0.02)


def _supervise(meeting_point: Path) -> None:
    running = meeting_point / "server"
    with own_server() as server, (meeting_point / "users").open("a") as users:
        _announce(running, server)
        fcntl.flock(users, fcntl.LOCK_EX)  # granted when no user is left
        running.unlink()


def _announce(running: Path, server: Server) -> None:
    written = running.with_suffix(".new")
    written.write_text(str(server.directory))
    written.rename(running)


def _memory() -> Path | None:
    """Return a file system in memory that has room for us: to make files there costs less.

    Measured with the tests of store and services: 129 instead of 155 seconds of the processor.
    """
    with contextlib.suppress(OSError):
        if os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free >= _ROOM:
            return _IN_MEMORY
    return None


@contextlib.contextmanager
def _directory(parent: Path | None) -> Iterator[Path]:
    # Not under pytest's own folder: that one is closed to the user whom Postgres runs as.
    directory = Path(tempfile.mkdtemp(prefix="rollcall-postgres-", dir=parent))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, _account().pw_name)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [program(name), *map(str, arguments)],
        cwd="/",
        capture_output=True,
        check=False,
        **_unprivileged(),
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])


def _unprivileged() -> dict[str, Any]:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = _account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _account() -> pwd.struct_passwd:
    for name in (SUPERUSER, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissingError("there is no account `postgres`: install the package `postgresql`")


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _descendants(int(child)))]


if __name__ == "__main__":
    if os.fork() == 0:  # whoever started us need not wait for our end
        _supervise(Path(sys.argv[1]))

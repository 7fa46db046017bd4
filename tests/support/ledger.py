"""The ledger as it lies in Postgres, read past Rollcall's own code."""

import asyncio
import base64
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import rows

from rollcall.core import errors
from support import kube as kubes
from support import kubectl

SERVICE = "rollcall-postgres"
FORWARDS_WITHIN = 15.0  # seconds until kubectl says which port it took
OPEN = frozenset({"pending", "queued", "running"})
_EXECUTIONS = """
SELECT c.name AS cronjob, c.uid AS cronjob_uid, e.id, e.slot_at, e.trigger, e.status, e.reason,
       e.message, e.exit_code, e.job_name, e.job_uid, e.created_at, e.started_at, e.ended_at,
       e.attempts
FROM executions e JOIN cronjobs c ON c.id = e.cronjob_id
WHERE c.namespace = %s ORDER BY c.name, e.slot_at, e.created_at"""
_GAPS = """
SELECT c.name AS cronjob, g.from_at, g.until_at, g.status, g.reason, g.count
FROM gaps g JOIN cronjobs c ON c.id = g.cronjob_id
WHERE c.namespace = %s ORDER BY c.name, g.from_at"""
_INDICES = """
SELECT a.index FROM attempts a JOIN cronjobs c ON c.id = a.cronjob_id
WHERE c.namespace = %s AND c.name = %s ORDER BY a.index"""
_REPORTS = """
SELECT a.pod_uid, a.done, a.total, a.stage, a.counters, a.errors, a.dead_letters, a.result,
       a.result_message, a.metadata, a.lost
FROM attempts a JOIN cronjobs c ON c.id = a.cronjob_id
WHERE c.namespace = %s AND c.name = %s ORDER BY a.slot_at, a.created_at"""
_WINDOWS = """
SELECT w.from_at, w.until_at, w.state
FROM windows w JOIN cronjobs c ON c.id = w.cronjob_id
WHERE c.namespace = %s AND c.name = %s ORDER BY w.slot_at, w.opened_at"""
_BACKDATE = (
    """UPDATE schedule_revisions r SET effective_from = r.effective_from - %s
    FROM cronjobs c WHERE c.id = r.cronjob_id AND c.namespace = %s AND c.name = %s""",
    """UPDATE cronjobs SET created_at = created_at - %s, next_check_at = now()
    WHERE namespace = %s AND name = %s""",
)
_AWAY = (psycopg.OperationalError, OSError, queue.Empty, subprocess.SubprocessError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One execution, as stored."""

    cronjob: str
    cronjob_uid: str  # of the TrackedCronJob
    id: object
    slot_at: datetime
    trigger: str
    status: str
    reason: str | None
    message: str | None
    exit_code: int | None
    job_name: str | None
    job_uid: str | None
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A row that stands for many slots, or for a time."""

    cronjob: str
    from_at: datetime
    until_at: datetime | None
    status: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one pod reported, as stored."""

    pod_uid: str
    done: float | None
    total: float | None
    stage: str | None
    counters: dict[str, float] | None
    errors: int
    dead_letters: int
    result: str | None
    result_message: str | None
    metadata: dict[str, Any] | None
    lost: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time that a run was given."""

    from_at: datetime
    until_at: datetime
    state: str


class Ledger:
    """Reads through a forwarded port, which is made anew when it broke. Close it."""

    def __init__(self) -> None:
        self._forward: subprocess.Popen[str] | None = None
        self._port = 0
        self._password = ""

    async def rows(self, place: kubes.Place, name: str | None = None) -> list[Row]:
        """Return the executions of a namespace's jobs, or of one, in order of their slots."""
        found = await self.ask(_EXECUTIONS, place.name)
        return [Row(**row) for row in found if name in {None, row["cronjob"]}]

    async def gaps(self, place: kubes.Place, name: str | None = None) -> list[Gap]:
        """Return the gaps of a namespace's jobs, or of one."""
        found = await self.ask(_GAPS, place.name)
        return [Gap(**row) for row in found if name in {None, row["cronjob"]}]

    async def reports(self, place: kubes.Place, name: str) -> list[Told]:
        """Return what each pod of a job reported, in order of their slots."""
        return [Told(**row) for row in await self.ask(_REPORTS, place.name, name)]

    async def windows(self, place: kubes.Place, name: str) -> list[Window]:
        """Return the windows of a job, in order of their slots."""
        return [Window(**row) for row in await self.ask(_WINDOWS, place.name, name)]

    async def indices(self, place: kubes.Place, name: str) -> list[int]:
        """Return the completion index of each attempt of a job."""
        return [row["index"] for row in await self.ask(_INDICES, place.name, name)]

    async def wait(
        self,
        place: kubes.Place,
        name: str,
        within: float,
        *,
        what: str,
        good: Callable[[Sequence[Row]], object] = bool,
    ) -> list[Row]:
        """Wait until the rows of a job are as they shall be, and return them."""

        async def look() -> list[Row]:
            return await self.rows(place, name)

        return await kubes.eventually(look, within, what=what, good=good)

    async def ended(self, place: kubes.Place, name: str, within: float) -> Row:
        """Wait until a job's first execution has ended, and return it."""
        rows = await self.wait(
            place,
            name,
            within,
            what=f"an ended run of {place.name}/{name}",
            good=lambda rows: rows and rows[0].status not in OPEN,
        )
        return rows[0]

    async def reached(self, place: kubes.Place, name: str, status: str, within: float) -> Row:
        """Wait until an execution of a job has a status, and return the first that has."""
        rows = await self.wait(
            place,
            name,
            within,
            what=f"a run of {place.name}/{name} that is {status}",
            good=lambda rows: [row for row in rows if row.status == status],
        )
        return next(row for row in rows if row.status == status)

    def close(self) -> None:
        """End the forwarding."""
        if self._forward:
            self._forward.kill()
            self._forward.wait()
            if self._forward.stdout:
                self._forward.stdout.close()
        self._forward = None

    async def ask(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Return what a query finds."""
        return await asyncio.to_thread(self._execute, query, parameters, fetch=True)

    async def backdate(self, place: kubes.Place, name: str, by: timedelta) -> None:
        """Let a job have been known for longer than it was: what otherwise only time can do."""
        for statement in _BACKDATE:
            parameters = (by, place.name, name)
            await asyncio.to_thread(self._execute, statement, parameters, fetch=False)

    def _execute(
        self, statement: str, parameters: Sequence[object], *, fetch: bool
    ) -> list[dict[str, Any]]:
        try:
            with self._connect() as connection:
                cursor = connection.execute(statement.encode(), parameters)
                return cursor.fetchall() if fetch else []
        except _AWAY as error:
            self.close()
            raise errors.ClusterUnavailable(f"Postgres: {error}") from error

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        if self._forward is None or self._forward.poll() is not None:
            self.close()
            self._password = self._password or _password()
            self._forward, self._port = _forward()
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user="rollcall",
            dbname="rollcall",
            password=self._password,
            connect_timeout=5,
            autocommit=True,
            row_factory=rows.dict_row,
        )


def _password() -> str:
    path = ("-n", kubes.SYSTEM, "get", "secret", SERVICE, "-o", "jsonpath={.data.password}")
    done = subprocess.run(kubectl.command(*path), capture_output=True, check=True, timeout=30)
    return base64.b64decode(done.stdout).decode()


def _forward() -> tuple[subprocess.Popen[str], int]:
    command = kubectl.command(
        "-n", kubes.SYSTEM, "port-forward", f"pod/{SERVICE}-0", "--address=127.0.0.1", ":5432"
    )
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        with suppress(ValueError):  # closed by us
            for line in process.stdout or ():
                lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    try:
        said = lines.get(timeout=FORWARDS_WITHIN)
    except queue.Empty:
        process.kill()
        process.wait()
        raise
    port = re.search(r"127\.0\.0\.1:(\d+)", said)
    return process, int(port[1]) if port else 0

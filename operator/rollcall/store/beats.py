"""Heartbeats and results in one statement, on a connection of their own.

Most batches hold nothing else. A statement alone is a transaction: to begin and end one costs both
sides as much as some twenty heartbeats.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from rollcall.core import reporting
from rollcall.store import columns, connections, heard, lines

# The planner takes a batch for a hundred pods, whatever its size, and would then read all pods
# twice to write a few: half as costly by its figures, four times as costly on the clock.
BY_KEY = dict.fromkeys(("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "off")
_UTF8 = {"client_encoding": "UTF8"}  # what is sent, whatever the database keeps its texts in
_SET = (
    b"SELECT set_config(name, value, false) FROM json_each_text(CAST($1 AS json)) AS s(name, value)"
)


class Beats:
    """Writes batches one after the other. After a failure the next one connects anew.

    `settings` are Postgres', for as long as a connection lasts.
    """

    def __init__(self, connect: connections.Connect, *, settings: Mapping[str, str]) -> None:
        self._connect = connect
        self._settings = columns.dumps({**settings, **BY_KEY, **_UTF8}).encode()
        self._line: lines.Line | None = None
        self._connected_at = 0.0

    async def keep(
        self, reports: Sequence[reporting.Report], now: datetime
    ) -> Mapping[str, reporting.Kept]:
        """Keep heartbeats, progress and results; raises psycopg.Error, and mostly nothing is kept.

        Where there are results or stages it returns of all pods that were written what became of
        them. Not written are those that enter a stage, and those that are unknown.

        Where the connection is lost at COMMIT it may be: who repeats them counts them twice.

        `now` is what the reports' times are counted back from, on whatever clock.
        """
        statement, told = heard.plain(reports, now)
        try:
            line = await self._open()
            rows = await line.run(statement, told)
        except BaseException:
            await self.close()
            raise
        return dict(_kept(*row) for row in rows)

    async def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line:
            await line.close()

    async def _open(self) -> lines.Line:
        age = time.monotonic() - self._connected_at
        if self._line and age > connections.POOL_RECYCLE:
            await self.close()
        if self._line is None:
            self._line = await lines.Line.over(await self._connect())
            await self._line.run(_SET, self._settings)
            self._connected_at = time.monotonic()
        return self._line


def _kept(pod_uid: bytes | None, counts: bytes | None) -> tuple[str, reporting.Kept]:
    return (pod_uid or b"").decode(), reporting.Kept(is_news=counts == b"t")

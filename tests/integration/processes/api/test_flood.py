"""One pod that sends as fast as it can, and what becomes of all others."""

import asyncio
import collections
import json
import time

import psycopg
import pytest

from rollcall.services import ingest
from support import apiprocess, kube, lines, reporting

SECONDS = 3.0
LINES = 128
AT_ONCE = 16  # as many as the api takes before the first is answered
BOOT = "0123456789abcdef"


def progress(done: int) -> bytes:
    said = {"seq": done, "at": "2026-03-02T12:00:10Z", "done": done}
    return lines.post("pod-1", json.dumps(reporting.report(boot=BOOT, progress=said)).encode())


class Flood:
    """Pipelined reports over many connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._until = time.monotonic() + SECONDS
        self.answers = collections.Counter[int]()
        self.waits: set[str | None] = set()
        self.done = 0

    async def run(self) -> None:
        await asyncio.gather(*(self._line() for _ in range(LINES)))

    async def _line(self) -> None:
        async with lines.line(self._port) as line:
            while time.monotonic() < self._until:
                line.send(b"".join(self._next() for _ in range(AT_ONCE)))
                for _ in range(AT_ONCE):
                    answer = await line.answer()
                    self.answers[answer.status] += 1
                    if answer.status == 429:
                        self.waits.add(answer.headers.get("retry-after"))

    def _next(self) -> bytes:
        self.done += 1
        return progress(self.done)


@pytest.mark.timeout(120)
async def test_a_pod_that_sends_without_end_is_told_to_wait_and_nobody_else(
    api: apiprocess.Api, api_dsn: str
) -> None:
    # Known, as a sidecar is after its first report.
    assert (await lines.ask(api.port, lines.post("pod-1"))).status == 200
    started = time.monotonic()
    flood = Flood(api.port)
    async with lines.unaffected(api.port, "pod-2"):
        await flood.run()
    seconds = time.monotonic() - started

    assert set(flood.answers) == {200, 429}
    assert flood.answers[429] > 1000
    assert flood.answers[429] <= LINES * (seconds + 1)  # a line is told once a second
    assert flood.answers[200] <= ingest.BURST + ingest.REPORTS_PER_SECOND * (seconds + 1)
    assert flood.waits == {"1"}

    sent = flood.answers.total() + 1

    async def heard() -> int:
        return _pod(api_dsn)[0]

    await kube.eventually(heard, 20, what=f"{sent} heartbeats", good=lambda beats: beats == sent)
    await asyncio.sleep(1)
    last = flood.done + 1
    assert (await lines.ask(api.port, progress(last))).status == 200
    assert _pod(api_dsn) == (sent + 1, last)


def _pod(dsn: str) -> tuple[int, int]:
    """Return how often the pod was heard, and how far it said it is."""
    with psycopg.connect(dsn) as connection:
        query = "SELECT heartbeats, done FROM attempts WHERE pod_uid = 'pod-1'"
        row = connection.execute(query).fetchone()
        assert row
        return int(row[0]), int(row[1] or 0)

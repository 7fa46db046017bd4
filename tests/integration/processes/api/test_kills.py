"""The api is killed in the middle: what was acknowledged is there, and everything is there once."""

import asyncio
import functools
import json
import operator
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollcall.store import engine
from support import builders, kube, reporting, said

JOB = builders.job()
RUN = builders.execution(JOB)
PODS = [f"pod-{number}" for number in range(5)]
BOOT = "0123456789abcdef"
AT = "2026-03-02T12:00:10Z"
ITEMS = 45  # of each pod
KILLS = 4
TESTS = Path(__file__).parents[3]
SERVER = TESTS / "support/ingestserver.py"


class Server:
    """The api in a process of its own."""

    def __init__(self, dsn: str, socket: Path) -> None:
        self._command = [sys.executable, str(SERVER), dsn, str(socket)]
        places = f"{TESTS.with_name('operator')}{os.pathsep}{TESTS}"
        self._environment = os.environ | {"PYTHONPATH": places}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, env=self._environment)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Make a client that connects anew for each request: servers come and go."""
    transport = httpx.AsyncHTTPTransport(
        uds=str(tmp_path / "api"), limits=httpx.Limits(max_keepalive_connections=0)
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://api", timeout=5) as client:
        yield client


@pytest.fixture
def api(dsn: str, tmp_path: Path) -> Iterator[Server]:
    """Start the api on an empty database."""
    running = Server(dsn, tmp_path / "api")
    running.start()
    yield running
    running.kill()


def item(seq: int) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [
        {"kind": "error", "type": "timeout", "message": f"no answer to {seq}"},
        {"kind": "checkpoint", "value": seq},
        {"kind": "deadLetter", "item": f"order-{seq}"},
    ]
    return {"seq": seq, "at": AT} | kinds[seq % 3]


class Sidecar:
    """Sends a pod's items in small reports until all are acknowledged, as the real one does."""

    def __init__(self, http: httpx.AsyncClient, pod: str, chance: random.Random) -> None:
        self._http = http
        self._pod = pod
        self._chance = chance
        self.acknowledged = 0
        self.failures = 0

    async def run(self) -> None:
        while self.acknowledged < ITEMS:
            end = min(ITEMS, self.acknowledged + self._chance.randint(1, 4))
            await self._send(range(self.acknowledged + 1, end + 1))
            await asyncio.sleep(self._chance.uniform(0.01, 0.1))

    async def _send(self, seqs: range) -> None:
        body = reporting.report(boot=BOOT, items=[item(seq) for seq in seqs])
        try:
            answer = await reporting.send(self._http, json.dumps(body).encode(), bearer=self._pod)
        except httpx.TransportError:
            self.failures += 1
            return
        if answer.status_code == 200:
            assert answer.json()["items"] == {"through": seqs[-1], "refused": []}
            self.acknowledged = seqs[-1]
        else:
            assert answer.status_code in {429, 503}


@pytest.mark.timeout(180)  # each start of the api imports all of it
async def test_nothing_acknowledged_is_lost_and_nothing_counts_twice(
    store: engine.Database, http: httpx.AsyncClient, api: Server
) -> None:
    await said.prepare(store, *PODS, run=RUN, job=JOB)
    chance = random.Random(7)
    sidecars = [Sidecar(http, pod, random.Random(pod)) for pod in PODS]

    async def progress() -> int:
        return sum(one.acknowledged for one in sidecars)

    running = asyncio.gather(*(one.run() for one in sidecars))
    for number in range(KILLS):
        goal = (number + 1) * len(PODS) * ITEMS // (KILLS + 2)
        is_reached = functools.partial(operator.le, goal)
        await kube.eventually(progress, 50, what="some progress", good=is_reached)
        await asyncio.sleep(chance.uniform(0, 0.05))
        api.kill()
        api.start()
    await running

    assert sum(one.failures for one in sidecars) >= KILLS
    each = ITEMS // 3
    errors = await said.rows(store, "SELECT pod_uid, seq FROM execution_errors")
    assert sorted(errors) == sorted((pod, seq) for pod in PODS for seq in range(3, ITEMS + 1, 3))
    (total,) = await said.rows(store, "SELECT sum(count) FROM error_signatures")
    assert total[0] == each * len(PODS)
    letters = await said.rows(store, "SELECT item, count(*) FROM dead_letters GROUP BY item")
    assert sorted(letters) == sorted((f"order-{seq}", len(PODS)) for seq in range(2, ITEMS + 1, 3))
    async with store.transaction() as unit:
        heard = await unit.reports.of(RUN.id)
    assert {(one.errors, one.dead_letters) for one in heard} == {(each, each)}
    newest = await said.rows(store, "SELECT value FROM checkpoints ORDER BY seq DESC LIMIT 1")
    assert newest == [(ITEMS - 2,)]

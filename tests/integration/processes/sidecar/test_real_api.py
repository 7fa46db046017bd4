"""What a program says, through the real sidecar and the real api, into the real store."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.services import ingest
from rollcall.store import engine
from support import (
    builders,
    ingestserver,
    kube,
    ledger,
    loopback,
    reportaudit,
    reporting,
    reportload,
    sidecars,
)

JOB = builders.job()
RUN = builders.execution(JOB)


@contextlib.asynccontextmanager
async def served(store: engine.Database) -> AsyncIterator[int]:
    """Run the api for one pod, pod-1."""
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(RUN)
        await unit.attempts.observe({RUN: [builders.attempt("pod-1", job_uid=RUN.job_uid)]})
    use_case = ingest.Ingest(
        store=store,
        reviewer=reporting.Reviewer(good=reporting.caller("pod-1")),
        lookup=reporting.Lookup(),
        cluster=builders.CLUSTER,
        on_outcome=lambda _: None,
    )
    port = loopback.free_port()
    async with ingestserver.served(use_case, port):
        yield port


async def rows(store: engine.Database, query: str) -> list[tuple[Any, ...]]:
    async with store.transaction() as unit:
        return [tuple(row) for row in await unit.connection.execute(sa.text(query))]


def next_to(
    folder: Path, port: int, program: Callable[[sidecars.Sidecar], dict[str, Any]]
) -> dict[str, Any]:
    """Run a program next to a sidecar of its own; return what it returns."""
    token = folder / "token"
    token.write_text("good")
    settings = {
        "ingest_url": f"http://127.0.0.1:{port}",
        "token_file": str(token),
        "pod_uid": "pod-1",
    }
    with sidecars.running(folder, settings) as sidecar:
        found = program(sidecar)
        assert sidecar.stop()[0] == 0
        assert sidecar.last_words is None
    return found


def reports_everything(sidecar: sidecars.Sidecar) -> dict[str, Any]:
    told: dict[str, Any] = sidecar.ask("/run?wait=20s").json
    answers = [
        sidecar.post("/progress?wait=20s", done=40, total=100, counters={"rows": 400}),
        sidecar.post("/checkpoint?wait=20s", value={"page": 7}),
        sidecar.post("/error?wait=20s", type="timeout", message="no answer after 30 s\0"),
        sidecar.post("/dead-letter?wait=20s", item="order-17", payload={"id": 17}),
        sidecar.post("/result?wait=20s", result="partial", metadata={"table": "orders"}),
    ]
    assert [(one.status, one.json["committed"]) for one in answers] == [(200, True)] * 5
    return told


async def test_everything_that_a_program_says_is_stored_before_it_is_told_so(
    store: engine.Database, tmp_path: Path
) -> None:
    async with served(store) as port:
        told = await asyncio.to_thread(next_to, tmp_path, port, reports_everything)
    assert told["complete"] is True
    assert told["executionId"] == str(RUN.id)
    assert told["idempotencyKey"]
    assert told["checkpoint"] is None
    assert await rows(store, "SELECT seq, value FROM checkpoints") == [(1, {"page": 7})]
    assert await rows(store, "SELECT seq, type, message FROM execution_errors") == [
        (2, "timeout", "no answer after 30 s\ufffd")
    ]
    assert await rows(store, "SELECT item, payload, state FROM dead_letters") == [
        ("order-17", {"id": 17}, "open")
    ]
    assert await rows(store, "SELECT done, total, counters, result, metadata FROM attempts") == [
        (40.0, 100.0, {"rows": 400}, "partial", {"table": "orders"})
    ]


async def test_a_sidecar_that_starts_again_is_told_where_the_run_had_got_to(
    store: engine.Database, tmp_path: Path
) -> None:
    async with served(store) as port:
        await asyncio.to_thread(next_to, tmp_path, port, reports_everything)
        again = await asyncio.to_thread(
            next_to, tmp_path, port, lambda sidecar: sidecar.ask("/run?wait=20s").json
        )
    assert again["checkpoint"]["value"] == {"page": 7}
    assert again["checkpoint"]["execution"] == str(RUN.id)


class Ledger(ledger.Ledger):
    """The ledger of a database without a cluster around it."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn

    @override
    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(self._dsn, row_factory=dict_row)


def reports_for_a_while(sidecar: sidecars.Sidecar, **options: object) -> dict[str, Any]:
    """Run the program of the tests on a real cluster, and tell it to end after two seconds."""
    options = {"pause": [0.0, 0.1], **options}
    command = [sys.executable, "-", "mark", json.dumps(options)]
    environ = {"ROLLCALL_URL": f"http://127.0.0.1:{sidecar.port}"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdin
        program.stdin.write(reportload.PROGRAM)
        program.stdin.close()
        time.sleep(2)
        program.send_signal(signal.SIGTERM)
        assert program.stdout
        printed: dict[str, Any] = json.loads(program.stdout.read())
    assert program.returncode == 0
    return printed


@pytest.mark.parametrize("wait", ["", "20s"], ids=["at-once", "waiting"])
async def test_all_that_a_busy_program_was_told_is_true(
    store: engine.Database, dsn: str, tmp_path: Path, wait: str
) -> None:
    async with served(store) as port:
        printed = await asyncio.to_thread(
            next_to, tmp_path, port, lambda sidecar: reports_for_a_while(sidecar, wait=wait)
        )
    said = reportload.read(printed)
    assert (said.refused, said.unanswered, said.lost, said.delivered) == ({}, [], {}, True)
    assert bool(said.committed["error"]) is bool(wait)
    assert said.slowest[0] < 1
    place = kube.Place(kube=reporting.ReviewServer({}), name=JOB.namespace, image="")
    stored = await reportload.stored(Ledger(dsn), place, JOB.name)
    assert {kind for kind, _ in stored.items} == {"error", "deadLetter", "checkpoint"}
    assert reportaudit.findings([said], stored) == []

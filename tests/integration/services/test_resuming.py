"""The whole way on one machine: programs, real sidecars, the real ingest API, the real store."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from rollcall.core import executions, reporting, windows
from rollcall.core.executions import Status
from rollcall.services import ingest
from rollcall.store import engine
from support import builders, ingestserver, loopback, programs, sidecars
from support import reporting as reports

AT = builders.SLOT_AT
HOUR = timedelta(hours=1)
JOB = builders.job(policy={"window": {"initial": "1h"}})


@contextlib.asynccontextmanager
async def served(store: engine.Database) -> AsyncIterator[int]:
    """Serve the ingest API; the token of a pod is its UID."""
    use_case = ingest.Ingest(
        store=store,
        reviewer=reports.Reviewer(**{pod: reports.caller(pod) for pod in ("first", "second")}),
        lookup=reports.Lookup(),
        cluster=builders.CLUSTER,
    )
    port = loopback.free_port()
    async with ingestserver.served(use_case, port):
        yield port


async def begins(store: engine.Database, pod: str, slot: int) -> executions.Execution:
    run = builders.execution(JOB, slot_at=AT + slot * HOUR, status=Status.RUNNING)
    attempt = builders.attempt(pod, job_uid=run.job_uid, created_at=run.slot_at)
    async with store.transaction() as unit:
        await unit.ledger.save(run)
        await unit.attempts.observe({run: [attempt]})
    return run


async def ends(store: engine.Database, slot: int, status: Status) -> None:
    async with store.transaction() as unit:
        run = builders.execution(JOB, slot_at=AT + slot * HOUR, status=status)
        await unit.ledger.save(run)


def run_program(script: str, folder: Path, token: str, api: int) -> int:
    """Run a program beside its sidecar, as in a pod; return its exit code."""
    (folder / token).write_text(token)
    settings: Mapping[str, str] = {
        "ingest_url": f"http://127.0.0.1:{api}",
        "heartbeat_seconds": "1",
        "token_file": str(folder / token),
    }
    with sidecars.running(folder, settings) as sidecar:
        url = f"http://127.0.0.1:{sidecar.port}"
        done = subprocess.run(
            ["sh", "-c", script], env={**os.environ, "ROLLCALL_URL": url}, check=False, timeout=60
        )
        sidecar.stop()
    return done.returncode


@pytest.mark.timeout(60)
@pytest.mark.parametrize("script", [programs.PYTHON, programs.SHELL], ids=["python", "shell"])
async def test_a_run_that_fails_half_way_is_taken_up_by_the_next_one(
    store: engine.Database, tmp_path: Path, script: str
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        hourly = builders.revision(schedule="0 * * * *")
        await unit.registry.applied(JOB.id, builders.applied(hourly))
    async with served(store) as port:
        failed = await begins(store, "first", 0)
        code = await asyncio.to_thread(run_program, script, tmp_path, "first", port)
        assert code == 3
        await ends(store, 0, Status.FAILED)
        second = await begins(store, "second", 1)
        code = await asyncio.to_thread(run_program, script, tmp_path, "second", port)
        assert code == 0
    async with store.transaction() as unit:
        (before,) = await unit.reports.of(failed.id)
        (after,) = await unit.reports.of(second.id)
        held = await unit.windows.open_of(JOB.id, unit.now)
    assert (before.errors, before.result, before.lost) == (1, None, {})
    assert before.progress is not None
    assert (before.progress.done, before.progress.counters) == (2, {"rows": 20})
    assert (after.result, after.result_message) == (reporting.Verdict.SUCCEEDED, "from 2 to 4")
    assert after.final_at is not None
    assert held is not None
    assert held.lease.stretch == windows.Stretch(from_at=AT - HOUR, until_at=AT + HOUR)

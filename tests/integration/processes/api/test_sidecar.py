"""The real sidecar, the real server, the real store."""

import asyncio
from pathlib import Path

import sqlalchemy as sa

from rollcall.services import ingest
from rollcall.store import engine
from support import builders, ingestserver, loopback, reporting, sidecars

JOB = builders.job()
RUN = builders.execution(JOB)


async def heartbeats(store: engine.Database) -> int:
    async with store.transaction() as unit:
        found = await unit.connection.execute(sa.text("SELECT heartbeats FROM attempts"))
        return int(found.scalar_one())


async def test_a_sidecar_learns_its_run_and_its_heartbeats_are_stored(
    store: engine.Database, tmp_path: Path
) -> None:
    async with store.transaction() as unit:
        await unit.registry.register(JOB)
        await unit.ledger.save(RUN)
        await unit.attempts.observe({RUN: [builders.attempt("pod-1", job_uid=RUN.job_uid)]})
    token = tmp_path / "token"
    token.write_text("good")
    reviewer = reporting.Reviewer(good=reporting.caller("pod-1"))
    outcomes: list[str] = []
    use_case = ingest.Ingest(
        store=store,
        reviewer=reviewer,
        lookup=reporting.Lookup(),
        cluster=builders.CLUSTER,
        on_outcome=outcomes.append,
    )
    port = loopback.free_port()
    settings = {
        "ingest_url": f"http://127.0.0.1:{port}",
        "heartbeat_seconds": "1",
        "token_file": str(token),
    }

    def live() -> tuple[dict[str, object], int]:
        with sidecars.running(tmp_path, settings) as sidecar:
            known = sidecar.run_when(lambda run: run["heartbeat"]["acknowledged"] >= 2)
            code, _ = sidecar.stop()
            return known["execution"], code

    async with ingestserver.served(use_case, port):
        execution, code = await asyncio.to_thread(live)
    assert code == 0
    assert (execution["id"], execution["cronjob"]) == (str(RUN.id), "report")
    assert set(outcomes) == {"acknowledged"}
    assert len(outcomes) >= 3  # two, and the last words
    # The last words may come together with a heartbeat.
    assert len(outcomes) - 1 <= await heartbeats(store) <= len(outcomes)

"""Two processes at one outbox with 10,000 messages: none is claimed twice, none is left."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from rollcall.store import engine
from support import builders

ROOT = Path(__file__).parents[4]
MESSAGES = 10_000
# As many incidents of one job, one after the other.
FILL = """
    WITH opened AS (
        INSERT INTO incidents (
            id, cronjob_id, kind, severity, reason, message, evidence, reasons, opened_at,
            resolved_at, version
        )
        SELECT gen_random_uuid(), :job, 'failing', 'warning', 'Error', '1 run failed', '{}', '{}',
            now(), now(), 1
        FROM generate_series(1, :count)
        RETURNING id
    )
    INSERT INTO notifications (
        incident_id, cluster, channel, key, type, payload, created_at, next_at
    )
    SELECT id, :cluster, 'team', id || '.1', 'incident.opened', '{}', now(), now() FROM opened
"""


@pytest.mark.timeout(180)
async def test_each_message_is_claimed_once(
    store: engine.Database, dsn: str, tmp_path: Path
) -> None:
    job = builders.job()
    async with store.transaction() as unit:
        await unit.registry.register(job)
        given = {"job": job.id, "count": MESSAGES, "cluster": builders.CLUSTER}
        await unit.connection.execute(sa.text(FILL), given)
    files = [tmp_path / "first", tmp_path / "second"]
    workers = [await _start(dsn, file) for file in files]
    assert await asyncio.gather(*(worker.wait() for worker in workers)) == [0, 0]

    claimed = [file.read_text().split() for file in files]
    assert all(claimed)  # both took part
    together = sorted(map(int, claimed[0] + claimed[1]))
    assert len(set(together)) == len(together) == MESSAGES
    async with store.transaction() as unit:
        left = await unit.connection.execute(
            sa.text("SELECT status, count(*), max(attempts) FROM notifications GROUP BY status")
        )
        assert [tuple(row) for row in left] == [("delivered", MESSAGES, 1)]


async def _start(dsn: str, file: Path) -> asyncio.subprocess.Process:
    places = os.pathsep.join(str(ROOT / part) for part in ("operator", "tests"))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "support.claiming", dsn, str(file)),
        env=os.environ | {"PYTHONPATH": places},
    )

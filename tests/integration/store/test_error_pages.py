"""Pages of errors, and what is read for them."""

from typing import Any

import sqlalchemy as sa

from rollcall.services import error_groups
from rollcall.store import engine
from support import builders, said

JOB = builders.job()
RUN = builders.execution(JOB)
OF_OTHER_JOBS = """
    INSERT INTO execution_errors (pod_uid, boot, seq, execution_id, slot_at, cronjob_id, at, type,
        message, fingerprint)
    SELECT job.name, boot, number, execution_id, slot_at, job.id, at, type, message, 'another'
    FROM execution_errors, cronjobs AS job, generate_series(1, 200) AS number
    WHERE job.id <> cronjob_id
"""


async def test_of_a_group_only_the_errors_of_its_jobs_are_read(store: engine.Database) -> None:
    await said.prepare(store, "pod-1", run=RUN, job=JOB)
    await said.keep(store, said.report("pod-1", said.error()))
    ((fingerprint,),) = await said.rows(store, "SELECT fingerprint FROM execution_errors")
    async with store.transaction() as unit:
        for number in range(50):
            await unit.registry.register(builders.job(f"other-{number}"))
    await said.rows(store, OF_OTHER_JOBS)
    await said.rows(store, "ANALYZE execution_errors, error_signatures, attempts, cronjobs")
    choice = error_groups.Choice(cluster=builders.CLUSTER, fingerprint=fingerprint)
    async with store.transaction() as unit:
        calls: list[Any] = []
        sa.event.listen(
            unit.connection.sync_connection,
            "before_cursor_execute",
            lambda *call: calls.append(call[2:4]),
        )
        page = await unit.error_pages.errors(choice, limit=10)
        statement, parameters = calls[0]
        plan = await unit.connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        text = "\n".join(plan.scalars())
    assert [one.message for one in page.items] == ["no answer"]
    assert "execution_errors_cronjob_idx" in text
    assert "Seq Scan on execution_errors" not in text

"""Runs longer than the interval between their slots, under each concurrency policy."""

from datetime import timedelta

from support import kube as kubes
from support import ledger as ledgers


async def test_under_allow_runs_overlap_and_each_has_its_row(
    namespace: kubes.Place, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("wide", "sleep 70", concurrencyPolicy="Allow")
    rows = await ledger.wait(
        namespace,
        "wide",
        200,
        what="two runs at once",
        good=lambda rows: [row.status for row in rows] == ["running", "running"],
    )
    assert rows[1].slot_at - rows[0].slot_at == kubes.MINUTE
    first = await ledger.ended(namespace, "wide", 60)
    assert (first.status, first.slot_at) == ("succeeded", rows[0].slot_at)


async def test_under_forbid_a_slot_that_could_not_start_is_skipped_for_the_run_before(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job(
        "single", "sleep 80", concurrencyPolicy="Forbid", startingDeadlineSeconds=10
    )
    skipped = await ledger.reached(namespace, "single", "skipped", 300)
    assert skipped.reason == "ForbidConcurrent"
    before = await ledger.ended(namespace, "single", 10)
    assert before.status == "succeeded"
    assert before.job_name
    assert before.job_name in (skipped.message or "")
    assert skipped.slot_at - before.slot_at == kubes.MINUTE
    assert skipped.job_uid is None
    statuses = {row.status for row in await ledger.rows(namespace)}
    assert statuses <= {"succeeded", "skipped", "running", "pending"}
    assert await receiver.of(namespace) == []


async def test_under_forbid_a_slot_starts_late_where_its_deadline_allows_it(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("patient", "sleep 80", concurrencyPolicy="Forbid")
    rows = await ledger.wait(
        namespace,
        "patient",
        240,
        what="a second run",
        good=lambda rows: len(rows) == 2 and rows[1].started_at,
    )
    late = rows[1]
    assert late.slot_at - rows[0].slot_at == kubes.MINUTE
    assert late.started_at
    assert late.started_at - late.slot_at > timedelta(seconds=15)
    assert late.status == "running"
    assert await receiver.of(namespace) == []


async def test_under_replace_the_run_before_is_replaced(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("newest", kubes.HANG, concurrencyPolicy="Replace")
    rows = await ledger.wait(
        namespace,
        "newest",
        200,
        what="a replaced run and its successor",
        good=lambda rows: [row.status for row in rows] == ["replaced", "running"],
    )
    assert rows[0].reason == "Replaced"
    assert rows[1].slot_at - rows[0].slot_at == kubes.MINUTE
    assert rows[0].ended_at
    assert await receiver.of(namespace) == []

"""Suspended and resumed, and schedules that have long been missed: no start that nobody expects."""

import asyncio
from datetime import UTC, datetime, timedelta

from support import kube as kubes
from support import ledger as ledgers

SOMEBODY = "somebody"  # a field manager that is not ours
SLOTS = 3  # that pass while a job is suspended


async def test_slots_of_a_suspension_neither_run_nor_count_nor_start_at_its_end(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("paused")
    await ledger.ended(namespace, "paused", 150)
    await namespace.apply_job("paused", suspend=True)
    await namespace.health("paused", "Suspended", 60)
    begin = datetime.now(UTC)
    await asyncio.sleep(SLOTS * 60)
    end = datetime.now(UTC)
    await namespace.apply_job("paused", suspend=False)
    await ledger.wait(
        namespace,
        "paused",
        100,
        what="a run after the resumption",
        good=lambda rows: rows[-1].slot_at > end and rows[-1].status == "succeeded",
    )
    await namespace.health("paused", "Healthy", 20)
    rows = await ledger.rows(namespace)
    assert [row for row in rows if begin <= row.slot_at <= end] == []
    assert {row.status for row in rows} == {"succeeded"}
    assert await receiver.of(namespace) == []


async def test_a_suspension_by_hand_is_respected_by_the_ledger(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("held", startingDeadlineSeconds=10)
    await ledger.ended(namespace, "held", 150)
    path = namespace.cronjobs("held")
    await namespace.kube.merge(path, {"spec": {"suspend": True}}, manager=SOMEBODY)
    status = await namespace.health("held", "Suspended", 60)
    assert status["openIncidents"] == 0
    await asyncio.sleep(195)  # the slots from the second on would be judged by now
    end = datetime.now(UTC)
    await namespace.kube.merge(path, {"spec": {"suspend": False}}, manager=SOMEBODY)
    await ledger.wait(
        namespace,
        "held",
        100,
        what="a run after the hand let go",
        good=lambda rows: rows[-1].slot_at > end and rows[-1].status == "succeeded",
    )
    # Kubernetes itself starts the newest slot when a hand resumes: a run like any other.
    assert {row.status for row in await ledger.rows(namespace)} == {"succeeded"}
    assert await receiver.of(namespace) == []


async def test_where_kubernetes_has_missed_more_than_a_hundred_slots_the_next_runs_are_recorded(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("behind")
    await namespace.condition("behind", "Ready", "Reconciled")
    long_ago = datetime.now(UTC) - timedelta(hours=5)
    status = {"lastScheduleTime": long_ago.strftime("%Y-%m-%dT%H:%M:%SZ")}
    path = namespace.cronjobs("behind")
    await namespace.kube.merge(f"{path}/status", {"status": status}, manager=SOMEBODY)
    await kubes.eventually(
        lambda: _reasons(namespace, "behind"),
        90,
        what="Kubernetes says that it missed too many",
        good=lambda reasons: "TooManyMissedTimes" in reasons,
    )
    await ledger.wait(
        namespace,
        "behind",
        150,
        what="three rows",
        good=lambda rows: [row.status for row in rows][:2] == ["succeeded"] * 2,
    )
    jobs = namespace.kube.list(namespace.group("batch/v1", "jobs"))
    made = {job["metadata"]["uid"] async for job in jobs}
    rows = await ledger.rows(namespace)
    assert {row.job_uid for row in rows} <= made
    assert {row.status for row in rows} <= {"succeeded", "running", "pending"}
    assert await receiver.of(namespace) == []


async def _reasons(place: kubes.Place, name: str) -> set[str]:
    query = {"fieldSelector": f"involvedObject.name={name}"}
    return {one["reason"] async for one in place.kube.list(place.core("events"), **query)}

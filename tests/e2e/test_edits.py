"""A job is edited, or deleted and made again: the slots are those of the spec in force."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from support import kube as kubes
from support import ledger as ledgers

ELSEWHERE = "Asia/Kathmandu"  # a quarter of an hour off all others


def _daily(zone: str, *slots: datetime) -> str:
    local = [slot.astimezone(ZoneInfo(zone)) for slot in slots]
    return f"{','.join(str(one.minute) for one in local)} {local[0].hour} * * *"


def _same_hour(slots: list[datetime]) -> bool:
    return len({slot.astimezone(ZoneInfo(ELSEWHERE)).hour for slot in slots}) == 1


@pytest.mark.parametrize("edited", ["schedule", "zone"])
async def test_after_an_edit_no_slot_of_the_past_starts_and_the_next_one_does(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger, edited: str
) -> None:
    past = kubes.next_slot(ahead=5)
    next_one = past + 2 * kubes.MINUTE
    if not _same_hour([past, next_one]):  # one expression cannot name both
        past += 2 * kubes.MINUTE
        next_one += 2 * kubes.MINUTE
    new = _daily(ELSEWHERE, past, next_one)
    before = {"schedule": new} if edited == "zone" else {"schedule": "0 0 29 2 *"}
    await namespace.apply_job("moved", **before, timeZone="Etc/UTC")
    await namespace.condition("moved", "Ready", "Reconciled")
    await asyncio.sleep((past - datetime.now(UTC)).total_seconds() + 20)
    await namespace.apply_job("moved", schedule=new, timeZone=ELSEWHERE)
    run = await ledger.ended(namespace, "moved", 240)
    assert (run.slot_at, run.status) == (next_one, "succeeded")
    assert run.started_at
    assert run.started_at - run.slot_at < timedelta(seconds=50)
    assert len(await ledger.rows(namespace)) == 1
    assert await receiver.of(namespace) == []


async def test_a_job_made_anew_has_a_history_of_its_own(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job("again", kubes.HANG)
    first = await ledger.reached(namespace, "again", "running", 150)
    await namespace.kube.request("DELETE", namespace.tracked("again"))
    await namespace.apply_job("again")
    await namespace.condition("again", "Ready", "Reconciled", within=90)
    rows = await ledger.wait(
        namespace,
        "again",
        150,
        what="a run of the new job",
        good=lambda rows: rows[-1].status == "succeeded",
    )
    told = [(row.cronjob_uid == first.cronjob_uid, row.status, row.reason) for row in rows]
    assert told[0] == (True, "cancelled", "OwnerDeleted")
    assert {(one[0], one[1]) for one in told[1:]} == {(False, "succeeded")}
    assert (await namespace.status("again"))["consecutiveFailures"] == 0
    assert await receiver.of(namespace) == []


async def test_no_history_of_jobs_is_asked_for_and_every_run_is_known_all_the_same(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    template = kubes.job_template(namespace.image, "exit 0")
    template["spec"]["ttlSecondsAfterFinished"] = 0
    await namespace.apply_job(
        "fleeting", successfulJobsHistoryLimit=0, failedJobsHistoryLimit=0, jobTemplate=template
    )
    ready = await namespace.condition("fleeting", "Ready", "Reconciled")
    assert "successfulJobsHistoryLimit raised from 0" in ready["message"]
    rows = await ledger.wait(
        namespace,
        "fleeting",
        210,
        what="two runs",
        good=lambda rows: [row.status for row in rows] == ["succeeded"] * 2,
    )
    assert rows[1].slot_at - rows[0].slot_at == kubes.MINUTE
    assert await receiver.of(namespace) == []

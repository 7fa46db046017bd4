"""What a quota refuses: the Job itself, or the pods of a Job that is there."""

from datetime import timedelta

from support import kube as kubes
from support import ledger as ledgers


async def test_slots_whose_jobs_a_quota_refuses_are_missed_and_one_alert_names_the_quota(
    walled: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await walled.apply_job("blocked", startingDeadlineSeconds=15)
    alert = await receiver.first(walled, "blocked", "missed", "opened", 200)
    assert alert["incident"]["reason"] == "QuotaExceeded"
    rows = await ledger.wait(
        walled,
        "blocked",
        120,
        what="two missed slots",
        good=lambda rows: len(rows) == 2,
    )
    assert {(row.status, row.reason) for row in rows} == {("missed", "QuotaExceeded")}
    assert all("count/jobs.batch=0" in (row.message or "") for row in rows)
    assert rows[1].slot_at - rows[0].slot_at == kubes.MINUTE
    status = await kubes.eventually(
        lambda: walled.status("blocked"),
        30,
        what="the second missed slot in the status",
        good=lambda seen: (
            seen["lastExecution"]["slotTime"] >= rows[1].slot_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
    )
    assert status["lastExecution"]["reason"] == "QuotaExceeded"
    assert status["openIncidents"] == 1
    assert kubes.opened(await receiver.of(walled)) == [("blocked", "missed")]


async def test_of_hours_of_refused_slots_ten_are_rows_and_the_rest_is_one_gap(
    walled: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await walled.apply_job("blocked", startingDeadlineSeconds=15)
    await walled.condition("blocked", "Ready", "Reconciled")
    await ledger.backdate(walled, "blocked", timedelta(hours=2))
    alert = await receiver.first(walled, "blocked", "missed", "opened", 60)
    gaps = await ledger.gaps(walled, "blocked")
    rows = await ledger.rows(walled)
    assert {row.status for row in rows} == {"missed"}
    assert len(rows) == 10
    assert len({row.slot_at for row in rows}) == 10
    assert [gap.status for gap in gaps] == ["missed"]
    assert gaps[0].from_at == rows[-1].slot_at + kubes.MINUTE
    assert 100 < gaps[0].count + len(rows) < 123
    assert str(gaps[0].count + len(rows)) in alert["incident"]["message"]
    assert kubes.opened(await receiver.of(walled)) == [("blocked", "missed")]


async def test_a_run_whose_pods_a_quota_refuses_waits_says_so_and_starts_when_it_may(
    namespace: kubes.Place, receiver: kubes.Receiver, ledger: ledgers.Ledger
) -> None:
    await namespace.forbid("pods")
    slot = kubes.next_slot()
    await namespace.apply_job(
        "crowded", schedule=kubes.hourly(slot), rules={"late": {"critical": "20s"}}
    )
    rows = await ledger.wait(
        namespace,
        "crowded",
        130,
        what="a run that says why it waits",
        good=lambda rows: rows and rows[0].reason,
    )
    assert (rows[0].status, rows[0].reason) == ("pending", "QuotaExceeded")
    assert "pods=0" in (rows[0].message or "")
    alert = await receiver.first(namespace, "crowded", "late", "opened", 60)
    assert "QuotaExceeded" in alert["incident"]["message"] + alert["incident"]["reason"]

    await namespace.allow()
    # The Job controller tries again after at most a minute.
    run = await ledger.ended(namespace, "crowded", 100)
    assert (run.status, run.slot_at) == ("succeeded", slot)
    await receiver.first(namespace, "crowded", "late", "resolved", 30)
    assert kubes.opened(await receiver.of(namespace)) == [("crowded", "late")]

"""One broken job is one alert, a sound one is none."""

from support import kube as kubes

HANG = "exec sleep 3600"


async def test_a_job_that_succeeds_is_healthy_and_tells_nobody(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.apply_job("sound", "echo done")
    status = await namespace.health("sound", "Healthy")
    assert status["lastExecution"]["status"] == "succeeded"
    assert status["lastExecution"]["trigger"] == "schedule"
    assert status["lastSuccessfulTime"]
    assert status["openIncidents"] == 0
    assert kubes.condition(await namespace.job("sound"), "Ready")["status"] == "True"
    assert await receiver.of(namespace) == []


async def test_a_job_that_fails_each_time_is_one_alert_until_it_is_mended(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.apply_job("broken", "exit 3")
    alert = await receiver.first(namespace, "broken", "failing", "opened", 180)
    assert alert["execution"]["status"] == "failed"
    assert alert["execution"]["exitCode"] == 3
    status = await kubes.eventually(
        lambda: namespace.status("broken"),
        150,
        what="a second failure",
        good=lambda seen: seen.get("consecutiveFailures", 0) >= 2,
    )
    assert status["openIncidents"] == 1

    await namespace.apply_job("broken", "exit 0")
    end = await receiver.first(namespace, "broken", "failing", "resolved", 180)
    assert end["incident"]["id"] == alert["incident"]["id"]
    assert end["incident"]["status"] == "resolved"
    await namespace.health("broken", "Healthy", 20)
    assert kubes.opened(await receiver.of(namespace)) == [("broken", "failing")]


async def test_slots_that_a_quota_blocks_are_one_alert_that_names_the_quota(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.kube.create(
        namespace.core("resourcequotas"),
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "no-jobs"},
            "spec": {"hard": {"count/jobs.batch": "0"}},
        },
    )
    await namespace.apply_job("blocked", startingDeadlineSeconds=15)
    alert = await receiver.first(namespace, "blocked", "missed", "opened", 200)
    assert alert["incident"]["reason"] == "QuotaExceeded"
    status = await kubes.eventually(
        lambda: namespace.status("blocked"),
        30,
        what="the missed slot in the status",
        good=lambda seen: (seen.get("lastExecution") or {}).get("status") == "missed",
    )
    assert status["lastExecution"]["reason"] == "QuotaExceeded"
    again = await namespace.kube.get(namespace.tracked("blocked"))
    later = await kubes.eventually(
        lambda: namespace.status("blocked"),
        90,
        what="the next missed slot",
        good=lambda seen: (
            seen["lastExecution"]["slotTime"] > again["status"]["lastExecution"]["slotTime"]
        ),
    )
    assert later["openIncidents"] == 1
    assert kubes.opened(await receiver.of(namespace)) == [("blocked", "missed")]


async def test_a_run_that_hangs_is_one_alert_though_its_slots_pass_by(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.apply_job(
        "hanging", HANG, concurrencyPolicy="Forbid", rules={"overrunning": {"warning": "60s"}}
    )
    alert = await receiver.first(namespace, "hanging", "overrunning", "opened", 240)
    assert alert["execution"]["status"] == "running"
    slot = alert["execution"]["slotTime"]
    await kubes.eventually(
        lambda: namespace.status("hanging"),
        150,
        what="two slots later",
        good=lambda seen: _minutes(seen["nextScheduleTime"]) - _minutes(slot) >= 4,
    )
    assert kubes.opened(await receiver.of(namespace)) == [("hanging", "overrunning")]


async def test_a_suspended_job_says_so_and_does_not_run(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.apply_job("paused", suspend=True)
    status = await namespace.health("paused", "Suspended", 30)
    assert status["openIncidents"] == 0
    cronjob = await namespace.kube.get(namespace.cronjobs("paused"))
    assert cronjob["spec"]["suspend"] is True
    assert await receiver.of(namespace) == []


def _minutes(at: str) -> int:
    return int(at[11:13]) * 60 + int(at[14:16])

"""One broken job is one alert, a sound one is none."""

import pytest

from support import heard
from support import kube as kubes

FAILURES = 5  # the third makes it critical


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


@pytest.mark.timeout(600)
async def test_five_failures_and_a_success_are_one_alert_that_rises_and_one_recovery(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.apply_job("broken", "exit 3")
    alert = await receiver.first(namespace, "broken", "failing", "opened", 180)
    assert alert["execution"]["status"] == "failed"
    assert alert["execution"]["exitCode"] == 3
    status = await kubes.eventually(
        lambda: namespace.status("broken"),
        300,
        what="five failures",
        good=lambda seen: seen.get("consecutiveFailures", 0) >= FAILURES,
    )
    assert status["openIncidents"] == 1

    await namespace.apply_job("broken", "exit 0")
    end = await receiver.first(namespace, "broken", "failing", "resolved", 180)
    assert end["incident"]["id"] == alert["incident"]["id"]
    assert end["incident"]["status"] == "resolved"
    await namespace.health("broken", "Healthy", 20)
    assert await heard.steps(receiver, namespace, "broken") == [
        ("failing", "opened", "warning"),
        ("failing", "changed", "critical"),
        ("failing", "resolved", "critical"),
    ]


async def test_a_run_that_hangs_is_one_alert_though_its_slots_pass_by(
    namespace: kubes.Place, receiver: kubes.Receiver
) -> None:
    await namespace.apply_job(
        "hanging", kubes.HANG, concurrencyPolicy="Forbid", rules={"overrunning": {"warning": "60s"}}
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

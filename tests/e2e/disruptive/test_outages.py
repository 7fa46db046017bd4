"""The leader, the api and the database go away, and nobody is told twice or wrongly."""

import asyncio
import time

import pytest

from support import kube as kubes
from support import outages, posting

OUTAGE = 120.0  # seconds without a database


async def test_when_the_leader_is_killed_another_takes_over_and_repeats_nothing(
    namespace: kubes.Place, receiver: kubes.Receiver, system: outages.System
) -> None:
    await namespace.apply_job("broken", "exit 1")
    await receiver.first(namespace, "broken", "failing", "opened", 180)
    before = await namespace.status("broken")
    gone = await system.leader()
    started = time.monotonic()
    await system.kill(gone.split("_")[0])
    await kubes.eventually(
        system.leader, 20, what="another leader", good=lambda now: now not in {"", gone}
    )
    assert time.monotonic() - started < 20
    await kubes.eventually(
        lambda: namespace.status("broken"),
        150,
        what="two failures more, seen by the new leader",
        good=lambda now: now["consecutiveFailures"] >= before["consecutiveFailures"] + 2,
    )
    messages = await receiver.of(namespace)
    assert kubes.opened(messages) == [("broken", "failing")]
    told = [(one["type"], one["incident"]["severity"]) for one in messages]
    assert len(told) == len(set(told)), told


async def test_when_every_api_pod_is_killed_heartbeats_resume(
    namespace: kubes.Place, receiver: kubes.Receiver, system: outages.System
) -> None:
    await namespace.apply_job("beating", "sleep 20", tracking={"heartbeatInterval": "10s"})
    await namespace.condition("beating", "Reporting", "Heard", within=150)
    for pod in await system.pods("api"):
        await system.kill(pod)
    await system.ready(within=120)
    # A job that was not heard before must be heard by the new pods.
    await namespace.apply_job("later", "sleep 20", tracking={"heartbeatInterval": "10s"})
    await namespace.condition("later", "Reporting", "Heard", within=150)
    assert await receiver.of(namespace) == []


@pytest.mark.timeout(600)
async def test_two_minutes_without_the_database_lose_nothing_and_alarm_nobody(
    namespace: kubes.Place, receiver: kubes.Receiver, system: outages.System
) -> None:
    await namespace.apply_job("sound", "sleep 1")
    await namespace.health("sound", "Healthy")
    jobs = namespace.group("batch/v1", "jobs")
    await system.scale_postgres(0)
    try:
        await asyncio.sleep(OUTAGE)
        # At the end: by then a process that is not ready has left its Service.
        answer = await posting.post(namespace, "during")
        assert answer["ours"]["status"] == 503, answer
        assert int(answer["ours"]["retryAfter"]) >= 1
        meanwhile = [one["metadata"]["name"] async for one in namespace.kube.list(jobs)]
    finally:
        await system.scale_postgres(1)
    await system.ready(within=180)
    status = await kubes.eventually(
        lambda: namespace.status("sound"),
        150,
        what="a run after the outage",
        good=lambda now: (now.get("lastExecution") or {}).get("jobName") not in {None, *meanwhile},
    )
    assert meanwhile
    assert status["consecutiveFailures"] == 0
    await namespace.health("sound", "Healthy", 90)
    answer = await posting.post(namespace, "after")
    assert answer["ours"]["status"] == 403, answer
    assert await receiver.of(namespace) == []


async def test_when_the_leader_is_killed_amid_its_work_every_job_gets_its_cronjob(
    namespace: kubes.Place, system: outages.System
) -> None:
    names = [f"job-{number:02}" for number in range(20)]
    gone = await system.leader()
    for name in names[:10]:
        await namespace.apply_job(name, schedule="0 3 * * *")
    await system.kill(gone.split("_")[0])
    for name in names[10:]:
        await namespace.apply_job(name, schedule="0 3 * * *")
    for name in names:
        await namespace.condition(name, "Ready", "Reconciled", within=60)
    made = [one["metadata"]["name"] async for one in namespace.kube.list(namespace.cronjobs())]
    assert sorted(made) == names

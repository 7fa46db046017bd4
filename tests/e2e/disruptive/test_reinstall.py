"""Rollcall leaves and comes back; the users' jobs go on and what is known stays known."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import kube as kubes
from support import outages

ROOT = Path(__file__).parents[3]
CLUSTER = kubes.CONTEXT.removeprefix("kind-")


async def _run(*command: str) -> None:
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=360
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def _uninstall() -> None:
    record = json.loads((kubes.CACHE / f"cluster-{CLUSTER}.json").read_text())
    where = ["--kubeconfig", record["kubeconfig"], "--kube-context", record["context"]]
    release = ["uninstall", "rollcall", "-n", kubes.SYSTEM, "--wait"]
    await _run(record["programs"]["helm"], *where, *release)


async def _install() -> None:
    await _run(sys.executable, str(ROOT / "hack/deploy.py"), CLUSTER)


@pytest.mark.timeout(900)
async def test_what_is_known_and_the_users_cronjobs_outlive_an_uninstallation(
    namespace: kubes.Place, receiver: kubes.Receiver, system: outages.System
) -> None:
    await namespace.apply_job("broken", "exit 1")
    alert = await receiver.first(namespace, "broken", "failing", "opened", 180)
    jobs = namespace.group("batch/v1", "jobs")
    before = await namespace.kube.get(namespace.cronjobs("broken"))
    await _uninstall()
    try:
        seen = {one["metadata"]["name"] async for one in namespace.kube.list(jobs)}

        async def newer() -> set[str]:
            return {one["metadata"]["name"] async for one in namespace.kube.list(jobs)} - seen

        await kubes.eventually(newer, 90, what="a run without Rollcall")
        now = await namespace.kube.get(namespace.cronjobs("broken"))
        assert now["metadata"]["uid"] == before["metadata"]["uid"]
        assert (await namespace.job("broken"))["metadata"]["name"] == "broken"
    finally:
        await _install()
    await system.ready(within=180)
    await namespace.apply_job("broken", "exit 0")
    end = await receiver.first(namespace, "broken", "failing", "resolved", 200)
    assert end["incident"]["id"] == alert["incident"]["id"]
    assert kubes.opened(await receiver.of(namespace)) == [("broken", "failing")]

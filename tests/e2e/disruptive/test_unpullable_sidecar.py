"""The sidecar's image cannot be pulled: jobs run all the same, and say that they are not heard.

Then an upgrade of the chart brings an image that can be pulled, and keeps all there is.
"""

import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rollcall.cluster import timestamps
from support import kube as kubes
from support import kubectl, outages
from support import ledger as ledgers

ROOT = Path(__file__).parents[3]
CLUSTER = kubes.CONTEXT.removeprefix("kind-")
NOWHERE = "registry.invalid/rollcall/sidecar"
PROMISED = timedelta(seconds=90)  # from the pod's creation until the user's container has started
EXECUTIONS = "SELECT count(*) AS number FROM executions"


async def _deploy(*options: str) -> None:
    await kubectl.output([sys.executable, str(ROOT / "hack/deploy.py"), CLUSTER, *options])


@pytest.fixture
async def unpullable(system: outages.System) -> AsyncIterator[None]:
    """Let tracked pods get an image that no registry has, for the time of a test."""
    await _deploy(f"--set-string=image.sidecar.repository={NOWHERE}")
    try:
        yield
    finally:
        await _deploy()
        await system.ready(within=180)


async def _ended(namespace: kubes.Place) -> kubes.Object:
    """Wait for the job's first pod to end, and return it."""

    async def look() -> list[kubes.Object]:
        pods = [one async for one in namespace.kube.list(namespace.core("pods"))]
        return [one for one in pods if (one.get("status") or {}).get("phase") == "Failed"]

    return (await kubes.eventually(look, 240, what="the end of the job's pod"))[0]


def _main(pod: kubes.Object) -> kubes.Object:
    found: kubes.Object = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


def _instant(raw: object) -> datetime:
    at = timestamps.parse(raw)
    assert at, raw
    return at


async def _uid(place: kubes.Place) -> str:
    """Return the UID of the job's CronJob."""
    return str((await place.kube.get(place.cronjobs("alone")))["metadata"]["uid"])


async def _executions(ledger: ledgers.Ledger) -> int:
    """Count the executions of all jobs there ever were."""
    (found,) = await kubes.eventually(lambda: ledger.ask(EXECUTIONS), 30, what="the ledger answers")
    return int(found["number"])


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("unpullable")
async def test_a_job_whose_sidecar_cannot_be_pulled_runs_and_says_that_it_is_not_heard(
    namespace: kubes.Place, system: outages.System, ledger: ledgers.Ledger
) -> None:
    await namespace.apply_job(
        "alone", "sleep 1; exit 3", schedule=kubes.hourly(kubes.next_slot(15))
    )
    pod = await _ended(namespace)
    end = _main(pod)
    waited = _instant(end["startedAt"]) - _instant(pod["metadata"]["creationTimestamp"])
    assert timedelta(seconds=55) < waited <= PROMISED
    assert end["exitCode"] == 3

    row = await ledger.ended(namespace, "alone", 60)
    assert (row.status, row.exit_code) == ("failed", 3)
    # One pod is enough, of a job that runs once an hour.
    told = await namespace.condition("alone", "Reporting", "ImageUnavailable", 30)
    assert told["status"] == "False"
    assert pod["metadata"]["name"] in told["message"]
    assert NOWHERE in told["message"]
    assert any(word in told["message"] for word in ("ErrImagePull", "ImagePullBackOff"))
    shown = await kubectl.run(
        "exec", "-n", kubes.SYSTEM, "deployment/rollcall-operator", "-c", "operator", "--",
        "rollcall", "executions", "show", str(row.id),
    )  # fmt: skip
    assert "Untracked" in shown
    assert "is untracked, its sidecar could not start" in shown

    holder = await system.leader()
    await system.kill(holder.partition("_")[0])

    async def follower() -> bool:
        return await system.leader() not in {"", holder}

    await kubes.eventually(follower, 90, what="another leader")
    await system.ready(within=180)
    again = await namespace.condition("alone", "Reporting", "ImageUnavailable", 30)
    assert again["lastTransitionTime"] == told["lastTransitionTime"]
    assert NOWHERE in again["message"]

    cronjob, number = await _uid(namespace), await _executions(ledger)
    await _deploy()  # the image is there again
    assert await _uid(namespace) == cronjob
    assert await _executions(ledger) >= number
    assert row.id in {one.id for one in await ledger.rows(namespace, "alone")}
    await namespace.apply_job("alone", "sleep 5", schedule=kubes.hourly(kubes.next_slot(30)))
    heard = await namespace.condition("alone", "Reporting", "Heard", 200)
    assert heard["status"] == "True"

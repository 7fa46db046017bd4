"""Rollcall leaves for minutes and comes back; what happened meanwhile is told as it was."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollcall.cluster import client
from support import audit, kubectl, outages, recorder
from support import kube as kubes
from support import ledger as ledgers

ROOT = Path(__file__).parents[3]
CLUSTER = kubes.CONTEXT.removeprefix("kind-")
BLOCKED = 130.0  # seconds: two slots are blocked, and become final
TOLD = 420.0  # seconds; what fell due while nobody saw is judged later by as long as that was


@pytest.fixture
async def walls(
    kube: client.KubeClient, image: str
) -> AsyncIterator[tuple[kubes.Place, kubes.Place]]:
    """Return two namespaces in which quotas shall stand for a while."""
    async with kubes.own(kube, image) as one, kubes.own(kube, image) as other:
        yield one, other


async def _uninstall() -> None:
    known = kubectl.record()
    where = ["--kubeconfig", known["kubeconfig"], "--kube-context", known["context"]]
    release = ["uninstall", "rollcall", "-n", kubes.SYSTEM, "--wait"]
    await kubectl.output([known["programs"]["helm"], *where, *release])


async def _install() -> None:
    await kubectl.output([sys.executable, str(ROOT / "hack/deploy.py"), CLUSTER])


@pytest.mark.timeout(900)
async def test_what_happened_while_rollcall_was_away_is_told_as_it_was(
    namespace: kubes.Place,
    walls: tuple[kubes.Place, kubes.Place],
    receiver: kubes.Receiver,
    system: outages.System,
    ledger: ledgers.Ledger,
) -> None:
    still, briefly = walls  # blocked until we are back, and until a moment before
    places = (namespace, *walls)
    with recorder.Recorder([place.name for place in places]) as record:
        await namespace.apply_job("sound")
        await namespace.apply_job("broken", "exit 1")
        await namespace.apply_job("edited")
        await namespace.apply_job("newest", kubes.HANG, concurrencyPolicy="Replace")
        await still.apply_job("blocked", startingDeadlineSeconds=15)
        await briefly.apply_job("blocked", startingDeadlineSeconds=15)
        alert = await receiver.first(namespace, "broken", "failing", "opened", 180)
        for place, name in ((namespace, "edited"), (still, "blocked"), (briefly, "blocked")):
            await ledger.ended(place, name, 60)
        before = await namespace.kube.get(namespace.cronjobs("broken"))
        begin = datetime.now(UTC)
        await _uninstall()
        try:
            await still.forbid("count/jobs.batch")
            await briefly.forbid("count/jobs.batch")
            await namespace.apply_job("edited", schedule="0 0 29 2 *")
            await asyncio.sleep(BLOCKED)
            good_again = datetime.now(UTC)
            await briefly.allow()
            await _a_run_after(record, briefly, good_again)
            now = await namespace.kube.get(namespace.cronjobs("broken"))
            assert now["metadata"]["uid"] == before["metadata"]["uid"]
        finally:
            await _install()
        await system.ready(within=180)
        away = [(begin, datetime.now(UTC))]

        await namespace.apply_job("broken", "exit 0")
        end = await receiver.first(namespace, "broken", "failing", "resolved", 200)
        assert end["incident"]["id"] == alert["incident"]["id"]
        assert kubes.opened(await receiver.of(namespace)) == [("broken", "failing")]
        told = await receiver.first(still, "blocked", "missed", "opened", TOLD)
        assert told["incident"]["reason"] == "QuotaExceeded"

        async def findings() -> list[str]:
            options = {"ledger": ledger, "record": record, "until": away[0][1], "away": away}
            return [what for place in places for what in await audit.findings(place, **options)]

        await kubes.eventually(findings, 150, what="a true ledger", good=lambda found: not found)
    missed = [row for row in await ledger.rows(still) if row.job_uid is None]
    assert {(row.status, row.reason) for row in missed} == {("missed", "QuotaExceeded")}
    assert len([row for row in missed if begin < row.slot_at < good_again]) >= 2
    forgotten = {row.status for row in await ledger.rows(briefly) if row.job_uid is None}
    assert forgotten
    assert forgotten <= {"missed", "unknown"}


async def _a_run_after(record: recorder.Recorder, place: kubes.Place, begin: datetime) -> None:
    cronjob = next(one for one in record.cronjobs.values() if one.namespace == place.name)

    async def look() -> bool:
        jobs = record.jobs_of(cronjob)
        return any(job.slot_at and job.slot_at > begin and job.end for job in jobs)

    await kubes.eventually(look, 120, what="a run without Rollcall")

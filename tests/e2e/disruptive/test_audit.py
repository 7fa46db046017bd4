"""Everything is killed or stopped under load, and the ledger equals what the cluster did.

AUDIT_KILLS (20) says how often the operator is killed, AUDIT_API (180) and
AUDIT_POSTGRES (180) for how many seconds the API server and Postgres are away, and
AUDIT_LOAD (100) how many percent of the jobs there are, of each kind one at least.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from rollcall.core import errors
from support import audit, heard, load, outages, posting, recorder
from support import kube as kubes
from support import ledger as ledgers

KILLS = int(os.environ.get("AUDIT_KILLS", "20"))
API = float(os.environ.get("AUDIT_API", "180"))
POSTGRES = float(os.environ.get("AUDIT_POSTGRES", "180"))
LOAD = int(os.environ.get("AUDIT_LOAD", "100"))
BETWEEN = (0.0, 10.0)  # seconds until the next kill, from when the last one was overcome
ALL = 0.2  # of the kills take all operators, the others the leader alone
TAKES_OVER = 20.0  # seconds until there is another leader, while one stands by
# Seconds until there is a leader when none was left: on two cores full of load a pod takes 50 s to
# start (measured), and then waits 15 s for the lease.
STARTS = 180.0
JUDGES = 10.0  # seconds from when all is ready again until what is due was looked at and told
COMES_BACK = timedelta(seconds=30)  # until a process that was killed sees and writes again
FINAL = 140.0  # seconds after the last slot; its deadline is the next slot, and a minute of grace
FAILURES = 3  # in a row: from there on it is critical
BACKGROUND = {"propagationPolicy": "Background"}  # its pods go too
pytestmark = pytest.mark.timeout(1800)


@dataclass(slots=True)
class Scene:
    """The load, and what is done to it."""

    place: kubes.Place  # of all jobs but the blocked one
    walled: kubes.Place  # where a quota refuses all Jobs
    system: outages.System
    ledger: ledgers.Ledger
    record: recorder.Recorder
    away: list[audit.Span] = field(default_factory=list)
    handover: float = 0.0  # most seconds without a leader, after one was killed and one stood by

    @asynccontextmanager
    async def absence(self) -> AsyncIterator[None]:
        """Note that Rollcall is away in here."""
        begin = datetime.now(UTC)
        try:
            yield
        finally:
            self.away.append((begin, datetime.now(UTC)))

    def absences(self) -> list[audit.Span]:
        """Return when Rollcall was taken away, and when it had no leader by itself."""
        return [*self.away, *self.record.leaderless]

    async def apply(self) -> None:
        """Create the load, and kill the leader in the middle of it."""
        await self.walled.apply_job("walled", startingDeadlineSeconds=15)
        specs = list(load.specs(self.place.image, percent=LOAD).items())
        for number, (name, spec) in enumerate(specs):
            await self.place.apply_job(name, **spec)
            if number == len(specs) // 2:
                await self.kill()
        for name, _ in specs:
            await self.place.condition(name, "Ready", "Reconciled", within=60)

    async def kill(self, *, all_of_them: bool = False) -> None:
        """Kill the leader, and perhaps who stands by; note for how long there is no leader."""
        async with self.absence():
            leader = await kubes.eventually(self.system.leader, 60, what="a leader")
            pod = leader.split("_")[0]
            stand_by = set(await self.system.at_work("operator")) - {pod}
            for name in await self.system.pods("operator") if all_of_them else [pod]:
                await self.system.sigkill(name)
            killed = time.monotonic()
            await kubes.eventually(
                self.system.leader,
                STARTS if all_of_them else 60,
                what="another leader",
                good=lambda now: now not in {"", leader},
            )
        if stand_by and not all_of_them:
            self.handover = max(self.handover, time.monotonic() - killed)

    async def kill_often(self) -> None:
        """Kill the operator again and again, as soon as it has overcome the last time."""
        for _ in range(KILLS):
            await self.kill(all_of_them=random.random() < ALL)
            await asyncio.sleep(random.uniform(*BETWEEN))

    async def kill_api(self) -> None:
        """Kill all pods of the api; a job that comes then must be heard by new ones."""
        for pod in await self.system.pods("api"):
            await self.system.kill(pod)
        await self.place.apply_job("heard", "sleep 20", tracking={"heartbeatInterval": "10s"})

    async def without_api_server(self) -> None:
        """Take the API server away for a while."""
        node = outages.Node()
        async with self.absence():
            try:
                await node.stop_api_server()
                await asyncio.sleep(API)
            finally:
                await node.start_api_server()
            await self.system.answers(within=300)

    async def without_postgres(self) -> kubes.Object:
        """Take Postgres away for a while and return how a report is answered at the end of it."""
        async with self.absence():
            await self.system.scale_postgres(0)
            try:
                await asyncio.sleep(POSTGRES)
                # At the end: by then a process that is not ready has left its Service.
                return await posting.post(self.place, "during")
            finally:
                await self.system.scale_postgres(1)
                await self.system.ready(within=300)

    async def stop_by_hand(self) -> None:
        """Delete the run of `stopped` that is going on."""
        run = await self.ledger.reached(self.place, "stopped", "running", 150)
        path = self.place.group("batch/v1", "jobs", run.job_name or "")
        await self.place.kube.request("DELETE", path, query=BACKGROUND)

    async def see_it_told(self, receiver: kubes.Receiver) -> None:
        """See that the first failure of `mended` is told, before outages add more to it."""

        async def told() -> list[heard.Step]:
            return await heard.steps(receiver, self.place, "mended")

        await kubes.eventually(told, 150, what="a message about the first failure")

    async def mend(self) -> None:
        """Mend the job that fails, once it has failed a few times."""

        def failed(rows: list[ledgers.Row]) -> bool:
            return len([row for row in rows if row.status == "failed"]) >= FAILURES

        what = f"{FAILURES} failures"
        await self.ledger.wait(self.place, "mended", 400, what=what, good=failed)
        await self.place.apply_job("mended", concurrencyPolicy="Forbid")

    async def told_of_sound(self, receiver: kubes.Receiver) -> list[str]:
        """Return what was told of jobs of which there is nothing to tell."""
        messages = await receiver.messages(self.place)
        return [one["line"] for one in messages if load.is_sound(one["payload"]["cronjob"]["name"])]

    async def see_it_mended(self) -> None:
        """See it succeed."""
        await self.ledger.reached(self.place, "mended", "succeeded", 150)

    async def calm(self) -> datetime:
        """Suspend everything, end what would not end, and wait until all slots are final."""
        for cronjob in self.record.cronjobs.values():
            place = self.walled if cronjob.namespace == self.walled.name else self.place
            suspend = {"spec": {"suspend": True}}
            await place.kube.merge(place.tracked(cronjob.name), suspend, manager="e2e")
        suspended_at = datetime.now(UTC)
        last_slot = suspended_at.replace(second=0, microsecond=0)
        await asyncio.sleep((last_slot - suspended_at).total_seconds() + FINAL)
        jobs = self.place.group("batch/v1", "jobs")
        for job in [job for job in self.record.jobs.values() if not (job.end or job.gone_before)]:
            path = f"{jobs}/{job.name}"
            with suppress(errors.NotFound):
                await self.place.kube.request("DELETE", path, query=BACKGROUND)
        return suspended_at

    async def findings(self, until: datetime) -> list[str]:
        """Compare the ledger with the cluster."""
        away = [(begin, end + COMES_BACK) for begin, end in self.absences()]
        found = []
        for place in (self.place, self.walled):
            found += await audit.findings(
                place, ledger=self.ledger, record=self.record, until=until, away=away
            )
        return found


async def test_whatever_is_killed_or_stopped_the_ledger_equals_what_the_cluster_did(
    namespace: kubes.Place,
    walled: kubes.Place,
    receiver: kubes.Receiver,
    system: outages.System,
    ledger: ledgers.Ledger,
) -> None:
    with recorder.Recorder([namespace.name, walled.name]) as record:
        scene = Scene(namespace, walled, system, ledger, record)
        await scene.apply()
        await scene.see_it_told(receiver)
        await asyncio.gather(scene.stop_by_hand(), scene.kill_often())
        answer = await scene.without_postgres()
        assert answer["ours"]["status"] == 503, answer
        assert int(answer["ours"]["retryAfter"]) >= 1
        await asyncio.sleep(JUDGES)
        assert await scene.told_of_sound(receiver) == []
        await scene.kill_api()
        await system.ready(within=300)
        await scene.mend()  # of which the next thing that happens is an outage
        # What fell due without Postgres is judged later. After the next outage slots were missed.
        assert await scene.told_of_sound(receiver) == []
        await scene.without_api_server()
        await system.ready(within=300)
        hears = namespace.condition("heard", "Reporting", "Heard", within=150)
        await asyncio.gather(hears, scene.see_it_mended())
        until = await scene.calm()

        async def findings() -> list[str]:
            return await scene.findings(until - audit.BOUNDARY)

        await kubes.eventually(findings, 60, what="a true ledger", good=lambda found: not found)
    assert 0 < scene.handover < TAKES_OVER
    messages = [one for place in (namespace, walled) for one in await receiver.messages(place)]
    assert heard.needless(messages, scene.absences()) == []
    told = await heard.steps(receiver, namespace, "mended")
    assert [step for step in told if step[0] == "failing"] == [
        ("failing", "opened", "warning"),
        ("failing", "changed", "critical"),
        ("failing", "resolved", "critical"),
    ]
    # While there was no API server its slots were missed in truth, if the ledger says so.
    rows = await ledger.rows(namespace, "mended")
    if "missed" not in {row.status for row in rows}:
        assert {kind for kind, _, _ in told} == {"failing"}
    assert ("missed", "opened", "critical") in await heard.steps(receiver, walled, "walled")

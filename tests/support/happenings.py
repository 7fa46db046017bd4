"""What happens in a timeline: runs end, pods start and report, people and machines do things."""

import json
from datetime import datetime, timedelta
from typing import Any

from rollcall.api import reports
from rollcall.core import policies, reporting
from rollcall.core.executions import Attempt, Status
from rollcall.services import ports
from support import builders
from support import reporting as wire
from support.said import BOOT
from support.stories import HOUR, HOURLY, SLOT_AT, Story, ended_with

MIDNIGHT = SLOT_AT.replace(hour=0)
# What a timeline is about is one kind of alert; the others would speak as well.
Policy = dict[str, Any]


def only(**rules: Policy) -> Policy:
    """Return a policy with these rules alone."""
    off = {kind.value: {"enabled": False} for kind in set(policies.Kind) - policies.OF_CLUSTER}
    return {"rules": off | rules}


ONLY_FAILING = only(failing={"warning": 1})


class Happenings:
    """The jobs of a story, and what their runs do; `report` is the story's own."""

    def __init__(self, story: Story) -> None:
        self.story = story

    async def fails(self, job: str = "report") -> None:
        """End the run of the job's newest slot, badly."""
        await self._ends(job, Status.FAILED)

    async def succeeds(self, job: str = "report") -> None:
        """End the run of the job's newest slot, well."""
        await self._ends(job, Status.SUCCEEDED)

    async def sees_job(self, slot: str, *, started: str, ended: str) -> None:
        """See the Job of a slot, which succeeded, with the times that the API server says."""
        values = ended_with(Status.SUCCEEDED, time(ended))
        values |= {"slot_at": time(slot), "created_at": time(started)}
        await self._record("report", job_started_at=time(started), **values)

    async def crashes(self, words: str) -> None:
        """End the run of the newest slot, badly, with these last words of its program."""
        now = self.story.clock()
        slot_at = now - (now - SLOT_AT) % HOUR
        pod = builders.attempt(
            job_uid=f"report-{slot_at:%H}", created_at=slot_at, started_at=slot_at, ended_at=now,
            exit_code=3, reason="Error", message=words,
        )  # fmt: skip
        failed = ended_with(Status.FAILED, now)
        await self._record("report", pod, slot_at=slot_at, created_at=slot_at, **failed)

    async def starts_pod(self, slot: str) -> None:
        """Let the pod of a slot's run start."""
        now = self.story.clock()
        pod = builders.attempt(job_uid=f"report-{time(slot):%H}", started_at=now, created_at=now)
        await self._record("report", pod, slot_at=time(slot), created_at=time(slot))

    async def beats(self) -> None:
        """Let that pod be heard."""
        report = reporting.Report(pod_uid="pod-1", at=self.story.clock())
        await self.story.store.run(lambda unit: unit.reports.keep([report]))

    async def says(self, **fields: object) -> None:
        """Let that pod report this, read and kept as the api does, and its job be looked at."""
        body = wire.report(boot=BOOT) | fields
        told = reports.read(json.dumps(body).encode()).told
        assert told.progress or told.items, "nothing of it is kept"
        report = reporting.Report(
            pod_uid="pod-1",
            at=self.story.clock(),
            boot=told.boot,
            progress=told.progress,
            items=told.items,
        )
        async with self.story.store.transaction() as unit:
            await unit.reports.keep([report])
            await unit.schedule.look_at({self.story.job.id: self.story.clock()})

    async def keeps_reports(self) -> None:
        """Let an api process say that it does."""
        await self.story.store.run(lambda unit: unit.sight.kept_reports(builders.CLUSTER))

    def sleeps_until(self, when: str) -> None:
        """Stand still until then, with the machine and all that is on it."""
        self.story.clock.set(time(when))

    async def _ends(self, name: str, status: Status) -> None:
        now = self.story.clock()
        slot_at = now - (now - SLOT_AT) % HOUR
        await self._record(name, slot_at=slot_at, created_at=slot_at, **ended_with(status, now))

    async def _record(self, name: str, *pods: Attempt, slot_at: datetime, **values: object) -> None:
        uid = f"{name}-{slot_at:%H}"
        job = await self._job(name)
        seen = builders.observation(job, job_uid=uid, job_name=uid, slot_at=slot_at, **values)
        await self.story.record(seen, *pods)

    async def _job(self, name: str) -> ports.TrackedJob:
        """Return a job that runs as the story's does; it is registered when it is first named."""
        job = builders.job(name, created_at=HOURLY.effective_from, policy=ONLY_FAILING)
        async with self.story.store.transaction() as unit:
            if await unit.registry.owner(job.id) is None:
                await unit.registry.register(job)
                await unit.registry.applied(job.id, builders.applied(HOURLY))
        return job


def time(text: str) -> datetime:
    """Read `HH:MM` or `HH:MM:SS` of the story's day; hours go on beyond 24."""
    hours, minutes, *seconds = map(int, text.split(":"))
    return MIDNIGHT + timedelta(hours=hours, minutes=minutes, seconds=sum(seconds))

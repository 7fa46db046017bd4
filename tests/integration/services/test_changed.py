"""What changed since the last success: from the objects of a cluster to the message."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rollcall.cluster import mapping, timestamps
from rollcall.core.executions import Status
from rollcall.services import observe
from support import builders, podbodies
from support.podbodies import Object
from support.stories import HOUR, HOURLY, MINUTE, SLOT_AT, Story

A, B = (f"registry.test/app@sha256:{letter * 64}" for letter in "ab")


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def job_of(story: Story, slot: int, *, image: str, value: str, ends: str | None) -> Object:
    """Build the Job of a slot as the API server has it."""
    at = SLOT_AT + slot * HOUR
    body = podbodies.made_from(
        conditions=[podbodies.condition(ends, "X")] if ends else [],
        name=f"report-{slot}", uid=f"job-{slot}", namespace="shop", creationTimestamp=written(at),
        labels={"rollcall.dev/uid": story.job.uid},
        annotations={mapping.SLOT: written(at)},
        ownerReferences=[{"kind": "CronJob", "apiVersion": "batch/v1", "uid": "cronjob-uid"}],
    )  # fmt: skip
    for one in body["status"]["conditions"]:
        one["lastTransitionTime"] = written(at + MINUTE)
    app = body["spec"]["template"]["spec"]["containers"][0]
    app |= {"image": image, "env": [{"name": "PASSWORD", "value": value}]}
    return body


def pod_of(story: Story, slot: int, *, node: str, image_id: str | None, code: int) -> Object:
    """Build the pod of a slot's Job."""
    at = SLOT_AT + slot * HOUR
    state = podbodies.ended(code) if image_id else podbodies.waiting("ImagePullBackOff")
    body = podbodies.pod(
        {**state, "imageID": image_id},
        phase=("Failed" if code else "Succeeded") if image_id else "Pending",
        name=f"report-{slot}-x", uid=f"pod-{slot}", creationTimestamp=written(at),
        labels={"rollcall.dev/uid": story.job.uid, mapping.JOB_UID: f"job-{slot}"},
        ownerReferences=None,
    )  # fmt: skip
    body["spec"] |= {"nodeName": node, "containers": [{"name": "app"}]}
    body["status"]["containerStatuses"][0]["name"] = "app"
    return body


class Seen:
    """A job whose runs are read from what the API server would have."""

    def __init__(self, story: Story) -> None:
        self.story = story

    async def runs(
        self,
        slot: int,
        *,
        image: str = "registry.test/app:latest",
        value: str = "1",
        node: str = "n1",
        image_id: str | None = A,
        ends: str | None = "Complete",
        has_pod: bool = True,
    ) -> None:
        """Let the run of a slot be seen, and look at the job."""
        at = SLOT_AT + slot * HOUR + MINUTE
        code = 1 if ends == "Failed" else 0
        seen = mapping.job(job_of(self.story, slot, image=image, value=value, ends=ends))
        pod = mapping.attempt(
            pod_of(self.story, slot, node=node, image_id=image_id, code=code), None
        )
        assert seen
        assert pod
        self.story.clock.set(at)
        pods = [pod[1]] if has_pod else []
        assert await observe.record(self.story.store, builders.CLUSTER, [seen], pods)
        await self.story.look(at)

    async def told(self) -> str | None:
        """Return what the newest message says that changed."""
        async with self.story.store.transaction() as unit:
            found = await unit.connection.execute(
                sa.text("SELECT payload->'changes' FROM notifications ORDER BY id DESC LIMIT 1")
            )
        changes: Any = found.scalar_one()
        return changes and str(changes["text"])


@pytest.fixture
async def job(story: Story) -> Seen:
    await story.begin()
    return Seen(story)


FAILED = {"ends": "Failed"}
SAID: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": (FAILED, "nothing in its template or images"),
    "a tag": (
        FAILED | {"image": "registry.test/app:2", "image_id": B},
        "image of app: registry.test/app:latest → registry.test/app:2",
    ),
    "what is behind the tag": (
        FAILED | {"image_id": B},
        "image of app: registry.test/app:latest is another one now, aaaaaaaaaaaa → bbbbbbbbbbbb",
    ),
    "a value": (FAILED | {"value": "hunter2"}, "env of app"),
    "the node": (
        FAILED | {"node": "n2"},
        "nothing in its template or images; node: n1 → n2",
    ),
    "a pod that nobody saw": (FAILED | {"has_pod": False}, "nothing in its template"),
}


@pytest.mark.parametrize(("then", "said"), SAID.values(), ids=SAID)
async def test_a_run_that_failed_says_what_changed(
    job: Seen, then: dict[str, Any], said: str
) -> None:
    await job.runs(0)
    await job.runs(1, **then)
    assert await job.told() == said


async def test_a_run_that_cannot_start_says_it_too_and_what_is_not_pulled_is_not_compared(
    job: Seen,
) -> None:
    await job.runs(0)
    await job.runs(1, image="registry.test/app:typo", image_id=None, ends=None)
    await job.story.look(SLOT_AT + HOUR + 10 * MINUTE)
    assert await job.told() == "image of app: registry.test/app:latest → registry.test/app:typo"


async def test_several_failures_are_compared_with_the_success_before_them(job: Seen) -> None:
    await job.runs(0)
    for slot in (1, 2, 3):
        await job.runs(slot, image=f"registry.test/app:{slot}", image_id=B, ends="Failed")
    assert await job.told() == "image of app: registry.test/app:latest → registry.test/app:3"


async def test_an_edit_of_the_schedule_between_them_is_said(job: Seen) -> None:
    await job.runs(0)
    edited = {name: getattr(HOURLY, name) for name in HOURLY.__slots__}
    edited |= {"schedule": "0 */2 * * *", "generation": 2}
    edited |= {"effective_from": SLOT_AT + 30 * MINUTE}
    await job.story.applied(type(HOURLY)(**edited))
    await job.runs(2, ends="Failed")
    assert await job.told() == (
        "nothing in its template or images; schedule: 0 * * * * → 0 */2 * * *"
    )


async def test_without_a_success_and_once_it_is_solved_nothing_is_said(job: Seen) -> None:
    await job.runs(0, ends="Failed")
    assert await job.told() is None
    await job.runs(1)
    assert await job.told() is None


async def test_reading_the_cluster_again_writes_nothing_and_a_hidden_value_is_nowhere(
    job: Seen,
) -> None:
    await job.runs(0, value="hunter2")
    before = await job.story.runs()
    seen = mapping.job(
        job_of(job.story, 0, image="registry.test/app:latest", value="hunter2", ends="Complete")
    )
    assert seen
    (change,) = await observe.record(job.story.store, builders.CLUSTER, [seen], [])
    assert not change.is_news
    assert await job.story.runs() == before
    assert before[0].status is Status.SUCCEEDED
    assert before[0].template_hash
    async with job.story.store.transaction() as unit:
        kept = await unit.connection.execute(sa.text("SELECT summary::text FROM job_templates"))
        assert "hunter2" not in kept.scalar_one()


def test_times_are_written_as_the_api_server_writes_them() -> None:
    assert timestamps.parse(written(SLOT_AT)) == SLOT_AT
    assert timestamps.parse(written(SLOT_AT + timedelta(seconds=1))) != SLOT_AT

"""Whose Warning Events are read, and how many runs may wait for it."""

from collections.abc import Sequence
from typing import Any

import pytest

from rollcall.core import executions, slots
from rollcall.core.executions import Status
from rollcall.services import event_collector, observe
from support import builders


class Cluster:
    """Writes down about what it is asked, and says nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def warnings(self, namespace: str, uid: str) -> Sequence[slots.EventReading]:
        del namespace
        self.asked.append(uid)
        return ()


async def asked(*changes: observe.Change) -> list[str]:
    cluster = Cluster()
    listening = event_collector.EventCollector(store=None, evidence=cluster)  # type: ignore[arg-type]
    for change in changes:
        listening.hear(change)
    await listening.ask()
    return cluster.asked


def change(
    before: dict[str, Any], after: dict[str, Any], *pods: executions.Attempt, uid: str = "job-1"
) -> observe.Change:
    return observe.Change(
        job=builders.observation(job_uid=uid),
        pods=pods,
        before=builders.execution(**before),
        after=builders.execution(**after),
    )


PENDING, RUNNING = {"status": Status.PENDING}, {"status": Status.RUNNING}
FAILED = {"status": Status.FAILED}
BLOCKED = PENDING | {"reason": "QuotaExceeded"}


@pytest.mark.parametrize(
    ("before", "after", "is_asked"),
    [
        (RUNNING, FAILED, True),
        (FAILED, FAILED, False),
        (PENDING, BLOCKED, True),
        (BLOCKED, BLOCKED, False),
        (BLOCKED, RUNNING, False),
        (RUNNING, {"status": Status.SUCCEEDED}, False),
        (RUNNING, {"status": Status.CANCELLED}, False),
    ],
    ids=["fails", "failed", "blocked", "still", "starts", "succeeds", "cancelled"],
)
async def test_a_run_that_goes_wrong_is_asked_about_once(
    before: dict[str, Any], after: dict[str, Any], *, is_asked: bool
) -> None:
    assert await asked(change(before, after)) == (["job-1"] if is_asked else [])


async def test_beside_its_job_the_newest_pods_are_asked_about() -> None:
    pods = [builders.attempt(uid) for uid in ("a", "b", "c")]
    assert await asked(change(RUNNING, FAILED, *pods)) == ["job-1", "b", "c"]


async def test_of_very_many_runs_at_once_the_first_are_asked_about() -> None:
    many = [
        change(RUNNING, FAILED, uid=f"job-{number}")
        for number in range(event_collector.LONGEST_QUEUE + 1)
    ]
    found = await asked(*many, many[0])
    assert len(found) == event_collector.LONGEST_QUEUE
    assert found[0] == "job-0"

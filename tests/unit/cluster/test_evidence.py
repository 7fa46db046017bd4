"""The judge's own reads."""

import pytest

from rollcall.cluster import evidence, paths
from rollcall.core import errors
from support import podbodies
from support.fakekube import FakeKube


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


async def test_what_does_not_exist_is_none(kube: FakeKube) -> None:
    reads = evidence.Evidence(kube=kube)
    kube.fail("GET", paths.cronjob("team", "a"), errors.NotFound("no"))
    kube.fail("GET", paths.job("team", "a-1"), errors.NotFound("no"))
    assert await reads.cronjob("team", "a") is None
    assert await reads.job("team", "a-1") is None


async def test_what_exists_is_read(kube: FakeKube) -> None:
    kube.put(paths.job("team", "minutely-29926853"), podbodies.job())
    kube.put(paths.cronjob("team", "a"), {"metadata": {"name": "a"}, "spec": {"suspend": True}})
    reads = evidence.Evidence(kube=kube)
    job = await reads.job("team", "minutely-29926853")
    cronjob = await reads.cronjob("team", "a")
    assert job
    assert job.job_uid == podbodies.JOB_UID
    assert cronjob
    assert cronjob.suspended


async def test_a_job_of_somebody_else_is_none(kube: FakeKube) -> None:
    kube.put(paths.job("team", "minutely-29926853"), podbodies.job(labels={}))
    assert await evidence.Evidence(kube=kube).job("team", "minutely-29926853") is None


async def test_events_that_say_nothing_are_left_out(kube: FakeKube) -> None:
    for number, reason in enumerate(["FailedCreate", None]):
        event = {
            "metadata": {"name": f"e{number}", "namespace": "team"},
            "reason": reason,
            "message": "exceeded quota",
            "lastTimestamp": podbodies.at(3),
        }
        kube.put(f"{paths.events('team')}/e{number}", event)
    found = await evidence.Evidence(kube=kube).events("team", "a")
    assert [(one.reason, one.message) for one in found] == [("FailedCreate", "exceeded quota")]


async def test_an_unreachable_server_is_never_taken_for_absence(kube: FakeKube) -> None:
    reads = evidence.Evidence(kube=kube)
    kube.fail("GET", paths.job("team", "a-1"), errors.ClusterUnavailable("down"))
    with pytest.raises(errors.ClusterUnavailable):
        await reads.job("team", "a-1")


@pytest.mark.parametrize(
    "error",
    [errors.Refused("may not list", status=403), errors.ClusterUnavailable("down")],
    ids=["forbidden", "down"],
)
async def test_who_cannot_list_jobs_is_blind(kube: FakeKube, error: Exception) -> None:
    kube.fail("GET", paths.JOBS, error)
    with pytest.raises(errors.ClusterUnavailable):
        await evidence.Evidence(kube=kube).probe()
    await evidence.Evidence(kube=kube).probe()


@pytest.mark.parametrize(("name", "part"), [("a/b", "a%2Fb"), ("..", ".."), ("a?b", "a%3Fb")])
def test_names_cannot_leave_their_place_in_a_path(name: str, part: str) -> None:
    assert paths.job("team", name) == f"/apis/batch/v1/namespaces/team/jobs/{part}"

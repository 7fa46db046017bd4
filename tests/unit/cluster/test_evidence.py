"""The judge's own reads."""

from datetime import UTC, datetime

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
    suspended = {"metadata": {"name": "a"}, "spec": {"schedule": "@daily", "suspend": True}}
    kube.put(paths.cronjob("team", "a"), suspended)
    reads = evidence.Evidence(kube=kube)
    job = await reads.job("team", "minutely-29926853")
    cronjob = await reads.cronjob("team", "a")
    assert job
    assert job.job_uid == podbodies.JOB_UID
    assert cronjob
    assert cronjob.suspended
    assert cronjob.revision
    assert (cronjob.revision.schedule, cronjob.revision.suspended) == ("@daily", True)


async def test_a_job_of_somebody_else_is_none(kube: FakeKube) -> None:
    kube.put(paths.job("team", "minutely-29926853"), podbodies.job(labels={}))
    assert await evidence.Evidence(kube=kube).job("team", "minutely-29926853") is None


async def test_a_job_that_lost_our_label_is_read_again_by_its_uid(kube: FakeKube) -> None:
    reads = evidence.Evidence(kube=kube)
    body = podbodies.job(labels={})
    kube.put(paths.job("team", "minutely-29926853"), body)
    again = await reads.reread("team", "minutely-29926853", podbodies.JOB_UID, "tracked")
    assert again
    assert again.tracked_uid == "tracked"
    assert await reads.reread("team", "minutely-29926853", "another", "tracked") is None
    kube.fail("GET", paths.job("team", "gone"), errors.NotFound("no"))
    assert await reads.reread("team", "gone", podbodies.JOB_UID, "tracked") is None


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


async def test_warnings_are_read_by_uid_and_told_oldest_first(kube: FakeKube) -> None:
    for second in (5, 3):
        event = {
            "metadata": {"name": f"e{second}", "namespace": "team"},
            "reason": "FailedCreate",
            "message": f"at {second}",
            "lastTimestamp": podbodies.at(second),
        }
        kube.put(f"{paths.events('team')}/e{second}", event)
    found = await evidence.Evidence(kube=kube).warnings("team", "job-uid")
    assert [one.message for one in found] == ["at 3", "at 5"]
    assert kube.queries[-1]["fieldSelector"] == "involvedObject.uid=job-uid,type=Warning"


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


async def test_all_jobs_of_a_job_are_listed_by_its_label(kube: FakeKube) -> None:
    kube.put(paths.job("team", "minutely-29926853"), podbodies.job())
    kube.put(paths.job("team", "somebodys"), podbodies.job(labels={}))
    found = await evidence.Evidence(kube=kube).jobs("team", "tracked-uid")
    assert [one.job_uid for one in found] == [podbodies.JOB_UID]


async def test_a_probe_says_what_time_it_is_there(kube: FakeKube) -> None:
    assert await evidence.Evidence(kube=kube).probe() is None
    kube.server_time = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert await evidence.Evidence(kube=kube).probe() == kube.server_time

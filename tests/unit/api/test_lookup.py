"""What a reporting pod belongs to."""

from typing import Any

import pytest

from rollcall.cluster import lookup, paths
from rollcall.core import errors
from rollcall.services import reporters
from support import podbodies
from support.fakekube import FakeKube

POD = reporters.Pod(namespace="team", name="minutely-29926853-ds2c2", uid=podbodies.POD_UID)
POD_PATH = paths.pod("team", POD.name)
JOB_PATH = paths.job("team", "minutely-29926853")
CRONJOB_PATH = paths.cronjob("team", "minutely")


def cronjob(**metadata: object) -> dict[str, Any]:
    own = {"uid": podbodies.CRONJOB_UID, "labels": dict(podbodies.LABELS)}
    return {"metadata": {"name": "minutely", "namespace": "team", **own, **metadata}, "spec": {}}


@pytest.fixture
def kube() -> FakeKube:
    kube = FakeKube()
    kube.put(POD_PATH, podbodies.pod(podbodies.running(1)))
    kube.put(JOB_PATH, podbodies.job())
    kube.put(CRONJOB_PATH, cronjob())
    return kube


async def test_a_pod_of_ours_is_found_with_its_job(kube: FakeKube) -> None:
    found = await lookup.Lookup(kube=kube).find(POD)
    assert found
    assert found.attempt.pod_uid == podbodies.POD_UID
    assert found.attempt.started_at
    assert (found.job.job_uid, found.job.tracked_uid) == (
        podbodies.JOB_UID,
        podbodies.TRACKED_UID,
    )
    assert kube.reads == [POD_PATH, JOB_PATH, CRONJOB_PATH]


OTHER = {"rollcall.dev/name": "other", "rollcall.dev/uid": "another"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (POD_PATH, podbodies.pod(podbodies.running(1), uid="another")),
        (POD_PATH, podbodies.pod(podbodies.running(1), labels={})),
        (POD_PATH, podbodies.pod(podbodies.running(1), labels=OTHER)),
        (POD_PATH, podbodies.pod(podbodies.running(1), ownerReferences=[])),
        (JOB_PATH, podbodies.job(uid="another")),
        (JOB_PATH, podbodies.job(labels={})),
        (JOB_PATH, podbodies.job(labels=OTHER)),
        (JOB_PATH, podbodies.job(ownerReferences=[])),
        (CRONJOB_PATH, cronjob(uid="another")),
        (CRONJOB_PATH, cronjob(labels={})),
        (CRONJOB_PATH, cronjob(labels=OTHER)),
    ],
    ids=[
        "pod-of-this-name-now",
        "pod-without-label",
        "pod-of-other-label",
        "pod-without-owner",
        "job-of-this-name-now",
        "job-without-label",
        "job-of-other-label",
        "job-without-owner",
        "cronjob-of-this-name-now",
        "cronjob-without-label",
        "cronjob-of-other-label",
    ],
)
async def test_one_link_that_does_not_fit_makes_it_a_stranger(
    kube: FakeKube, path: str, body: dict[str, Any]
) -> None:
    del kube.objects[path]
    kube.put(path, body)
    assert await lookup.Lookup(kube=kube).find(POD) is None


@pytest.mark.parametrize("path", [POD_PATH, JOB_PATH, CRONJOB_PATH], ids=["pod", "job", "cronjob"])
async def test_what_is_gone_makes_it_a_stranger(kube: FakeKube, path: str) -> None:
    kube.fail("GET", path, errors.NotFound("gone"))
    assert await lookup.Lookup(kube=kube).find(POD) is None


@pytest.mark.parametrize("path", [POD_PATH, JOB_PATH, CRONJOB_PATH], ids=["pod", "job", "cronjob"])
@pytest.mark.parametrize(
    "fault",
    [errors.ClusterUnavailable("down"), errors.Refused("may not", status=403)],
    ids=["down", "forbidden"],
)
async def test_what_cannot_be_read_makes_nobody_a_stranger(
    kube: FakeKube, path: str, fault: Exception
) -> None:
    kube.fail("GET", path, fault)
    with pytest.raises(errors.ClusterUnavailable):
        await lookup.Lookup(kube=kube).find(POD)

"""What we leave on objects: our fields and our status, and nothing besides."""

import asyncio
from collections.abc import Iterable

import pytest

from support import kube as kubes

CHANNELS = "/apis/rollcall.dev/v1alpha1/alertchannels"
ALIEN = ("kopf", "zalando")
# By Kubernetes itself, on pods of Jobs and on objects that are being deleted.
BUILT_IN = {"batch.kubernetes.io/job-tracking", "foregroundDeletion", "orphan"}


@pytest.mark.usefixtures("receiver")  # for the channel that all tests share
async def test_after_a_run_no_object_carries_more_than_our_fields(namespace: kubes.Place) -> None:
    await namespace.apply_job("clean", "sleep 2")
    await namespace.health("clean", "Healthy")
    tracked = await namespace.job("clean")
    cronjob = await namespace.kube.get(namespace.cronjobs("clean"))
    itself = await namespace.kube.get(f"{kubes.NAMESPACES}/{namespace.name}")
    channels = [one async for one in namespace.kube.list(CHANNELS)]
    jobs = [one async for one in namespace.kube.list(namespace.group("batch/v1", "jobs"))]
    pods = [one async for one in namespace.kube.list(namespace.core("pods"))]
    assert jobs
    assert pods
    assert channels
    for thing in (tracked, cronjob, *jobs, *pods, itself, *channels):
        metadata = thing["metadata"]
        assert not _alien(metadata.get("annotations") or {}), metadata
        assert set(metadata.get("finalizers") or ()) <= BUILT_IN, metadata
        assert not _alien(thing.get("status") or {}), metadata["name"]
        assert not _alien(entry["manager"] for entry in metadata["managedFields"])
    assert "finalizers" not in tracked["metadata"]
    assert "annotations" not in tracked["metadata"]
    assert _ours(tracked) == {"status"}
    assert _ours(cronjob) == {""}
    assert not any(_ours(thing) for thing in (*jobs, *pods))


async def test_a_job_at_rest_is_not_written_to(namespace: kubes.Place) -> None:
    await namespace.apply_job("resting", schedule="0 0 1 1 *", suspend=True)
    await namespace.health("resting", "Suspended", 30)
    await asyncio.sleep(5)  # the first answer may come in two writes
    tracked = await namespace.job("resting")
    cronjob = await namespace.kube.get(namespace.cronjobs("resting"))
    await asyncio.sleep(30)
    assert await namespace.job("resting") == tracked
    assert await namespace.kube.get(namespace.cronjobs("resting")) == cronjob


def _alien(words: Iterable[str]) -> list[str]:
    return [word for word in words if any(alien in word.lower() for alien in ALIEN)]


def _ours(thing: kubes.Object) -> set[str]:
    """Return the subresources that we wrote, `` for the object itself."""
    entries = thing["metadata"]["managedFields"]
    return {entry.get("subresource", "") for entry in entries if entry["manager"] == "rollcall"}

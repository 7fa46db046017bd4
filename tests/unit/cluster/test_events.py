"""Events about a job."""

from datetime import timedelta

import pytest

from rollcall.cluster import events, paths
from rollcall.core import errors
from support.clocks import Clock
from support.fakekube import FakeKube
from support.trackedcronjobs import UID, tracked

PATH = paths.events("team")


async def test_an_event_names_its_object() -> None:
    kube = FakeKube()
    poster = events.Events(kube=kube, clock=Clock(), identity="operator-1")
    await poster.post(tracked(), reason="Adopted", message="m" * 2000, warning=True)
    (event,) = kube.bodies
    assert event["involvedObject"] == {
        "apiVersion": "rollcall.dev/v1alpha1",
        "kind": "TrackedCronJob",
        "namespace": "team",
        "name": "nightly",
        "uid": UID,
    }
    assert (event["type"], event["reason"]) == ("Warning", "Adopted")
    assert len(event["message"]) == 1024
    assert event["lastTimestamp"] == "2026-03-02T12:00:00Z"


async def test_the_same_reason_about_the_same_object_is_posted_once_in_five_minutes() -> None:
    kube, clock = FakeKube(), Clock()
    poster = events.Events(kube=kube, clock=clock)
    for _ in range(3):
        await poster.post(tracked(), reason="Reverted", message="x")
    await poster.post(tracked(), reason="Adopted", message="x")
    await poster.post(tracked(uid="other"), reason="Reverted", message="x")
    assert len(kube.writes()) == 3
    clock.advance(timedelta(minutes=5))
    await poster.post(tracked(), reason="Reverted", message="x")
    assert len(kube.writes()) == 1


@pytest.mark.parametrize(
    "error", [errors.ClusterUnavailable("down"), errors.Refused("no", status=403)]
)
async def test_an_event_that_cannot_be_posted_stops_nothing(error: Exception) -> None:
    kube = FakeKube()
    kube.fail("POST", PATH, error)
    await events.Events(kube=kube, clock=Clock()).post(tracked(), reason="X", message="")
    assert kube.writes() == []

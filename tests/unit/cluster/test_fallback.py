"""When the sidecar's image cannot be pulled."""

import copy
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from rollcall.cluster import events, fallback, mapping, paths
from rollcall.core import errors
from support import podbodies
from support.clocks import Clock
from support.fakekube import FakeKube, Object

PATCH = "PATCH"
PAUSE = "registry.k8s.io/pause:3.10"


def waiting_pod(number: int, reason: str = "ImagePullBackOff") -> Object:
    body = podbodies.pod(
        podbodies.waiting("PodInitializing"),
        phase="Pending",
        sidecar=podbodies.waiting(reason),
        name=f"pod-{number}",
        uid=f"uid-{number}",
    )
    body["spec"]["initContainers"][0]["image"] = "registry.example/sidecar:1"
    return body


def running_pod(number: int, image: str = "registry.example/sidecar:1") -> Object:
    body = podbodies.pod(podbodies.running(1), name=f"pod-{number}", uid=f"uid-{number}")
    body["spec"]["initContainers"][0]["image"] = image
    return body


@dataclass
class World:
    image: str = PAUSE
    kube: FakeKube = field(default_factory=FakeKube)
    clock: Clock = field(default_factory=Clock)
    stops: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fallback = fallback.Fallback(
            kube=self.kube,
            image=self.image,
            events=events.Events(kube=self.kube, clock=self.clock),
            stopped=lambda: self.stops.append("stopped"),
            clock=self.clock,
        )

    def see(self, body: Object) -> None:
        found = mapping.attempt(body, None)
        assert found
        self.kube.objects[paths.pod("team", body["metadata"]["name"])] = copy.deepcopy(body)
        self.fallback.pod_seen(body, found[1])

    async def mend(self, number: int) -> None:
        """Do what is due for a pod once its patience is over."""
        await self.fallback.mend(
            fallback.Pod(namespace="team", name=f"pod-{number}", uid=f"uid-{number}")
        )


async def test_a_waiting_pod_gets_the_other_image() -> None:
    world = World()
    world.see(waiting_pod(1))
    await world.mend(1)
    assert world.kube.writes()[0] == (PATCH, paths.pod("team", "pod-1"))
    assert world.kube.bodies[0] == {
        "metadata": {"uid": "uid-1"},
        "spec": {"initContainers": [{"name": "rollcall", "image": PAUSE}]},
    }
    assert world.kube.bodies[1]["reason"] == "SidecarUnavailable"


@pytest.mark.parametrize("reason", ["ErrImagePull", "InvalidImageName", "ErrImageNeverPull"])
async def test_every_trouble_with_the_image_counts(reason: str) -> None:
    world = World()
    world.see(waiting_pod(1, reason))
    await world.mend(1)
    assert world.kube.writes()


@pytest.mark.parametrize(
    "after", [running_pod(1), waiting_pod(1, "CreateContainerConfigError")], ids=["came", "other"]
)
async def test_a_pod_that_no_longer_waits_is_left_alone(after: Object) -> None:
    world = World()
    world.see(waiting_pod(1))
    world.see(after)
    await world.mend(1)
    assert world.kube.writes() == []


async def test_without_another_image_nothing_is_done() -> None:
    world = World(image="")
    world.see(waiting_pod(1))
    await world.mend(1)
    assert world.kube.writes() == []
    assert world.fallback.unavailable() is None


async def test_three_in_a_row_stop_the_injection_for_a_while() -> None:
    world = World()
    for number in range(3):
        assert world.fallback.unavailable() is None
        world.see(waiting_pod(number))
        await world.mend(number)
    assert world.stops == ["stopped"]
    assert "could not be pulled for 3 pods" in (world.fallback.unavailable() or "")
    world.clock.advance(timedelta(minutes=10))
    assert world.fallback.unavailable() is None


async def test_each_further_failure_waits_longer() -> None:
    world = World()
    for attempt in range(8):
        for number in range(3):
            world.see(waiting_pod(10 * attempt + number))
            await world.mend(10 * attempt + number)
        pause = min(timedelta(minutes=10) * 2**attempt, timedelta(hours=6))
        world.clock.advance(pause - timedelta(seconds=1))
        assert world.fallback.unavailable()
        world.clock.advance(timedelta(seconds=1))
        assert world.fallback.unavailable() is None


async def test_a_success_in_between_breaks_the_row() -> None:
    world = World()
    for number in range(4):
        world.see(waiting_pod(number))
        await world.mend(number)
        if number == 1:
            world.see(running_pod(99))
    assert world.stops == []


async def test_a_pod_that_runs_on_the_other_image_is_no_success() -> None:
    world = World()
    for number in range(3):
        world.see(waiting_pod(number))
        await world.mend(number)
        world.see(running_pod(number, image=PAUSE))
    assert world.stops == ["stopped"]


async def test_failures_far_apart_are_no_row() -> None:
    world = World()
    for number in range(5):
        world.see(waiting_pod(number))
        await world.mend(number)
        world.clock.advance(timedelta(minutes=6))
    assert world.stops == []


@pytest.mark.parametrize(
    "error",
    [errors.NotFound("gone"), errors.Conflict("other"), errors.Refused("no right", status=403)],
)
async def test_a_pod_that_cannot_be_mended_is_given_up(error: Exception) -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.fail(PATCH, paths.pod("team", "pod-1"), error)
    await world.mend(1)
    await world.mend(1)
    assert len(world.kube.writes()) == 1


async def test_a_server_that_does_not_answer_is_tried_again() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.fail(PATCH, paths.pod("team", "pod-1"), errors.ClusterUnavailable("down"))
    with pytest.raises(errors.ClusterUnavailable):
        await world.mend(1)
    await world.mend(1)
    assert len(world.kube.writes()) == 3  # the failed patch, the patch, its Event

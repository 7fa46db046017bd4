"""When the sidecar cannot start."""

import asyncio
import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from rollcall.cluster import events, fallback, inventory, mapping, paths, troubles
from rollcall.core import errors
from support import podbodies
from support.clocks import Clock
from support.fakekube import FakeKube, Object

PATCH = "PATCH"
IMAGE = "registry.example/sidecar:1"
PAUSE = "registry.k8s.io/pause:3.10"
CREATED = datetime(2026, 11, 25, 12, 53, tzinfo=UTC)  # of pods
KEY = inventory.Key("team", "minutely")
WORDS = "ErrImagePull: no such host"


def pod(
    number: int, main: Object, sidecar: Object, *, image: str = IMAGE, phase: str = "Running"
) -> Object:
    ready = {"type": "PodScheduled", "status": "True", "lastTransitionTime": podbodies.at(0)}
    body = podbodies.pod(
        main,
        phase=phase,
        sidecar=sidecar,
        conditions=[ready],
        name=f"pod-{number}",
        uid=f"uid-{number}",
    )
    body["spec"]["initContainers"][0]["image"] = image
    return body


def waiting_pod(number: int, reason: str = "ErrImagePull", message: str = "no such host") -> Object:
    sidecar = podbodies.waiting(reason)
    sidecar["state"]["waiting"]["message"] = message
    return pod(number, podbodies.waiting("PodInitializing"), sidecar, phase="Pending")


def running_pod(number: int, *, image: str = IMAGE, since: int = 2) -> Object:
    return pod(number, podbodies.running(since), podbodies.running(since), image=image)


def succeeding_pod(number: int) -> Object:
    """Build a pod that ran later than a minute after others were made."""
    body = running_pod(number)
    for status in ("containerStatuses", "initContainerStatuses"):
        body["status"][status][0]["state"]["running"]["startedAt"] = "2026-11-25T12:54:30Z"
    return body


def of_job(body: Object, job: str) -> Object:
    body["metadata"]["labels"]["rollcall.dev/name"] = job
    return body


def mended_pod(number: int, sidecar: Object, main: Object | None = None) -> Object:
    body = pod(number, main or podbodies.waiting("PodInitializing"), sidecar, image=PAUSE)
    mark = f"{podbodies.at(50)} {WORDS}"
    body["metadata"]["annotations"] = {"rollcall.dev/untracked": mark}
    return body


class Busy(FakeKube):
    """Lets something happen right after the next read."""

    meanwhile: Callable[[], None] | None = None

    @override
    async def get(self, path: str, **query: str | int) -> Object:
        found = await super().get(path, **query)
        if self.meanwhile:
            self.meanwhile()
            self.meanwhile = None
        return found


@dataclass
class World:
    image: str = PAUSE
    kube: FakeKube = field(default_factory=FakeKube)
    clock: Clock = field(default_factory=lambda: Clock(CREATED + timedelta(minutes=1)))
    asked: list[object] = field(default_factory=list)  # for reconciliations
    changed: list[inventory.Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        now = functools.partial(self.kube.now, self.clock)
        self.troubles = troubles.Troubles(changed=self.changed.append, clock=now)
        for job in ("minutely", "one", "two", "three"):
            self.has(job)
        self.fallback = fallback.Fallback(
            kube=self.kube,
            image=self.image,
            events=events.Events(kube=self.kube, clock=self.clock),
            troubles=self.troubles,
            reconcile=self.asked.append,
            reconcile_all=lambda: self.asked.append("all"),
            clock=now,
        )

    def has(self, job: str, uid: str = podbodies.TRACKED_UID) -> None:
        """Let the cluster have a TrackedCronJob."""
        self.troubles.recall(inventory.Key("team", job), {"metadata": {"uid": uid}})

    def see(self, body: Object) -> None:
        """Let the cluster have this pod, and the watch tell it."""
        path = paths.pod("team", body["metadata"]["name"])
        stored = self.kube.put(path, copy.deepcopy(body))
        self.miss_nothing(stored)

    def miss_nothing(self, body: Object) -> None:
        found = mapping.attempt(body, None)
        assert found
        self.fallback.pod_seen(body, found[1])

    async def mend(self, number: int, job: str = "minutely") -> timedelta | None:
        """Do what is due for a pod."""
        return await self.fallback.mend(
            fallback.Pod(
                namespace="team",
                name=f"pod-{number}",
                uid=f"uid-{number}",
                job=inventory.Key("team", job),
                tracked_uid=podbodies.TRACKED_UID,
            )
        )

    async def fail(self, number: int, job: str = "minutely") -> None:
        """Let a pod of a job get the fallback image."""
        self.see(of_job(waiting_pod(number), job))
        await self.mend(number, job)

    def told(self) -> str:
        trouble = self.troubles.told(KEY)
        return trouble.message if trouble else ""


async def test_a_waiting_pod_gets_the_other_image_and_a_mark_that_says_why() -> None:
    world = World()
    world.see(waiting_pod(1))
    version = world.kube.objects[paths.pod("team", "pod-1")]["metadata"]["resourceVersion"]
    await world.mend(1)
    assert world.kube.writes()[0] == (PATCH, paths.pod("team", "pod-1"))
    mark = f"2026-11-25T12:54:00Z {WORDS}"
    assert world.kube.bodies[0] == {
        "metadata": {
            "uid": "uid-1",
            "resourceVersion": version,
            "annotations": {"rollcall.dev/untracked": mark},
        },
        "spec": {"initContainers": [{"name": "rollcall", "image": PAUSE}]},
    }
    assert world.kube.bodies[1]["reason"] == "Untracked"
    assert WORDS in world.kube.bodies[1]["message"]
    assert world.told() == f"pod-1 is untracked, its sidecar could not start: {WORDS}"
    assert world.changed == [KEY]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("ErrImagePull", "ImageUnavailable"),
        ("ImagePullBackOff", "ImageUnavailable"),
        ("InvalidImageName", "ImageUnavailable"),
        ("ErrImageNeverPull", "ImageUnavailable"),
        ("CreateContainerConfigError", "SidecarCannotStart"),
        ("CreateContainerError", "SidecarCannotStart"),
        ("RunContainerError", "SidecarCannotStart"),
    ],
)
async def test_every_trouble_that_keeps_our_container_from_starting_counts(
    word: str, reason: str
) -> None:
    world = World()
    world.see(waiting_pod(1, word))
    await world.mend(1)
    assert world.kube.writes()
    told = world.troubles.told(KEY)
    assert told
    assert told.reason == reason


async def test_of_a_container_that_is_started_again_and_again_the_end_is_told() -> None:
    world = World()
    body = waiting_pod(1, "CrashLoopBackOff", "back-off 20s restarting")
    end = podbodies.ended(128, "StartError", message="exec format error")["state"]
    body["status"]["initContainerStatuses"][0]["lastState"] = end
    world.see(body)
    await world.mend(1)
    assert world.told().endswith("CrashLoopBackOff: exec format error")


async def test_it_is_the_pods_age_that_counts_not_since_when_it_is_watched() -> None:
    world = World(clock=Clock(CREATED + timedelta(seconds=55)))
    world.see(waiting_pod(1))
    assert await world.mend(1) == timedelta(seconds=5)
    assert world.kube.writes() == []
    world.kube.server_time = CREATED + timedelta(seconds=60)  # its clock, not ours
    assert await world.mend(1) is None
    assert world.kube.writes()


async def test_a_trouble_that_comes_after_a_quiet_while_is_not_waited_for_longer() -> None:
    world = World(clock=Clock(CREATED + timedelta(seconds=59.9)))
    world.see(quiet_pod(1))
    world.see(waiting_pod(1))
    working = asyncio.create_task(world.fallback.run())
    world.clock.advance(timedelta(seconds=1))
    await asyncio.sleep(0.3)
    working.cancel()
    assert world.kube.writes()


async def test_a_pod_whose_own_containers_are_slow_is_left_alone() -> None:
    world = World()
    users = podbodies.waiting("ImagePullBackOff")
    for body in (
        pod(1, users, podbodies.running(1), phase="Pending"),
        pod(1, podbodies.waiting("PodInitializing"), podbodies.waiting("PodInitializing")),
    ):
        world.see(body)
        await world.mend(1)
    assert world.kube.writes() == []


async def test_a_pod_whose_own_containers_run_keeps_its_sidecar_whatever_that_does() -> None:
    world = World()
    world.see(pod(1, podbodies.running(2), podbodies.waiting("CrashLoopBackOff")))
    await world.mend(1)
    assert world.kube.writes() == []


async def test_a_users_container_of_our_name_is_never_touched() -> None:
    world = World()
    body = waiting_pod(1)
    body["spec"]["volumes"] = []
    world.see(body)
    await world.mend(1)
    assert world.kube.writes() == []
    assert world.told() == ""


async def test_a_pod_that_no_longer_waits_is_left_alone() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.see(running_pod(1))
    await world.mend(1)
    assert world.kube.writes() == []


async def test_a_pod_that_got_on_unseen_is_left_alone() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.put(paths.pod("team", "pod-1"), running_pod(1))
    await world.mend(1)
    assert world.kube.writes() == []


async def test_a_pod_that_changes_meanwhile_is_looked_at_again() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.fail(PATCH, paths.pod("team", "pod-1"), errors.Conflict("modified"))
    assert await world.mend(1) == fallback.CHANGED
    assert await world.mend(1) is None
    assert world.told()


async def test_what_happens_to_a_pod_while_it_is_looked_at_is_not_lost() -> None:
    kube = Busy()
    world = World(kube=kube, clock=Clock(CREATED + timedelta(minutes=10)))
    world.see(quiet_pod(1))
    kube.meanwhile = lambda: world.see(waiting_pod(1))
    await world.mend(1)
    assert world.kube.writes() == []
    await world.mend(1)
    assert world.kube.writes()


async def test_another_pod_of_the_same_name_is_left_alone() -> None:
    world = World()
    world.see(waiting_pod(1))
    other = waiting_pod(1)
    other["metadata"]["uid"] = "another"
    world.kube.put(paths.pod("team", "pod-1"), other)
    await world.mend(1)
    assert world.kube.writes() == []


async def test_a_pod_that_went_is_forgotten() -> None:
    world = World()
    world.see(waiting_pod(1))
    del world.kube.objects[paths.pod("team", "pod-1")]
    assert await world.mend(1) is None
    world.see(waiting_pod(2))
    world.kube.fail(PATCH, paths.pod("team", "pod-2"), errors.NotFound("gone"))
    assert await world.mend(2) is None
    assert world.told() == ""


async def test_without_another_image_nothing_is_done() -> None:
    world = World(image="")
    world.see(waiting_pod(1))
    await world.mend(1)
    assert world.kube.writes() == []
    assert world.troubles.withheld(KEY) is None


async def test_a_refusal_is_told_and_not_repeated() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.fail(PATCH, paths.pod("team", "pod-1"), errors.Refused("no right", status=403))
    await world.mend(1)
    await world.mend(1)
    assert len(world.kube.writes()) == 1
    refused = f"{WORDS}; the fallback image was refused: no right"
    assert world.told() == f"pod-1 waits for its sidecar: {refused}"


async def test_pods_that_are_refused_the_other_image_stop_the_injection_too() -> None:
    world = World()
    for number in range(3):
        assert world.troubles.withheld(KEY) is None
        path = paths.pod("team", f"pod-{number}")
        world.kube.fail(PATCH, path, errors.Refused("not by our policy", status=403))
        await world.fail(number)
    assert world.asked == [KEY]
    obstacle = world.troubles.withheld(KEY)
    assert obstacle
    assert "not by our policy" in obstacle.message


async def test_a_pod_that_cannot_be_read_is_tried_again() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.fail("GET", paths.pod("team", "pod-1"), errors.Refused("no right", status=403))
    with pytest.raises(errors.Refused):
        await world.mend(1)
    await world.mend(1)
    assert world.told()


async def test_a_server_that_does_not_answer_is_tried_again() -> None:
    world = World()
    world.see(waiting_pod(1))
    world.kube.fail(PATCH, paths.pod("team", "pod-1"), errors.ClusterUnavailable("down"))
    with pytest.raises(errors.ClusterUnavailable):
        await world.mend(1)
    await world.mend(1)
    assert len(world.kube.writes()) == 3  # the failed patch, the patch, its Event


async def test_a_fallback_image_that_cannot_start_either_is_told() -> None:
    world = World(clock=Clock(CREATED + timedelta(seconds=51)))
    sidecar = podbodies.waiting("RunContainerError")
    sidecar["state"]["waiting"]["message"] = "denied"
    world.see(mended_pod(1, sidecar))
    assert await world.mend(1) == timedelta(seconds=19)  # the kubelet may not have seen it yet
    world.clock.advance(timedelta(seconds=19))
    await world.mend(1)
    assert world.kube.writes() == []
    assert world.told().endswith(
        f"{WORDS}; the fallback image cannot start either: RunContainerError: denied"
    )
    world.see(mended_pod(1, sidecar))
    assert "either" in world.told()


async def test_what_was_said_of_a_fallback_image_is_over_once_it_runs() -> None:
    world = World(clock=Clock(CREATED + timedelta(seconds=71)))
    world.see(mended_pod(1, podbodies.waiting("RunContainerError")))
    await world.mend(1)
    assert "either" in world.told()
    runs = podbodies.running(0)
    runs["state"]["running"]["startedAt"] = "2026-11-25T12:54:20Z"
    world.see(mended_pod(1, runs, runs))
    assert world.told() == f"pod-1 is untracked, its sidecar could not start: {WORDS}"
    world.see(mended_pod(1, podbodies.ended(0), podbodies.ended(0)))  # by a clock that is behind
    assert world.told() == f"pod-1 is untracked, its sidecar could not start: {WORDS}"


@pytest.mark.parametrize(("image", "is_told"), [(IMAGE, False), (PAUSE, True)])
async def test_while_the_fallback_image_is_pulled_the_trouble_is_still_that_of_ours(
    image: str, *, is_told: bool
) -> None:
    world = World(clock=Clock(CREATED + timedelta(minutes=10)))
    sidecar = podbodies.waiting("ImagePullBackOff")
    sidecar["state"]["waiting"]["message"] = f'Back-off pulling image "{image}"'
    world.see(mended_pod(1, sidecar))
    await world.mend(1)
    assert ("either" in world.told()) == is_told


def quiet_pod(number: int) -> Object:
    """Build a pod whose volumes and network are there, and nothing of it runs."""
    quiet = podbodies.waiting("PodInitializing")
    body = pod(number, quiet, quiet, phase="Pending")
    began = {"type": "PodReadyToStartContainers", "status": "True"}
    body["status"]["conditions"].append({**began, "lastTransitionTime": podbodies.at(1)})
    return body


def says(world: World, number: int, reason: str, second: int) -> None:
    world.kube.objects[f"{paths.events('team')}/{number}"] = {
        "metadata": {"name": str(number)},
        "reason": reason,
        "message": f'{reason} image "x"',
        "lastTimestamp": podbodies.at(second),
    }


async def test_a_pull_that_hangs_is_told_and_the_pod_left_to_it() -> None:
    world = World(clock=Clock(CREATED + timedelta(seconds=80)))
    world.see(quiet_pod(1))
    says(world, 1, "Failed", 20)
    says(world, 2, "Pulling", 30)
    assert await world.mend(1) == timedelta(seconds=1)
    world.clock.advance(timedelta(seconds=1))
    await world.mend(1)
    assert world.kube.writes() == []
    assert world.told() == (
        'pod-1 waits for its sidecar: Pulling: Pulling image "x" has gone on since '
        "2026-11-25T12:53:30Z"
    )
    selector = world.kube.queries[-1]["fieldSelector"]
    assert selector == (
        "involvedObject.uid=uid-1,involvedObject.fieldPath=spec.initContainers{rollcall}"
    )
    for number in (2, 3):
        world.see(quiet_pod(number))
        await world.mend(number)
    assert world.asked == [KEY]  # later pods need not wait for it


@pytest.mark.parametrize("reason", ["Pulled", "Failed", "BackOff"])
async def test_a_pull_that_has_ended_does_not_hang(reason: str) -> None:
    world = World(clock=Clock(CREATED + timedelta(minutes=10)))
    world.see(quiet_pod(1))
    says(world, 1, "Pulling", 30)
    says(world, 2, reason, 30)
    await world.mend(1)
    assert world.told() == ""


async def test_a_pod_for_whose_sidecar_nothing_is_pulled_waits_for_something_else() -> None:
    world = World(clock=Clock(CREATED + timedelta(minutes=10)))
    world.see(quiet_pod(1))
    await world.mend(1)
    assert world.told() == ""
    assert world.kube.writes() == []


async def test_after_a_restart_the_marked_pods_say_what_is_wrong() -> None:
    world = World()
    world.see(mended_pod(1, podbodies.running(51), podbodies.running(52)))
    assert world.told() == f"pod-1 is untracked, its sidecar could not start: {WORDS}"
    assert world.troubles.withheld(KEY) is None  # the image may be another by now


async def test_a_pod_in_which_our_image_runs_ends_the_trouble() -> None:
    world = World()
    world.see(mended_pod(1, podbodies.running(51), podbodies.running(52)))
    world.see(running_pod(2, since=40))  # it had ours before
    assert world.told()
    world.see(running_pod(3, since=55))
    assert world.told() == ""
    assert world.changed == [KEY, KEY]


async def test_the_clock_of_a_node_that_is_behind_does_not_hide_that_all_is_well() -> None:
    world = World()
    world.see(mended_pod(1, podbodies.running(51), podbodies.running(52)))
    later = running_pod(2, since=10)
    later["metadata"]["creationTimestamp"] = podbodies.at(55)
    world.see(later)
    assert world.told() == ""


async def test_three_pods_of_a_job_in_a_row_stop_its_injection_however_far_apart() -> None:
    world = World()
    for number in range(3):
        assert world.troubles.withheld(KEY) is None
        await world.fail(number)
        world.clock.advance(timedelta(hours=1))
    assert world.asked == [KEY]
    world.clock.advance(-timedelta(hours=1))
    obstacle = world.troubles.withheld(KEY)
    assert obstacle
    assert obstacle.reason == "ImageUnavailable"
    assert WORDS in obstacle.message
    assert "after 3 pods of this job in a row" in obstacle.message
    assert world.troubles.withheld(inventory.Key("team", "other")) is None
    world.clock.advance(timedelta(minutes=10))
    assert world.troubles.withheld(KEY) is None


async def test_three_jobs_in_a_row_stop_the_injection_everywhere() -> None:
    world = World()
    for number, job in enumerate(("one", "two", "three")):
        await world.fail(number, job)
    assert world.asked == ["all"]
    obstacle = world.troubles.withheld(KEY)
    assert obstacle
    assert "after 3 jobs in a row" in obstacle.message


async def test_a_success_in_between_breaks_the_row() -> None:
    world = World()
    for number in (0, 1):
        await world.fail(number)
    world.see(succeeding_pod(99))
    for number in (2, 3):
        await world.fail(number)
    assert world.asked == []
    await world.fail(4)
    assert world.asked == [KEY]


async def test_a_success_is_compared_with_failures_by_the_same_clock() -> None:
    world = World(clock=Clock(CREATED + timedelta(hours=1)))  # ours is far ahead
    world.kube.server_time = CREATED + timedelta(minutes=1)
    for number in (0, 1):
        await world.fail(number)
    world.see(succeeding_pod(99))
    await world.fail(2)
    assert world.asked == []
    for number in (3, 4):
        await world.fail(number)
    assert world.troubles.withheld(KEY)
    world.kube.server_time += timedelta(minutes=10)
    assert world.troubles.withheld(KEY) is None


async def test_a_success_anywhere_brings_the_sidecar_back_to_all_but_the_jobs_that_failed() -> None:
    world = World(clock=Clock(CREATED + timedelta(seconds=60)))
    for number, job in enumerate(("one", "two", "three")):
        await world.fail(number, job)
    world.see(succeeding_pod(9))
    assert world.asked == ["all", "all"]
    assert world.troubles.withheld(KEY) is None


async def test_a_pod_that_runs_on_the_other_image_is_no_success() -> None:
    world = World()
    for number in range(3):
        await world.fail(number)
        world.see(mended_pod(number, podbodies.running(55), podbodies.running(56)))
    assert world.asked == [KEY]


async def test_the_pods_of_a_job_that_is_gone_run_and_leave_nothing_behind() -> None:
    world = World()
    for number in range(3):
        await world.fail(number, "gone")
        world.see(of_job(mended_pod(number, podbodies.running(55)), "gone"))
    assert len(world.kube.writes()) == 6  # patches, and their Events
    assert world.troubles.told(inventory.Key("team", "gone")) is None
    assert world.troubles.withheld(inventory.Key("team", "gone")) is None


async def test_the_pods_of_an_earlier_job_of_that_name_say_nothing_of_this_one() -> None:
    world = World()
    world.has("minutely", "another")
    for number in range(3):
        await world.fail(number)
    world.see(mended_pod(4, podbodies.running(51), podbodies.running(52)))
    assert world.told() == ""
    assert world.troubles.withheld(KEY) is None
    at = world.clock()
    world.troubles.tell(KEY, troubles.Trouble(at=at, reason="ImageUnavailable", message="its own"))
    world.see(succeeding_pod(5))
    assert world.told() == "its own"

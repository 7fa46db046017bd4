"""Full lists against what came in, and the door through which everything comes in."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from rollcall.cluster import intake, inventory, paths, resync
from rollcall.cluster.seen import Kind
from rollcall.core import errors, executions
from rollcall.services import ports
from support import builders, podbodies
from support.fakekube import FakeKube, Object
from support.memorystore import MemoryStore
from support.trackedcronjobs import UID, tracked

KEY = inventory.Key("team", "nightly")
CHANNEL = f"{paths.CHANNELS}/pager"
JOB = paths.job("team", "minutely-29926853")
POD = paths.pod("team", "minutely-29926853-ds2c2")


@dataclass
class Inbox:
    jobs: dict[str, executions.JobObservation] = field(default_factory=dict)
    pods: list[executions.Attempt] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    readings: list[executions.JobObservation] = field(default_factory=list)

    def job(self, job: executions.JobObservation) -> None:
        self.readings.append(job)
        self.jobs[job.job_uid] = job

    def pod(self, attempt: executions.Attempt) -> None:
        self.pods.append(attempt)

    def vanished(self, job_uid: str) -> None:
        self.gone.append(job_uid)
        self.jobs.pop(job_uid, None)

    def deleted(self, job_uid: str) -> None:
        self.vanished(job_uid)

    def known(self) -> list[str]:
        return list(self.jobs)


@dataclass
class Channels:
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def put(self, body: Object) -> None:
        self.calls.append(("put", body["metadata"]["name"]))

    def remove(self, name: str) -> None:
        self.calls.append(("remove", name))

    def put_namespace(self, body: Object) -> None:
        self.calls.append(("put_namespace", body["metadata"]["name"]))

    def remove_namespace(self, name: str) -> None:
        self.calls.append(("remove_namespace", name))

    def put_job(self, namespace: str, name: str, labels: Any) -> None:  # noqa: ANN401 - a mapping
        self.calls.append(("put_job", namespace, name, dict(labels)))

    def remove_job(self, namespace: str, name: str) -> None:
        self.calls.append(("remove_job", namespace, name))


@dataclass
class World:
    kube: FakeKube = field(default_factory=FakeKube)
    store: MemoryStore = field(default_factory=MemoryStore)
    inbox: Inbox = field(default_factory=Inbox)
    channels: Channels = field(default_factory=Channels)
    known: inventory.Inventory = field(default_factory=lambda: inventory.Inventory(cluster="test"))
    asked: list[inventory.Key] = field(default_factory=list)
    corrections: list[tuple[str, int]] = field(default_factory=list)
    naps: list[float] = field(default_factory=list)
    meanwhile: list[tuple[Kind, Object]] = field(default_factory=list)
    remembered: list[ports.JobRow] | None = None

    def __post_init__(self) -> None:
        self.door = intake.Intake(
            inventory=self.known,
            inbox=self.inbox,
            reconcile=self.asked.append,
            channels=self.channels,
        )
        self.sync = resync.Resync(
            kube=self.kube,
            store=self.store,
            cluster=builders.CLUSTER,
            intake=self.door,
            inventory=self.known,
            inbox=self.inbox,
            reconciler=self,
            reconcile=self.asked.append,
            corrected=lambda kind, count: self.corrections.append((kind, count)),
            sleep=self.sleep,
        )

    def remember(self, rows: Any) -> None:  # noqa: ANN401 - rows
        assert self.remembered is None
        self.remembered = list(rows)

    async def sleep(self, seconds: float) -> None:
        """Let the watches deliver what they still have."""
        self.naps.append(seconds)
        for kind, body in self.meanwhile:
            self.door.take(kind, body)


def cronjob(generation: int = 1) -> Object:
    return {
        "metadata": {
            "namespace": "team",
            "name": "nightly",
            "uid": "c",
            "generation": generation,
            "labels": {"rollcall.dev/uid": UID},
        },
        "spec": {"n": generation},
    }


async def started(world: World) -> None:
    """Have one object of each kind, all listed once."""
    world.kube.put(f"{paths.NAMESPACES}/team", {"metadata": {"name": "team", "labels": {"a": "b"}}})
    world.kube.put(CHANNEL, {"metadata": {"name": "pager", "uid": "ch"}})
    world.kube.put(paths.tracked(*KEY), tracked())
    world.kube.put(paths.cronjob(*KEY), cronjob())
    world.kube.put(JOB, podbodies.job())
    world.kube.put(POD, podbodies.pod(podbodies.running(1)))
    await world.sync.run_once()


@pytest.fixture
def world() -> World:
    return World()


async def test_an_object_that_cannot_be_taken_in_keeps_no_other_out(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise TypeError("a Job nobody thought of")

    monkeypatch.setattr(world.inbox, "job", fail)
    world.kube.put(JOB, podbodies.job())
    world.kube.put(POD, podbodies.pod())
    await world.sync.run_once()
    assert [attempt.pod_name for attempt in world.inbox.pods] == ["minutely-29926853-ds2c2"]
    assert "an object could not be taken in" in caplog.messages


async def test_the_first_list_takes_everything_in_and_counts_nothing(world: World) -> None:
    await started(world)
    assert list(world.inbox.jobs) == [podbodies.JOB_UID]
    assert [attempt.job_uid for attempt in world.inbox.pods] == [podbodies.JOB_UID]
    assert world.channels.calls == [
        ("put_namespace", "team"),
        ("put", "pager"),
        ("put_job", "team", "nightly", {}),
    ]
    assert world.asked == [KEY]  # once, although its CronJob came in too
    assert world.known.child(KEY)
    assert (world.corrections, world.naps) == ([], [])


async def test_the_rows_of_the_store_are_remembered_once(world: World) -> None:
    row = await world.store.register(builders.job())
    await started(world)
    await world.sync.run_once()
    assert world.remembered == [row]


async def test_the_rows_are_known_before_anything_is_listed_and_not_taken_back_by_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await world.store.register(builders.job())

    def away(*_: object, **__: object) -> None:
        raise errors.ClusterUnavailable("not now")

    with monkeypatch.context() as outage:
        outage.setattr(world.kube, "list", away)
        with pytest.raises(errors.ClusterUnavailable):
            await world.sync.run_once()
    assert world.sync.recalled.is_set()

    await started(world)
    assert world.remembered == [row]


async def test_where_nothing_differs_nothing_is_done(world: World) -> None:
    await started(world)
    world.asked.clear()
    world.inbox.pods.clear()
    await world.sync.run_once()
    assert (world.asked, world.corrections, world.inbox.pods, world.naps) == ([], [], [], [])


async def test_what_no_watch_delivered_is_taken_in_and_counted(world: World) -> None:
    await started(world)
    world.asked.clear()
    world.kube.put(paths.tracked(*KEY), tracked(generation=2, schedule="0 0 * * *"))
    world.kube.put(JOB, podbodies.job(conditions=[podbodies.condition("Complete", "X")]))
    await world.sync.run_once()
    assert world.asked == [KEY]
    assert world.inbox.jobs[podbodies.JOB_UID].decided
    assert world.corrections == [("trackedcronjobs", 1), ("jobs", 1)]
    await world.sync.run_once()
    assert len(world.corrections) == 2


async def test_what_a_watch_still_delivers_is_no_correction(world: World) -> None:
    await started(world)
    changed = world.kube.put(JOB, podbodies.job(conditions=[podbodies.condition("Failed", "X")]))
    world.meanwhile = [(Kind.JOB, changed)]
    await world.sync.run_once()
    assert world.naps == [2.0]
    assert world.corrections == []


async def test_what_is_no_longer_listed_is_gone(world: World) -> None:
    await started(world)
    world.asked.clear()
    world.channels.calls.clear()
    world.kube.objects.clear()
    await world.sync.run_once()
    assert set(world.inbox.gone) == {podbodies.JOB_UID}
    assert world.known.tracked(KEY) is None
    assert world.known.child(KEY) is None
    assert set(world.asked) == {KEY}
    assert sorted(world.channels.calls) == [
        ("remove", "pager"),
        ("remove_job", "team", "nightly"),
        ("remove_namespace", "team"),
    ]
    assert dict(world.corrections) == dict.fromkeys([kind.value for kind in Kind], 1)


async def test_what_came_in_after_the_list_began_is_not_gone(world: World) -> None:
    await started(world)
    fresh = copy.deepcopy(tracked(name="fresh", uid="fresh"))
    real_list = world.sync._list  # noqa: SLF001 - to let something happen in between

    def listing(kind: Kind) -> Any:  # noqa: ANN401 - an iterator
        if kind is Kind.JOB:
            world.door.take(Kind.TRACKED, fresh)
        return real_list(kind)

    world.sync._list = listing  # type: ignore[method-assign]  # noqa: SLF001
    await world.sync.run_once()
    assert world.known.tracked(inventory.Key("team", "fresh"))


async def test_open_runs_whose_job_is_not_listed_are_hints(world: World) -> None:
    await started(world)
    lost = builders.execution(status=executions.Status.RUNNING, job_uid="lost")
    world.store.open = [lost, builders.execution(job_uid=podbodies.JOB_UID)]
    await world.sync.run_once()
    assert world.inbox.gone == ["lost"]


async def test_rows_without_a_resource_are_looked_at(world: World) -> None:
    await world.store.register(builders.job("orphan"))
    await started(world)
    assert inventory.Key("shop", "orphan") in world.asked


@pytest.mark.parametrize(
    "error",
    [errors.NotFound("no such kind"), errors.Refused("may not", status=403)],
    ids=["no-crd", "no-right"],
)
async def test_who_cannot_list_is_blind_and_forgets_nothing(world: World, error: Exception) -> None:
    await started(world)
    world.kube.fail("LIST", paths.TRACKED, error)
    with pytest.raises(errors.ClusterUnavailable, match="trackedcronjobs"):
        await world.sync.run_once()
    assert world.known.tracked(KEY)
    assert world.inbox.gone == []


async def test_a_failed_first_list_is_still_the_first_next_time(world: World) -> None:
    world.kube.put(JOB, podbodies.job())
    world.kube.fail("LIST", paths.PODS, errors.ClusterUnavailable("down"))
    with pytest.raises(errors.ClusterUnavailable):
        await world.sync.run_once()
    world.remembered = None
    await world.sync.run_once()
    assert list(world.inbox.jobs) == [podbodies.JOB_UID]
    assert world.corrections == []


async def test_a_job_that_names_a_channel_is_reconciled_when_that_changes(world: World) -> None:
    await started(world)
    named = tracked(generation=2, alerts={"channels": ["pager"]})
    named["metadata"]["resourceVersion"] = "99999"
    world.door.take(Kind.TRACKED, named)
    world.asked.clear()

    def channel(generation: int, status: int = 0) -> Object:
        metadata = {"name": "pager", "uid": "ch", "generation": generation}
        return {"metadata": metadata, "status": {"sent": status}}

    world.door.take(Kind.CHANNEL, channel(2))
    assert world.asked == [KEY]
    world.door.take(Kind.CHANNEL, channel(2, status=1))  # only its status
    assert world.asked == [KEY]
    world.door.gone(Kind.CHANNEL, channel(2))
    assert world.asked == [KEY, KEY]
    world.door.take(Kind.NAMESPACE, {"metadata": {"name": "team", "labels": {"a": "c"}}})
    world.door.take(Kind.NAMESPACE, {"metadata": {"name": "team", "labels": {"a": "c"}}})
    world.door.take(Kind.NAMESPACE, {"metadata": {"name": "other", "labels": {"a": "c"}}})
    assert world.asked == [KEY] * 3


async def test_the_tracked_container_is_the_one_that_the_job_names(world: World) -> None:
    body = tracked(name="minutely", uid=podbodies.TRACKED_UID, tracking={"container": "other"})
    world.door.take(Kind.TRACKED, body)
    two = podbodies.pod(podbodies.ended(1), podbodies.ended(7), phase="Failed")
    world.door.take(Kind.POD, two)
    assert world.inbox.pods[-1].exit_code == 7


async def test_a_deleted_job_leaves_its_last_reading_and_a_hint(world: World) -> None:
    last = podbodies.job(conditions=[podbodies.condition("Complete", "X")])
    world.door.gone(Kind.JOB, last)
    assert world.inbox.readings[0].decided
    assert world.inbox.gone == [podbodies.JOB_UID]


async def test_a_pod_that_only_lost_our_label_has_not_ended(world: World) -> None:
    world.door.gone(Kind.POD, podbodies.pod(podbodies.running(1)))
    assert world.inbox.pods[-1].ended_at is None
    deleted = podbodies.pod(podbodies.running(1), deletionTimestamp=podbodies.at(30))
    world.door.gone(Kind.POD, deleted)
    assert world.inbox.pods[-1].reason == "PodDeleted"


async def test_objects_that_are_not_ours_are_left_alone(world: World) -> None:
    for kind in (Kind.JOB, Kind.POD):
        world.door.take(kind, {"metadata": {"name": "x", "namespace": "team", "uid": "u"}})
        world.door.gone(kind, {"metadata": None})
    assert (world.inbox.jobs, world.inbox.pods, world.inbox.gone) == ({}, [], [])


async def test_a_status_of_a_cronjob_asks_for_nothing(world: World) -> None:
    await started(world)
    world.asked.clear()
    later = copy.deepcopy(world.kube.objects[paths.cronjob(*KEY)])
    later["metadata"]["resourceVersion"] = "99999"
    later["status"] = {"lastScheduleTime": podbodies.at(0)}
    world.door.take(Kind.CRONJOB, later)
    assert world.asked == []
    world.door.gone(Kind.CRONJOB, later)
    assert world.asked == [KEY]

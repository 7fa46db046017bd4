"""Reconciling against a small API server in memory."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest

from rollcall import config
from rollcall.cluster import events, inventory, outcomes, paths, reconcile
from rollcall.core import errors, ids, injection, policies, targets
from support.clocks import START, Clock
from support.fakekube import NOW, FakeKube, Object, edited
from support.memorystore import MemoryStore
from support.trackedcronjobs import UID, tracked

KEY = inventory.Key("team", "nightly")
CRONJOB = paths.cronjob(*KEY)
TRACKED = paths.tracked(*KEY)
ID = ids.cronjob_id(cluster="test", uid=UID)
EVENTS = ("POST", paths.events("team"))
SETTINGS = config.Settings(
    retention_weeks=13,
    cluster="test",
    namespace="rollcall-system",
    identity="operator-1",
    lease_name="rollcall-operator",
    database_dsn="postgresql://nowhere",
    ingest_port=8080,
    health_port=8081,
    log_level="INFO",
    sidecar=config.Sidecar(image="registry.example/sidecar:1", ingest_url="http://api:8080"),
    defaults=policies.defaults(),
    maintenance=(),
    deadman_url=None,
    allowed_targets=targets.Allowed(),
    kube_context=None,
)


@dataclass
class World:
    """One operator with everything around it."""

    kube: FakeKube = field(default_factory=FakeKube)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)
    known: inventory.Inventory = field(default_factory=lambda: inventory.Inventory(cluster="test"))
    refusals: list[str] = field(default_factory=list)
    withheld: injection.Obstacle | None = None
    touched: list[UUID] = field(default_factory=list)
    reconciler: reconcile.Reconciler = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start a new operator that remembers nothing but what is stored."""
        self.known = inventory.Inventory(cluster="test")
        for path, body in self.kube.objects.items():
            if path == TRACKED:
                self.known.put(copy.deepcopy(body))
            if path == CRONJOB:
                self.known.put_child(body)
        self.reconciler = reconcile.Reconciler(
            kube=self.kube,
            store=self.store,
            inventory=self.known,
            settings=SETTINGS,
            refused_channels=self._refused,
            forget=self.store.forget,
            changed=self.touched.append,
            events=events.Events(kube=self.kube, clock=self.clock),
            withheld=lambda _key: self.withheld,
            clock=self.clock,
        )
        self.reconciler.remember(list(self.store.rows.values()))

    def wish(self, body: Object) -> None:
        """Let somebody create or change the TrackedCronJob."""
        self.known.put(self.kube.put(TRACKED, body))

    def edit(self, *, manager: str, at: str = NOW, **spec: object) -> None:
        """Let somebody change the CronJob by hand."""
        changed = edited(self.kube.objects[CRONJOB], manager=manager, at=at, **spec)
        self.known.put_child(self.kube.put(CRONJOB, changed))

    async def settle(self) -> timedelta | None:
        return await self.reconciler.reconcile(KEY)

    @property
    def outcome(self) -> outcomes.Outcome:
        found = self.reconciler.outcome(ID)
        assert found
        return found

    @property
    def ready(self) -> tuple[str, str]:
        return self.outcome.ready.status, self.outcome.ready.reason

    @property
    def cronjob(self) -> Object:
        return self.kube.objects[CRONJOB]

    def said(self) -> list[str]:
        """Return the reasons of all Events."""
        return [body["reason"] for body in self.kube.bodies if body.get("kind") == "Event"]

    def _refused(self, _namespace: str, _name: str, _wanted: Sequence[str]) -> Sequence[str]:
        return self.refusals


@pytest.fixture
def world() -> World:
    return World()


async def settled(world: World, **spec: object) -> None:
    world.wish(tracked(**spec))  # type: ignore[arg-type]
    await world.settle()
    world.kube.writes()
    world.store.written.clear()


async def test_a_new_job_gets_its_cronjob_and_its_row(world: World) -> None:
    world.wish(tracked())
    assert await world.settle() is None
    assert world.kube.writes() == [("APPLY", CRONJOB)]
    assert world.store.written == ["register team/nightly", "applied 1"]
    assert world.ready == ("True", "Reconciled")
    assert world.outcome.sidecar == outcomes.Sidecar()
    assert world.outcome.cronjob
    assert world.outcome.cronjob.uid == world.cronjob["metadata"]["uid"]
    assert world.touched == [ID]
    row = world.store.rows[ID]
    assert (row.job.name, row.job.policy) == ("nightly", {"rules": {}, "alerts": {}})


@pytest.mark.parametrize("window", [{}, {"initial": "7d", "max": "1d"}], ids=["empty", "full"])
async def test_that_a_job_wants_windows_is_kept_with_its_row(
    world: World, window: dict[str, str]
) -> None:
    world.wish(tracked(window=window, concurrencyPolicy="Forbid"))
    await world.settle()
    assert world.store.rows[ID].job.policy["window"] == window
    assert "window" not in world.cronjob["spec"]


async def test_how_often_a_job_is_heard_is_kept_with_its_row(world: World) -> None:
    world.wish(tracked(tracking={"heartbeatInterval": "1m", "sidecar": "Auto"}))
    await world.settle()
    assert world.store.rows[ID].job.policy["tracking"] == {"heartbeatInterval": "1m"}


async def test_doing_it_again_writes_and_reads_nothing(world: World) -> None:
    await settled(world)
    world.kube.reads.clear()
    await world.settle()
    assert (world.kube.writes(), world.kube.reads, world.store.written) == ([], [], [])


async def test_a_restart_writes_and_reads_nothing(world: World) -> None:
    await settled(world)
    world.restart()
    world.kube.reads.clear()
    await world.settle()
    assert (world.kube.writes(), world.kube.reads, world.store.written) == ([], [], [])
    assert world.ready == ("True", "Reconciled")


async def test_an_edit_of_the_template_is_applied_without_touching_the_status(
    world: World,
) -> None:
    await settled(world)
    world.wish(tracked(generation=2, job={"backoffLimit": 1}))
    await world.settle()
    assert world.kube.writes() == [("APPLY", CRONJOB)]
    assert world.store.written == ["applied 2"]
    assert world.outcome.generation == 2


@pytest.mark.parametrize(
    "change", [{"schedule": "0 5 * * *"}, {"timeZone": "Europe/Berlin"}], ids=["schedule", "zone"]
)
async def test_no_past_slot_starts_after_a_change_of_rhythm(
    world: World, change: dict[str, object]
) -> None:
    await settled(world)
    world.wish(tracked(generation=2, **change))  # type: ignore[arg-type]
    await world.settle()
    assert world.kube.writes() == [("PATCH", f"{CRONJOB}/status"), ("APPLY", CRONJOB)]
    assert world.cronjob["status"]["lastScheduleTime"] == "2026-03-02T12:00:01Z"


async def test_no_past_slot_starts_on_resume(world: World) -> None:
    await settled(world, suspend=True)
    world.wish(tracked(generation=2, suspend=False))
    await world.settle()
    assert world.kube.writes() == [("PATCH", f"{CRONJOB}/status"), ("APPLY", CRONJOB)]
    assert [applied.revision.suspended for applied in world.store.revisions] == [True, False]


async def test_a_new_cronjob_gets_no_forged_schedule_time(world: World) -> None:
    await settled(world)
    assert "status" not in world.cronjob


async def test_a_hand_edit_is_reverted_and_said(world: World) -> None:
    await settled(world)
    world.edit(manager="bob", schedule="* * * * *")
    await world.settle()
    assert world.cronjob["spec"]["schedule"] == "30 2 * * *"
    assert world.said() == ["Reverted"]
    assert "bob" in world.kube.bodies[-1]["message"]
    assert world.ready == ("True", "Reconciled")


async def test_a_fight_over_the_cronjob_is_slowed_down(world: World) -> None:
    await settled(world)
    world.edit(manager="bob", schedule="* * * * *")
    await world.settle()
    world.kube.writes()
    world.edit(manager="bob", schedule="* * * * *")
    again = await world.settle()
    assert (again, world.kube.writes()) == (timedelta(seconds=8), [])
    world.clock.advance(timedelta(seconds=8))
    await world.settle()
    assert world.cronjob["spec"]["schedule"] == "30 2 * * *"
    assert world.said() == ["Reverted"]  # within five minutes once


async def test_a_hand_suspension_counts_from_its_own_time_whatever_we_apply_later(
    world: World,
) -> None:
    await settled(world)
    for entry in world.cronjob["metadata"]["managedFields"]:
        entry["time"] = "2026-03-02T09:00:00Z"
    world.edit(manager="alice", at="2026-03-02T10:00:00Z", suspend=True)
    world.wish(tracked(generation=2, job={"backoffLimit": 1}))
    await world.settle()
    revision = world.store.revisions[-1].revision
    assert (revision.suspended, revision.effective_from.hour) == (True, 10)


async def test_a_hand_suspension_stays_and_shows_who_did_it(world: World) -> None:
    await settled(world)
    world.edit(manager="alice", suspend=True)
    await world.settle()
    assert world.cronjob["spec"]["suspend"] is True
    assert world.store.revisions[-1].revision.suspended
    assert world.outcome.ready.message == (
        "suspended on the CronJob by alice, 2026-03-02T12:00:00Z"
    )
    assert world.said() == []
    world.kube.writes()
    world.restart()
    await world.settle()
    assert world.kube.writes() == []
    assert "alice" in world.outcome.ready.message


async def test_a_suspension_that_the_spec_names_is_restored(world: World) -> None:
    await settled(world, suspend=False)
    world.edit(manager="alice", suspend=True)
    await world.settle()
    assert world.cronjob["spec"]["suspend"] is False
    assert ("PATCH", f"{CRONJOB}/status") in world.kube.writes()


async def test_values_that_were_raised_are_named(world: World) -> None:
    await settled(world, failedJobsHistoryLimit=1)
    assert world.outcome.ready.message == "failedJobsHistoryLimit raised from 1 to 3"


async def test_a_schedule_that_never_comes_is_applied_and_named(world: World) -> None:
    await settled(world, schedule="0 0 30 2 *")
    assert world.ready == ("True", "Reconciled")
    assert "never comes" in world.outcome.ready.message


async def test_fields_of_others_are_named_and_left(world: World) -> None:
    await settled(world)
    body = edited(world.cronjob, manager="bob", extra=1)
    body["metadata"]["generation"] = world.cronjob["metadata"]["generation"]
    world.known.drop_child(KEY)
    world.kube.objects[CRONJOB] = body
    await world.settle()
    assert "spec.extra (bob)" in world.outcome.ready.message


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (tracked(generation=2, schedule="@every 5m"), "InvalidSchedule"),
        (tracked(generation=2, rules={"late": {"warning": "soon"}}), "InvalidDuration"),
        (tracked(generation=2, rules={"nonsense": {}}), "InvalidRule"),
        (tracked(generation=2, window={"max": "soon"}), "InvalidDuration"),
    ],
    ids=["schedule", "duration", "rule", "window"],
)
async def test_a_spec_that_cannot_be_used_changes_nothing(
    world: World, body: Object, reason: str
) -> None:
    await settled(world)
    before = copy.deepcopy(world.cronjob)
    world.wish(body)
    await world.settle()
    assert world.ready == ("False", reason)
    assert world.outcome.stalled.status == "True"
    assert world.outcome.generation == 2
    assert world.cronjob == before
    assert world.store.written == []
    assert world.said() == [reason]


async def test_the_same_trouble_is_said_once_even_after_a_restart(world: World) -> None:
    world.wish(tracked(schedule="@every 5m"))
    await world.settle()
    stalled = world.outcome.stalled
    status = {
        "conditions": [
            {
                "type": "Stalled",
                "status": "True",
                "reason": stalled.reason,
                "message": stalled.message,
            }
        ]
    }
    world.kube.put(TRACKED, {**world.kube.objects[TRACKED], "status": status})
    world.restart()
    world.clock.advance(timedelta(hours=1))
    await world.settle()
    assert world.said() == ["InvalidSchedule"]


async def test_a_template_that_the_server_refuses_is_told_in_its_words(world: World) -> None:
    world.wish(tracked())
    refused = errors.Refused("spec…restartPolicy: Unsupported value", status=422, reason="Invalid")
    world.kube.fail("APPLY", CRONJOB, refused)
    assert await world.settle() == reconcile.TRY_AGAIN
    assert world.ready == ("False", "InvalidTemplate")
    assert world.outcome.stalled.message == "spec…restartPolicy: Unsupported value"


@pytest.mark.parametrize(
    ("message", "status", "reason", "stalled"),
    [
        ('cronjobs "x" is forbidden: exceeded quota: q', 403, "QuotaExceeded", True),
        ("… because it is being terminated", 403, "NamespaceTerminating", False),
        ('User "u" cannot patch resource "cronjobs"', 403, "PermissionDenied", True),
        ('admission webhook "w" denied the request: no', 400, "AdmissionDenied", True),
        ("forbidden by policy", 403, "AdmissionDenied", True),
        ("too large", 413, "InvalidTemplate", True),
        ("teapot", 418, "Refused", True),
    ],
)
async def test_each_kind_of_refusal_has_its_reason(
    world: World, message: str, status: int, reason: str, *, stalled: bool
) -> None:
    world.wish(tracked())
    world.kube.fail("APPLY", CRONJOB, errors.Refused(message, status=status))
    await world.settle()
    assert world.ready == ("False", reason)
    assert (world.outcome.stalled.status == "True") is stalled


@pytest.mark.parametrize(
    "error", [errors.ClusterUnavailable("down"), errors.Conflict("changed")], ids=["down", "race"]
)
async def test_what_can_only_be_tried_again_is_left_to_the_queue(
    world: World, error: Exception
) -> None:
    world.wish(tracked())
    world.kube.fail("APPLY", CRONJOB, error)
    with pytest.raises(type(error)):
        await world.settle()
    await world.settle()
    assert world.ready == ("True", "Reconciled")


async def test_a_crash_between_apply_and_row_is_made_good(world: World) -> None:
    world.wish(tracked())
    world.store.down = True
    with pytest.raises(errors.StoreUnavailable):
        await world.settle()
    assert world.kube.writes() == []  # a job without a row is never started
    world.store.down = False
    await world.settle()
    world.store.rows.clear()  # as if the row had been lost after the apply
    world.restart()
    await world.settle()
    assert world.store.rows[ID].generation == world.cronjob["metadata"]["generation"]


async def test_a_cronjob_that_is_not_ours_is_never_touched(world: World) -> None:
    world.kube.put(CRONJOB, {"metadata": {"name": "nightly", "namespace": "team"}, "spec": {}})
    before = copy.deepcopy(world.cronjob)
    world.wish(tracked())
    assert await world.settle() == timedelta(seconds=30)
    assert world.ready == ("False", "NameTaken")
    assert "kubectl annotate cronjob nightly rollcall.dev/adopt=nightly" in (
        world.outcome.ready.message
    )
    assert world.cronjob == before
    del world.kube.objects[CRONJOB]
    await world.settle()
    assert world.ready == ("True", "Reconciled")


async def test_a_cronjob_that_asks_for_it_is_taken_over_in_place(world: World) -> None:
    plain = edited(
        {
            "metadata": {
                "name": "nightly",
                "namespace": "team",
                "uid": "kept",
                "annotations": {"rollcall.dev/adopt": "nightly"},
            },
            "spec": {},
        },
        manager="kubectl",
        suspend=True,
        schedule="30 2 * * *",
    )
    world.kube.put(CRONJOB, plain)
    world.wish(tracked())
    await world.settle()
    assert world.cronjob["metadata"]["uid"] == "kept"
    assert world.cronjob["metadata"]["ownerReferences"][0]["uid"] == UID
    assert world.cronjob["spec"]["suspend"] is True
    assert world.said() == ["Adopted"]
    managers = [one["manager"] for one in world.cronjob["metadata"]["managedFields"]]
    assert sorted(managers) == ["kubectl", "rollcall"]


async def test_nothing_is_expected_of_an_adopted_cronjob_before_it_was_taken_over(
    world: World,
) -> None:
    await settled(world)
    before = copy.deepcopy(world.cronjob)
    before["metadata"] |= {
        "ownerReferences": [],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [],
    }
    world.kube.objects[CRONJOB] = before
    world.store.rows.clear()
    world.restart()
    world.wish(tracked(generation=2, job={"backoffLimit": 1}))
    await world.settle()
    assert world.store.revisions[-1].revision.effective_from == START


async def test_a_deleted_cronjob_is_made_again(world: World) -> None:
    await settled(world)
    del world.kube.objects[CRONJOB]
    world.known.drop_child(KEY)
    await world.settle()
    assert CRONJOB in world.kube.objects
    assert world.said() == ["Recreated"]


async def test_no_cronjob_is_made_for_a_job_that_is_gone_already(world: World) -> None:
    await settled(world)
    for path in (CRONJOB, TRACKED):  # the watch has only told of the CronJob so far
        del world.kube.objects[path]
    world.known.drop_child(KEY)
    await world.settle()
    assert CRONJOB not in world.kube.objects
    assert world.store.written == ["forget nightly"]
    assert world.reconciler.outcome(ID) is None


async def test_a_deletion_is_confirmed_by_a_read(world: World) -> None:
    await settled(world)
    world.known.drop(KEY)  # an event said so, but it is still there
    await world.settle()
    assert world.store.written == []
    assert world.known.tracked(KEY)


async def test_nothing_is_written_for_a_job_that_is_being_deleted(world: World) -> None:
    await settled(world)
    body = tracked(generation=2, schedule="0 0 * * *")
    body["metadata"]["deletionTimestamp"] = "2026-03-02T12:00:00Z"
    world.wish(body)
    del world.kube.objects[CRONJOB]
    world.known.drop_child(KEY)
    await world.settle()
    assert world.kube.writes() == []


async def test_a_job_made_again_under_its_name_closes_the_old_one_first(world: World) -> None:
    await settled(world)
    del world.kube.objects[TRACKED]
    world.wish(tracked(uid="second"))
    assert await world.settle() == timedelta(seconds=30)
    second = ids.cronjob_id(cluster="test", uid="second")
    assert world.store.written == ["forget nightly", "register team/nightly"]
    outcome = world.reconciler.outcome(second)
    assert outcome
    assert (outcome.ready.reason, outcome.stalled.status) == ("Waiting", "False")
    del world.kube.objects[CRONJOB]  # the garbage collector
    world.known.drop_child(KEY)
    await world.settle()
    assert world.store.written[-1] == "applied 1"


async def test_a_channel_that_does_not_select_the_job_is_told_but_the_job_runs(
    world: World,
) -> None:
    world.refusals = ["AlertChannel pager does not select this job"]
    world.wish(tracked(alerts={"channels": ["pager"]}))
    await world.settle()
    assert world.ready == ("False", "ChannelForbidden")
    assert CRONJOB in world.kube.objects
    world.refusals = []
    await world.settle()
    assert world.ready == ("True", "Reconciled")


async def test_a_channel_of_a_step_of_escalation_that_does_not_select_the_job_is_told_too(
    world: World,
) -> None:
    world.refusals = ["AlertChannel pager does not exist"]
    world.wish(tracked(alerts={"escalation": [{"after": "30m", "channels": ["pager"]}]}))
    await world.settle()
    assert world.ready == ("False", "ChannelForbidden")


async def test_only_a_changed_row_is_registered_again(world: World) -> None:
    await settled(world)
    world.wish(tracked(generation=2, rules={"late": {"warning": "1m"}}))
    await world.settle()
    assert world.store.written == ["register team/nightly"]
    assert world.kube.writes() == []


async def test_the_group_is_the_specs_or_else_the_label(world: World) -> None:
    part_of = {"app.kubernetes.io/part-of": "billing"}
    await settled(world, labels=part_of)
    assert world.store.rows[ID].job.group == "billing"
    world.wish(tracked(generation=2, labels=part_of, tracking={"group": "own"}))
    await world.settle()
    assert world.store.rows[ID].job.group == "own"


def _has_sidecar(pod: Object) -> bool:
    return any(one["name"] == "rollcall" for one in pod["spec"].get("initContainers", []))


async def test_pods_that_are_refused_only_with_the_sidecar_go_without(world: World) -> None:
    limit = 'pods "nightly-" is forbidden: minimum memory usage per Container is 64Mi'
    world.kube.admit = lambda pod: limit if _has_sidecar(pod) else None
    world.wish(tracked())
    again = await world.settle()
    assert again == timedelta(seconds=15)
    sidecar = world.outcome.sidecar
    assert sidecar
    assert sidecar.obstacle
    assert sidecar.obstacle.reason == "SidecarRefused"
    assert "64Mi" in sidecar.obstacle.message
    assert not _has_sidecar(world.cronjob["spec"]["jobTemplate"]["spec"]["template"])
    assert world.outcome.pods_refused is None
    world.kube.writes()
    world.restart()
    await world.settle()
    assert world.kube.writes() == []  # the same answer, hence the same plan


async def test_always_injects_against_a_refusal(world: World) -> None:
    world.kube.admit = lambda pod: "no" if _has_sidecar(pod) else None
    world.wish(tracked(tracking={"sidecar": "Always"}))
    await world.settle()
    assert _has_sidecar(world.cronjob["spec"]["jobTemplate"]["spec"]["template"])


async def test_pods_that_are_refused_either_way_are_told_and_asked_again(world: World) -> None:
    quota = 'pods "nightly-" is forbidden: exceeded quota: none'
    world.kube.admit = lambda _pod: quota
    world.wish(tracked())
    assert await world.settle() == timedelta(seconds=15)
    assert world.outcome.pods_refused == quota
    assert world.ready == ("True", "Reconciled")
    assert _has_sidecar(world.cronjob["spec"]["jobTemplate"]["spec"]["template"])
    world.clock.advance(timedelta(seconds=15))
    assert await world.settle() == timedelta(seconds=30)
    world.kube.admit = lambda _pod: None
    world.clock.advance(timedelta(seconds=29))
    assert await world.settle() == timedelta(seconds=1)
    assert world.outcome.pods_refused == quota
    world.clock.advance(timedelta(seconds=1))
    assert await world.settle() is None
    assert world.outcome.pods_refused is None


async def test_after_a_restart_refused_pods_are_tried_again(world: World) -> None:
    world.kube.admit = lambda _pod: "no"
    world.wish(tracked())
    await world.settle()
    status = {"conditions": [{"type": "Healthy", "status": "False", "reason": "PodsRefused"}]}
    world.kube.put(TRACKED, {**world.kube.objects[TRACKED], "status": status})
    world.restart()
    await world.settle()
    assert world.outcome.pods_refused == "no"


@pytest.mark.parametrize(
    "error",
    [
        errors.Refused('pods is forbidden: User "u" cannot create resource "pods"', status=403),
        errors.Refused('webhook "w" does not support dry run', status=400),
        errors.ClusterUnavailable("failed calling webhook"),
    ],
    ids=["no-right", "no-dry-run", "webhook-down"],
)
async def test_a_trial_that_says_nothing_about_the_pods_is_no_refusal(
    world: World, error: Exception
) -> None:
    world.kube.fail("POST", paths.pods("team"), error)
    world.wish(tracked())
    await world.settle()
    assert world.outcome.pods_refused is None
    assert world.outcome.sidecar == outcomes.Sidecar()
    assert CRONJOB in world.kube.objects


async def test_an_image_that_cannot_be_pulled_keeps_the_sidecar_out(world: World) -> None:
    await settled(world)
    world.withheld = injection.Obstacle(reason="ImageUnavailable", message="cannot be pulled")
    assert await world.settle() == timedelta(minutes=1)
    assert not _has_sidecar(world.cronjob["spec"]["jobTemplate"]["spec"]["template"])
    sidecar = world.outcome.sidecar
    assert sidecar
    assert sidecar.obstacle
    assert sidecar.obstacle.reason == "ImageUnavailable"
    world.withheld = None
    assert await world.settle() is None
    assert _has_sidecar(world.cronjob["spec"]["jobTemplate"]["spec"]["template"])

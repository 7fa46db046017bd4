"""What a Pod is read as: when the user's containers ran, and why they ended."""

import copy
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from rollcall.cluster import mapping, sidecarstatus
from rollcall.core import executions
from support import podbodies
from support.podbodies import Object, at, condition, crashed, ended, pod, running, waiting


def second(number: int) -> datetime:
    return datetime(2026, 11, 25, 12, 53, number, tzinfo=UTC)


def read(body: Object, container: str | None = None, *, gone: bool = False) -> executions.Attempt:
    found = mapping.attempt(body, container, gone=gone)
    assert found is not None
    assert found[0] == podbodies.TRACKED_UID
    return found[1]


def end_of(body: Object, container: str | None = None) -> tuple[Any, ...]:
    attempt = read(body, container)
    return attempt.exit_code, attempt.reason, attempt.message


def test_a_pod_is_an_attempt_of_its_job() -> None:
    attempt = read(pod(running(2)))
    assert (attempt.pod_uid, attempt.job_uid, attempt.index) == (
        podbodies.POD_UID,
        podbodies.JOB_UID,
        0,
    )
    assert (attempt.started_at, attempt.ended_at) == (second(2), None)


@pytest.mark.parametrize(
    ("metadata", "index"),
    [
        ({"annotations": {"batch.kubernetes.io/job-completion-index": "7"}}, 7),
        ({"annotations": {"batch.kubernetes.io/job-completion-index": "x"}}, 0),
        ({"annotations": {"batch.kubernetes.io/job-completion-index": "9" * 30}}, 0),
        ({"annotations": None}, 0),
    ],
)
def test_the_index_of_an_indexed_job_is_read(metadata: Object, index: int) -> None:
    assert read(pod(running(2), **metadata)).index == index


def test_our_own_container_never_counts_as_a_start() -> None:
    assert read(pod(waiting("PodInitializing"), phase="Pending")).started_at is None


def test_a_users_init_container_counts_as_a_start() -> None:
    body = pod(waiting("PodInitializing"), phase="Pending", inits={"prepare": running(3)})
    assert read(body).started_at == second(3)


def test_a_users_own_container_named_like_ours_counts() -> None:
    body = pod(waiting("PodInitializing"), phase="Pending", sidecar=running(4))
    body["spec"]["volumes"] = []
    assert read(body).started_at == second(4)


def test_the_first_start_is_kept_over_restarts() -> None:
    assert read(pod(crashed(1), restart_policy="OnFailure")).started_at == second(1)


@pytest.mark.parametrize(
    "state",
    [
        ended(128, "StartError", started="1970-01-01T00:00:00Z"),
        ended(127, "ContainerCannotRun"),
        ended(137, "ContainerStatusUnknown", started="0001-01-01T00:00:00Z"),
    ],
)
def test_a_container_that_could_not_start_did_not_run(state: Object) -> None:
    attempt = read(pod(state, phase="Failed"))
    assert attempt.started_at is None
    assert attempt.ended_at == second(5)


def test_the_end_is_the_users_whatever_the_sidecar_still_does() -> None:
    attempt = read(pod(ended(3, message="boom"), phase="Running", sidecar=running(0)))
    assert (attempt.ended_at, attempt.exit_code, attempt.reason) == (second(5), 3, "Error")
    assert attempt.message == "boom"


def test_a_container_that_is_restarted_has_not_ended() -> None:
    for state in (ended(1), crashed(1)):
        attempt = read(pod(state, restart_policy="OnFailure"))
        assert (attempt.ended_at, attempt.reason) == (None, None)
    assert read(pod(ended(0), restart_policy="OnFailure")).ended_at == second(5)


def test_a_container_with_restart_rules_of_its_own_ends_with_the_pod() -> None:
    body = pod(ended(1))
    body["spec"]["containers"][0]["restartPolicyRules"] = []
    assert read(body).ended_at is None


def test_one_of_two_ended_containers_is_no_end() -> None:
    assert read(pod(ended(0), running(1))).ended_at is None


DISRUPTED = condition("DisruptionTarget", "PreemptionByScheduler", "preempted by x")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (pod(ended(0), phase="Succeeded"), (0, None, None)),
        (
            pod(ended(0), phase="Succeeded", conditions=[DISRUPTED]),
            (0, None, None),
        ),
        (
            pod(ended(143), phase="Failed", conditions=[DISRUPTED]),
            (143, "Preempted", "PreemptionByScheduler: preempted by x"),
        ),
        (
            pod(ended(137), phase="Failed", status={"reason": "Evicted", "message": "low memory"}),
            (137, "Evicted", "low memory"),
        ),
        (
            pod(ended(0), phase="Failed", status={"reason": "Terminated", "message": "shutdown"}),
            (0, "Evicted", "Terminated: shutdown"),
        ),
        (
            pod(phase="Failed", status={"reason": "OutOfcpu", "message": "no cpu"}),
            (None, "NodeRefused", "OutOfcpu: no cpu"),
        ),
        (pod(ended(137, "OOMKilled"), phase="Failed"), (137, "OOMKilled", None)),
        (
            pod(ended(128, "StartError", message="no file"), phase="Failed"),
            (128, "ContainerCannotStart", "StartError: no file"),
        ),
        (
            pod(ended(137, "ContainerStatusUnknown"), phase="Failed"),
            (137, "NodeLost", "ContainerStatusUnknown"),
        ),
        (pod(ended(137), phase="Failed"), (137, "Error", None)),
        (pod(ended(143), phase="Failed"), (143, "Error", None)),
        (pod(ended(255), phase="Failed"), (255, "Error", None)),
        (pod(ended(1), phase="Failed"), (1, "Error", None)),
        (pod(ended(2**40), phase="Failed"), (None, "Error", None)),
    ],
    ids=[
        "success",
        "success-while-disrupted",
        "preempted",
        "evicted",
        "shutdown",
        "kubelet-admission",
        "oom",
        "cannot-start",
        "lost",
        "kill",
        "term",
        "no-signal",
        "exit-code",
        "code-too-large",
    ],
)
def test_why_a_pod_ended(body: Object, expected: tuple[Any, ...]) -> None:
    assert end_of(body) == expected


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("PreemptionByScheduler", "Preempted"),
        ("TerminationByKubelet", "Evicted"),
        ("EvictionByEvictionAPI", "Evicted"),
        ("DeletionByTaintManager", "Evicted"),
        ("DeletionByPodGC", "NodeLost"),
        ("SomethingNew", "Error"),
    ],
)
def test_who_took_a_pod_away_is_its_reason(word: str, reason: str) -> None:
    body = pod(ended(143), phase="Failed", conditions=[condition("DisruptionTarget", word)])
    assert end_of(body) == (143, reason, word)


def test_a_taint_that_leaves_no_word_of_the_containers_means_a_lost_node() -> None:
    taint = condition("DisruptionTarget", "DeletionByTaintManager", "taint")
    body = pod(running(1), conditions=[taint], deletionTimestamp=at(30))
    assert read(body, gone=True).reason == "NodeLost"


def test_the_tracked_container_speaks_for_the_pod() -> None:
    body = pod(ended(1, message="first"), ended(2, message="second"), phase="Failed")
    assert end_of(body) == (1, "Error", "first")
    assert end_of(body, "other") == (2, "Error", "second")


def test_another_container_that_failed_is_named() -> None:
    body = pod(ended(0), ended(2, message="boom"), phase="Failed")
    assert end_of(body) == (2, "Error", "container other: boom")
    init = pod(waiting("PodInitializing"), phase="Failed", inits={"prepare": ended(9, message="x")})
    assert end_of(init) == (9, "Error", "container prepare: x")


def test_our_own_end_never_explains_a_pod() -> None:
    body = pod(ended(1), phase="Failed", sidecar=ended(137, "OOMKilled"))
    assert end_of(body) == (1, "Error", None)


def test_a_pod_without_any_container_status_ends_when_its_conditions_say() -> None:
    body = pod(phase="Failed", conditions=[condition("Ready", "PodFailed", second=11)])
    assert read(body).ended_at == second(11)
    assert read(pod(phase="Failed")).ended_at == second(0)


@pytest.mark.parametrize(
    ("body", "users", "ours"),
    [
        (pod(waiting("ContainerCreating"), phase="Pending"), None, None),
        (pod(waiting("ImagePullBackOff"), phase="Pending"), "ImagePullBackOff", None),
        (pod(waiting("CreateContainerConfigError")), "CreateContainerConfigError", None),
        (
            pod(waiting("PodInitializing"), inits={"prepare": waiting("ErrImagePull")}),
            "ImagePullBackOff",
            None,
        ),
        (
            pod(waiting("PodInitializing"), sidecar=waiting("ErrImagePull"), phase="Pending"),
            "ImagePullBackOff",
            "ErrImagePull",
        ),
        (pod(waiting("PodInitializing"), sidecar=waiting("PodInitializing")), None, None),
        (
            pod(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
            ),
            "Unschedulable",
            None,
        ),
        (pod(running(1)), None, None),
        (pod(ended(1), phase="Failed", sidecar=waiting("ErrImagePull")), None, None),
    ],
    ids=[
        "creating",
        "image",
        "config",
        "init-image",
        "our-image",
        "ours-starting",
        "unschedulable",
        "running",
        "ended",
    ],
)
def test_why_a_pod_does_not_start(body: Object, users: str | None, ours: str | None) -> None:
    attempt = read(body)
    assert (attempt.waiting_reason, attempt.sidecar_waiting) == (users, ours)


def test_a_pod_that_does_not_start_says_what_the_scheduler_or_kubelet_said() -> None:
    said = "0/1 nodes are available: 1 Insufficient cpu."
    gate = {**condition("PodScheduled", "Unschedulable", said), "status": "False"}
    assert read(pod(phase="Pending", conditions=[gate])).waiting_message == said
    state = {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
    assert read(pod(state, phase="Pending")).waiting_message == "ErrImagePull: not found"


def test_a_pod_that_was_deleted_while_running_has_ended() -> None:
    body = pod(running(1), deletionTimestamp=at(30))
    assert read(body).ended_at is None
    last = read(body, gone=True)
    assert (last.ended_at, last.reason, last.exit_code) == (second(30), "PodDeleted", None)


def test_a_deleted_pod_keeps_the_end_that_it_had() -> None:
    last = read(pod(ended(3), phase="Failed", deletionTimestamp=at(30)), gone=True)
    assert (last.ended_at, last.reason, last.exit_code) == (second(5), "Error", 3)
    preempted = pod(running(1), conditions=[DISRUPTED], deletionTimestamp=at(30))
    assert read(preempted, gone=True).reason == "Preempted"


def test_what_our_own_container_left_is_read_and_nobody_elses() -> None:
    words = '{"rollcall": {"v": 1}}'
    body = pod(ended(0), sidecar=ended(0, message=words), phase="Succeeded")
    assert (read(body).sidecar_said, read(body).message) == (words, None)
    users = pod(ended(0, message=words), phase="Succeeded")
    assert (read(users).sidecar_said, read(users).message) == (None, words)
    body["spec"]["volumes"] = []  # a container of the user's with the name of ours
    assert read(body).sidecar_said is None


KILLED = ended(137, "OOMKilled", second=4)["state"]["terminated"]
END = executions.SidecarEnd(number=1, at=second(4), exit_code=137, reason="OOMKilled")
LEFT = '{"rollcall":{"v":1,"boot":"0123456789abcdef"}}'


@pytest.mark.parametrize(
    ("sidecar", "ends"),
    [
        ({"state": {"terminated": KILLED}, "restartCount": 0}, (END,)),
        ({**running(5), "lastState": {"terminated": KILLED}, "restartCount": 1}, (END,)),
        (
            {**ended(1), "lastState": {"terminated": KILLED}, "restartCount": 1},
            (END, executions.SidecarEnd(number=2, at=second(5), exit_code=1, reason="Error")),
        ),
        (ended(0), ()),
        (ended(137, message=LEFT), ()),
        (running(0), ()),
        ({"state": {"terminated": {**KILLED, "message": 7}}, "restartCount": "x"}, (END,)),
    ],
    ids=["just now", "and again there", "twice", "asked for", "with last words", "never", "odd"],
)
def test_an_end_of_our_own_container_that_nobody_asked_for_is_seen(
    sidecar: Object, ends: tuple[executions.SidecarEnd, ...]
) -> None:
    attempt = read(pod(running(1), sidecar=sidecar))
    assert attempt.sidecar_ends == ends
    assert (attempt.ended_at, attempt.exit_code) == (None, None)


CLEAN = ended(0, second=4)["state"]["terminated"]


def again(last: Object) -> Object:
    return {**running(5), "lastState": {"terminated": last}, "restartCount": 1}


@pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
def test_what_never_ran_has_no_end(reason: str) -> None:
    never = ended(128, reason)
    crash_loop = {**podbodies.waiting("CrashLoopBackOff"), "lastState": never["state"]}
    for sidecar in (never, crash_loop, again(never["state"]["terminated"])):
        assert read(pod(running(1), sidecar=sidecar)).sidecar_ends == ()


def test_the_end_of_what_runs_in_place_of_the_sidecar_is_no_end_of_one() -> None:
    mark = {"rollcall.dev/untracked": f"{at(2)} ErrImagePull: no such host"}
    for sidecar in (again(KILLED), ended(137, "OOMKilled")):
        assert read(pod(running(1), sidecar=sidecar, annotations=mark)).sidecar_ends == ()


def test_a_sidecar_that_is_started_again_has_lost_nothing_if_it_ended_in_order() -> None:
    assert read(pod(running(1), sidecar=again(CLEAN))).sidecar_ends == ()
    left = again({**CLEAN, "message": LEFT})  # which nobody reads
    (end,) = read(pod(running(1), sidecar=left)).sidecar_ends
    assert (end.number, end.exit_code) == (1, 0)


def test_the_end_of_a_users_container_is_no_end_of_ours() -> None:
    crash = {**running(1), "lastState": {"terminated": KILLED}, "restartCount": 1}
    assert read(pod(crash)).sidecar_ends == ()


@pytest.mark.parametrize("field", ["uid", "labels", "name", "creationTimestamp"])
@pytest.mark.parametrize("value", [None, 7, []], ids=repr)
def test_a_pod_without_what_identifies_it_is_not_ours(field: str, value: object) -> None:
    body = pod(running(1))
    body["metadata"][field] = value
    assert mapping.attempt(body, None) is None


def test_a_pod_without_a_job_is_not_ours() -> None:
    body = pod(running(1), ownerReferences=None, labels=dict(podbodies.LABELS))
    assert mapping.attempt(body, None) is None


def test_a_pod_says_where_it_runs_and_what_was_behind_the_users_images() -> None:
    digest = f"registry.test/app@sha256:{'a' * 64}"
    body = pod(
        {**running(1), "imageID": digest},
        {**waiting("ImagePullBackOff"), "imageID": ""},
        sidecar={**running(0), "imageID": "registry.test/sidecar@sha256:1"},
        inits={"prepare": {**ended(0), "imageID": "sha256:2"}},
    )
    body["spec"]["nodeName"] = "n1"
    attempt = read(body)
    assert (attempt.node, attempt.image_ids) == ("n1", {"main": digest, "prepare": "sha256:2"})


def test_of_a_pod_without_a_node_and_images_nothing_is_known() -> None:
    attempt = read(pod(waiting("ContainerCreating")))
    assert (attempt.node, attempt.image_ids) == (None, None)


def test_nothing_that_an_object_says_ends_the_reader() -> None:
    chance = random.Random(5)
    rubbish: list[object] = [None, "", "x", 0, -1, True, [], {}, [None], [[]], {"a": None}]
    bodies = [
        pod(ended(1), crashed(2), phase="Failed", conditions=[DISRUPTED]),
        podbodies.job(conditions=[condition("Failed", "X")]),
        podbodies.made_from(),
    ]
    for _ in range(3000):
        body = copy.deepcopy(chance.choice(bodies))
        for _ in range(chance.randint(1, 4)):
            _spoil(body, chance, rubbish)
        mapping.job(body)
        mapping.attempt(body, chance.choice([None, "main"]), gone=chance.random() < 0.5)
        mapping.cronjob_reading(body)
        mapping.event_reading(body)


def _spoil(body: Object, chance: random.Random, rubbish: list[object]) -> None:
    """Replace one value somewhere inside."""
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        keys = node.keys() if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        stack += [node[key] for key in keys if isinstance(node[key], dict | list)]
    node, key = chance.choice(places)
    node[key] = copy.deepcopy(chance.choice(rubbish))


def test_a_pod_that_goes_without_its_sidecar_says_since_when_and_why() -> None:
    body = pod(running(2))
    assert read(body).untracked is None
    mark = f"{at(1)} ErrImagePull: no such host"
    body["metadata"]["annotations"] = {"rollcall.dev/untracked": mark}
    without = executions.Untracked(at=second(1), words="ErrImagePull: no such host")
    assert read(body).untracked == without
    assert sidecarstatus.mark(without) == mark


@pytest.mark.parametrize("mark", ["", "yes", "yes please", at(1), f"{at(1)} ", 7, None])
def test_a_mark_that_is_not_ours_is_none(mark: object) -> None:
    body = pod(running(2))
    body["metadata"]["annotations"] = {"rollcall.dev/untracked": mark}
    assert read(body).untracked is None

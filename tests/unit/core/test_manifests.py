"""The CronJob that is planned for a TrackedCronJob."""

import copy
import re
from datetime import timedelta
from typing import Any

import pytest

from rollcall import config
from rollcall.core import errors, injection, manifests
from support.trackedcronjobs import UID, tracked

SIDECAR = config.Sidecar(image="registry.example/sidecar:1", ingest_url="http://api.rollcall:8080")


def build(body: dict[str, Any], withheld: injection.Obstacle | None = None) -> manifests.Plan:
    return manifests.build(body, sidecar=SIDECAR, withheld=withheld)


def spec_of(body: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = build(body).cronjob["spec"]
    return spec


def test_the_input_is_never_changed() -> None:
    body = tracked(tracking={"port": 7000}, successfulJobsHistoryLimit=1)
    before = copy.deepcopy(body)
    plan = build(body)
    plan.pod["spec"]["containers"][0]["image"] = "changed"
    assert body == before


def test_the_cronjob_bears_the_same_name_and_belongs_to_the_tracked_one() -> None:
    metadata = build(tracked()).cronjob["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("team", "nightly")
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "rollcall.dev/v1alpha1",
            "kind": "TrackedCronJob",
            "name": "nightly",
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_our_labels_stand_on_cronjob_job_and_pod() -> None:
    cronjob = build(tracked()).cronjob
    ours = {"rollcall.dev/name": "nightly", "rollcall.dev/uid": UID}
    template = cronjob["spec"]["jobTemplate"]
    assert cronjob["metadata"]["labels"] == ours
    assert template["metadata"]["labels"] == ours
    assert template["spec"]["template"]["metadata"]["labels"] == ours


def test_labels_of_the_template_stay_beside_ours() -> None:
    body = tracked()
    body["spec"]["jobTemplate"]["metadata"] = {
        "labels": {"kueue.x-k8s.io/queue-name": "main"},
        "annotations": {"a": "b"},
    }
    metadata = spec_of(body)["jobTemplate"]["metadata"]
    assert metadata["labels"]["kueue.x-k8s.io/queue-name"] == "main"
    assert metadata["annotations"] == {"a": "b"}


def test_labels_are_inherited_except_those_by_which_other_tools_own_objects() -> None:
    kept = {"app.kubernetes.io/part-of": "billing", "team": "data", "example.com/helm.sh": "x"}
    dropped = {
        "app.kubernetes.io/instance": "argo",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": "x-1",
        "argocd.argoproj.io/instance": "x",
        "kustomize.toolkit.fluxcd.io/name": "x",
        "applyset.kubernetes.io/part-of": "x",
        "rollcall.dev/adopt": "x",
    }
    labels = build(tracked(labels={**kept, **dropped})).cronjob["metadata"]["labels"]
    assert labels == kept | {"rollcall.dev/name": "nightly", "rollcall.dev/uid": UID}


def test_zone_and_deadline_are_always_written() -> None:
    spec = spec_of(tracked())
    assert (spec["timeZone"], spec["startingDeadlineSeconds"]) == ("Etc/UTC", 86_400)
    spec = spec_of(tracked(timeZone="Europe/Berlin", startingDeadlineSeconds=7200))
    assert (spec["timeZone"], spec["startingDeadlineSeconds"]) == ("Europe/Berlin", 7200)


@pytest.mark.parametrize("suspend", [None, True, False], ids=["unnamed", "true", "false"])
def test_suspend_is_applied_only_where_the_spec_names_it(*, suspend: bool | None) -> None:
    spec = spec_of(tracked() if suspend is None else tracked(suspend=suspend))
    assert spec.get("suspend") is suspend


def test_what_is_ours_alone_never_reaches_the_cronjob() -> None:
    ours = {"tracking": {}, "rules": {"late": {"warning": "1m"}}, "alerts": {"owner": "a"}}
    spec = spec_of(tracked(**ours, window={"max": "1h"}))
    assert not {*ours, "window"} & set(spec)


@pytest.mark.parametrize(
    ("schedule", "limit"),
    [
        ("30 2 * * *", 3),
        ("*/5 * * * *", 3),
        ("*/4 * * * *", 4),
        ("*/2 * * * *", 8),
        ("* * * * *", 15),
        ("0,1 0 * * *", 15),
        ("59,0 23,0 * * *", 15),
        ("@hourly", 3),
    ],
)
def test_history_covers_a_quarter_of_an_hour(schedule: str, limit: int) -> None:
    spec = spec_of(tracked(schedule=schedule))
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"] == limit


def test_lower_history_is_raised_and_said_and_higher_is_kept() -> None:
    plan = build(tracked(successfulJobsHistoryLimit=0, failedJobsHistoryLimit=20))
    assert plan.cronjob["spec"]["successfulJobsHistoryLimit"] == 3
    assert plan.cronjob["spec"]["failedJobsHistoryLimit"] == 20
    assert plan.raised == ("successfulJobsHistoryLimit raised from 0 to 3",)


def test_a_short_life_of_finished_jobs_is_raised_and_said() -> None:
    plan = build(tracked(job={"ttlSecondsAfterFinished": 60}))
    assert plan.cronjob["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 900
    assert plan.raised == ("jobTemplate.spec.ttlSecondsAfterFinished raised from 60 to 900",)
    long = build(tracked(job={"ttlSecondsAfterFinished": 901}))
    assert long.cronjob["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] == 901
    assert "ttlSecondsAfterFinished" not in spec_of(tracked())["jobTemplate"]["spec"]


def test_the_tracked_container_explains_failures_by_its_log() -> None:
    pod = {
        "containers": [
            {"name": "a", "image": "x"},
            {"name": "b", "image": "x"},
            {"name": "c", "image": "x", "terminationMessagePolicy": "File"},
        ]
    }

    def policies(**tracking: str) -> list[str | None]:
        containers = build(tracked(pod=pod, tracking=tracking)).pod["spec"]["containers"]
        return [container.get("terminationMessagePolicy") for container in containers]

    assert policies() == ["FallbackToLogsOnError", None, "File"]
    assert policies(container="b") == [None, "FallbackToLogsOnError", "File"]
    assert policies(container="c") == [None, None, "File"]


def test_the_hash_follows_what_is_applied_and_nothing_else() -> None:
    first = build(tracked()).spec_hash
    assert build(tracked(generation=7, rules={"late": {"warning": "1m"}})).spec_hash == first
    assert build(tracked(schedule="31 2 * * *")).spec_hash != first
    assert build(tracked(labels={"a": "b"})).spec_hash != first
    withheld = injection.Obstacle(reason="SidecarRefused", message="", is_guess=True)
    assert build(tracked(), withheld=withheld).spec_hash != first


def test_a_very_long_deadline_is_applied_as_written_and_judged_as_ten_years() -> None:
    plan = build(tracked(startingDeadlineSeconds=10**15))
    assert plan.cronjob["spec"]["startingDeadlineSeconds"] == 10**15
    assert plan.deadline == timedelta(days=3650)


@pytest.mark.parametrize(
    ("body", "reason", "word"),
    [
        (tracked(name="n" * 53), "InvalidName", "53 characters"),
        (tracked(schedule="@every 5m"), "InvalidSchedule", "@every is refused"),
        (tracked(schedule="TZ=UTC 0 0 * * *"), "InvalidSchedule", "spec.timeZone"),
        (tracked(schedule="0 0 * * 7"), "InvalidSchedule", "Sunday is 0"),
        (tracked(schedule=None), "InvalidSchedule", "exactly 5"),
        (tracked(timeZone="Mars/Olympus"), "InvalidTimeZone", "unknown"),
        (tracked(timeZone="Local"), "InvalidTimeZone", "machine"),
        (tracked(timeZone=""), "InvalidTimeZone", "empty"),
        (tracked(startingDeadlineSeconds=9), "InvalidDeadline", "from 10 up"),
        (tracked(startingDeadlineSeconds="60"), "InvalidDeadline", "whole number"),
        (tracked(startingDeadlineSeconds=True), "InvalidDeadline", "whole number"),
        (tracked(tracking={"container": "x"}), "InvalidTracking", "it has main"),
        (tracked(tracking={"sidecar": "Maybe"}), "InvalidTracking", "Auto, Always, Never"),
        (tracked(tracking={"heartbeatInterval": "1s"}), "InvalidTracking", "5s to 1h"),
        (tracked(tracking={"heartbeatInterval": 15}), "InvalidTracking", "90s"),
        (tracked(tracking={"port": 80}), "InvalidTracking", "1024"),
        (tracked(tracking={"port": True}), "InvalidTracking", "1024"),
        (tracked(pod={"containers": []}), "InvalidTemplate", "at least one"),
        (tracked(pod={"containers": "main"}), "InvalidTemplate", "list of objects"),
        (tracked(pod={"initContainers": [1]}), "InvalidTemplate", "list of objects"),
        (tracked(pod={"volumes": {}}), "InvalidTemplate", "list of objects"),
        (tracked(pod={"nodeSelector": "x"}), "InvalidTemplate", "nodeSelector"),
        (
            tracked(pod={"containers": [{"name": "a", "env": "x"}]}),
            "InvalidTemplate",
            "container a",
        ),
        (
            tracked(pod={"containers": [{"name": "a", "resources": {"limits": []}}]}),
            "InvalidTemplate",
            "limits",
        ),
        (tracked(jobTemplate=None), "InvalidTemplate", "jobTemplate"),
        (tracked(jobTemplate={"spec": {"template": []}}), "InvalidTemplate", "template"),
        (
            tracked(
                jobTemplate={
                    "metadata": [],
                    "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}},
                }
            ),
            "InvalidTemplate",
            "metadata",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_a_person_can_mend_is_named(body: dict[str, Any], reason: str, word: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=re.escape(word)) as raised:
        build(body)
    assert raised.value.reason == reason

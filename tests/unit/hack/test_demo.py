"""The demo: what counts as going well, and that its resources are what the schemas allow."""

import json
from pathlib import Path
from string import Template
from typing import Any

import demo
import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[3]
GOOD = [(*job.split("/"), "incident.opened", f"id of {job}") for job in demo.BROKEN]

WELL = {
    "demo/failing": "Failing", "demo/hanging": "Degraded", "demo/healthy": "Healthy",
    "demo/paused": "Suspended", "demo/blocked": "Failing",
}  # fmt: skip


def alerts(*told: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "payload": {
                "type": kind,
                "incident": {"id": identifier},
                "cronjob": {"namespace": namespace, "name": name},
            }
        }
        for namespace, name, kind, identifier in told
    ]


def resources() -> list[dict[str, Any]]:
    texts = [(ROOT / "demo" / name).read_text() for name in ("receiver.yaml", "jobs.yaml")]
    return [
        body
        for text in texts
        for body in yaml.safe_load_all(Template(text).substitute(image="operator:1"))
    ]


def jobs() -> dict[str, dict[str, Any]]:
    return {
        f"{body['metadata']['namespace']}/{body['metadata']['name']}": body
        for body in resources()
        if body["kind"] == "TrackedCronJob"
    }


def test_one_opened_alert_for_each_broken_job_is_what_should_be() -> None:
    assert demo.verdict(alerts(*GOOD), WELL) is None


def test_an_alert_about_the_cluster_and_those_of_a_digest_count_too() -> None:
    told = alerts(*GOOD)
    digest = {"payload": {"type": "digest", "incidents": [one["payload"] for one in told]}}
    assert demo.opened([digest]) == demo.opened(told)
    told[0]["payload"]["cronjob"] = None
    assert demo.opened(told)["the cluster"] == 1


@pytest.mark.parametrize(
    ("told", "said"),
    [
        pytest.param(
            GOOD[1:],
            "demo/blocked: 0 opened alerts instead of 1",
            id="one is missing",
        ),
        pytest.param(
            [*GOOD, ("demo", "failing", "incident.opened", "other")],
            "demo/failing: 2 opened alerts instead of 1",
            id="two problems told for one job",
        ),
        pytest.param(
            [*GOOD, ("demo", "healthy", "incident.opened", "other")],
            "demo/healthy: 1 opened alerts instead of 0",
            id="a healthy job is told of",
        ),
    ],
)
def test_any_other_count_is_named(told: list[tuple[str, ...]], said: str) -> None:
    assert demo.verdict(alerts(*told), WELL) == said


def test_a_message_that_came_twice_is_one_alert() -> None:
    assert demo.verdict(alerts(*GOOD, GOOD[0]), WELL) is None


def test_changes_reminders_and_digests_do_not_count() -> None:
    later = [("demo", "failing", f"incident.{kind}", "x") for kind in ("changed", "reminder")]
    digest: list[dict[str, Any]] = [
        {"payload": {"type": "digest", "incidents": []}},
        {"payload": {"text": "slack"}},
    ]
    assert demo.verdict([*alerts(*GOOD, *later), *digest], WELL) is None


@pytest.mark.parametrize(
    ("healths", "said"),
    [
        pytest.param({"demo/healthy": "Degraded"}, "is Degraded instead of Healthy", id="wrong"),
        pytest.param({"demo/blocked": "New"}, "is New instead of Failing", id="not yet"),
        pytest.param({"demo/hanging": "None"}, "is None instead of Degraded", id="no status"),
    ],
)
def test_a_health_that_is_not_true_is_named(healths: dict[str, str], said: str) -> None:
    job = next(iter(healths))
    assert demo.verdict(alerts(*GOOD), WELL | healths) == f"the health of {job} {said}"


def test_there_are_five_jobs_on_minute_schedules() -> None:
    assert sorted(jobs()) == [
        "demo/blocked", "demo/failing", "demo/hanging", "demo/healthy", "demo/paused",
    ]  # fmt: skip
    assert {body["spec"]["schedule"] for body in jobs().values()} == {"* * * * *"}


def test_the_health_of_each_is_expected_and_three_are_broken() -> None:
    assert demo.HEALTH.keys() == jobs().keys()
    assert set(demo.BROKEN) < set(jobs())


@pytest.mark.parametrize("kind", ["TrackedCronJob", "AlertChannel"])
def test_every_resource_fits_its_schema(kind: str) -> None:
    definition = yaml.load((ROOT / f"crds/{kind.lower()}s.yaml").read_text(), yaml.CSafeLoader)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    checked = [body for body in resources() if body["kind"] == kind]
    assert checked
    for body in checked:
        jsonschema.validate(body, _closed(schema))


def test_nothing_is_pulled_that_is_on_the_node() -> None:
    text = json.dumps(resources())
    assert text.count('"image": "operator:1", "imagePullPolicy": "IfNotPresent"') == 6


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Refuse unknown fields, as the API server does when it is asked to be strict."""
    copy = {
        key: _closed(value) if isinstance(value, dict) else value for key, value in schema.items()
    }
    if "properties" in schema and schema.get("type") == "object":
        if schema["properties"].keys() >= {"apiVersion", "kind", "metadata"}:
            copy["properties"]["metadata"] = {}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            copy.setdefault("additionalProperties", False)
    return copy

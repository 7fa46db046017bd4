"""The demo: what counts as going well, and that its resources are what the schemas allow."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import SimpleNamespace
from typing import Any

import demo
import deploy
import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[3]
GOOD = [(*job.split("/"), "incident.opened", f"id of {job}") for job in demo.BROKEN]
KEY = "of the first message"

WELL = {
    "demo/failing": "Failing", "demo/hanging": "Degraded", "demo/healthy": "Healthy",
    "demo/paused": "Suspended", "demo/blocked": "Failing",
}  # fmt: skip


BEGAN = "2026-11-25T16:35:06"


def alerts(
    *told: tuple[str, ...], key: str = KEY, at: str = f"{BEGAN}.123456+00:00"
) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "receivedAt": at,
            "payload": {
                "type": kind,
                "incident": {"id": identifier},
                "cronjob": {"namespace": namespace, "name": name},
            },
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
    payload = {"type": "digest", "incidents": [one["payload"] for one in told]}
    digest = alerts(*GOOD)[0] | {"payload": payload}
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


def test_a_problem_that_is_opened_by_two_messages_is_told_twice() -> None:
    told = [*alerts(*GOOD), *alerts(GOOD[0], key="of another message")]
    assert demo.verdict(told, WELL) == "demo/blocked: 2 opened alerts instead of 1"


def test_changes_reminders_and_digests_do_not_count() -> None:
    later = [("demo", "failing", f"incident.{kind}", "x") for kind in ("changed", "reminder")]
    digest: list[dict[str, Any]] = [
        {"key": KEY, "receivedAt": BEGAN, "payload": {"type": "digest", "incidents": []}},
        {"key": None, "receivedAt": BEGAN, "payload": {"text": "slack"}},
    ]
    assert demo.verdict([*alerts(*GOOD, *later), *digest], WELL) is None


def test_where_it_was_up_before_only_problems_that_go_on_count() -> None:
    before = "2026-11-25T16:20:00.000000+00:00"
    solved = ("demo", "blocked", "incident.opened", "solved")
    told = [
        *alerts(*GOOD, solved, at=before),
        *alerts(("demo", "blocked", "incident.resolved", "solved")),
    ]
    assert demo.verdict(told, WELL, BEGAN) is None
    assert demo.verdict(told, WELL) == "demo/blocked: 2 opened alerts instead of 1"


def test_a_demo_that_is_up_for_long_is_well_too() -> None:
    healths = WELL | {"demo/hanging": "Failing"}  # without a success for ten minutes
    before = alerts(*GOOD, at="2026-11-25T16:20:00.000000+00:00")
    assert demo.verdict(before, healths, BEGAN) is None
    said = "the health of demo/hanging is Failing instead of Degraded"
    assert demo.verdict(alerts(*GOOD), healths, BEGAN) == said


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


@dataclass
class Looks:
    """A cluster whose jobs have these healths, look by look, and a clock."""

    healths: list[dict[str, str]]
    now: float = 0.0

    def health(self, _: object) -> dict[str, str]:
        return self.healths.pop(0) if len(self.healths) > 1 else self.healths[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def waited(monkeypatch: pytest.MonkeyPatch, looks: Looks) -> str | None:
    monkeypatch.setattr(demo, "received", lambda _: alerts(*GOOD))
    monkeypatch.setattr(demo, "health", looks.health)
    monkeypatch.setattr(
        demo, "time", SimpleNamespace(monotonic=lambda: looks.now, sleep=looks.sleep)
    )
    return demo.wait(deploy.Target(name="", context="", kubeconfig="", programs={}), BEGAN)


def test_it_waits_until_all_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks([WELL | {"demo/hanging": "New"}] * 3 + [WELL])
    assert waited(monkeypatch, looks) is None
    assert looks.now == 3


def test_it_says_what_is_not_so_after_four_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks([WELL | {"demo/hanging": "New"}])
    said = waited(monkeypatch, looks)
    assert said == "the health of demo/hanging is New instead of Degraded"
    assert 240 <= looks.now <= 242


@pytest.mark.parametrize(
    ("first", "named"),
    [
        (None, "\nas it should be, and 6 s later not any more: "),
        ("no alert", "\nnot as it should be 240 s after the installation: no alert\n"),
    ],
    ids=["the second look", "the first"],
)
def test_what_is_wrong_is_told_with_the_look_that_found_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: str | None,
    named: str,
) -> None:
    target = deploy.Target(name="", context="", kubeconfig="", programs={})
    monkeypatch.setattr(sys, "argv", ["demo", "test"])
    monkeypatch.setattr(deploy, "target", lambda _: target)
    answers: dict[str, object] = {"install": None, "wait": first, "received": [], "show": None}
    for name, answer in answers.items():
        monkeypatch.setattr(demo, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(demo, "health", lambda _: WELL)
    monkeypatch.setattr(demo, "time", SimpleNamespace(sleep=lambda _: None))
    assert demo.main() == 1
    assert named in capsys.readouterr().err


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

"""Values: all are known, all have an effect, and wrong ones are refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from rollcall import config
from rollcall.core import counters, durations, policies, rule_specs, targets
from support import charts

Object = dict[str, Any]

SCHEMA = json.loads((charts.CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((charts.CHART / "values.yaml").read_text())
FREE = {"global", "namespaceSelector", "podSelector", "ipBlock", "Affinity"}  # Kubernetes' own

# For each value one that differs from its default.
OTHERWISE: Object = {
    "clusterName": "east",
    **{
        f"image.{name}.{field}": value
        for name in ("operator", "sidecar", "postgres")
        for field, value in (
            ("repository", "registry.example:5000/x"),
            ("tag", "9@sha256:" + "0" * 64),
            ("pullPolicy", "Never"),
        )
    },
    "imagePullSecrets": [{"name": "registry"}],
    "sidecar.pullSecrets": ["a"],
    "sidecar.fallbackImage": "",
    "rules.late.warning": "6m",
    "rules.late.critical": "2h",
    "rules.cannot_start.critical": "6m",
    "rules.cannot_start.unschedulable.warning": "11m",
    "rules.cannot_start.unschedulable.critical": "31m",
    "rules.missed.critical": 2,
    "rules.skipped.warning": 10,
    "rules.failing.warning": 2,
    "rules.failing.critical": 4,
    "rules.failure_rate.warning": 30,
    "rules.failure_rate.window": "2d",
    "rules.failure_rate.minExecutions": 10,
    "rules.stale.critical": "26h",
    "rules.overrunning.warning": "1d2h",
    "rules.slow.info": "1h",
    "rules.too_fast": {"info": "1s"},
    "rules.suspended": {"warning": "30d"},
    "rules.silent.warning": "6m",
    "rules.no_progress": {"warning": "1h"},
    "rules.errors": {"critical": 10, "types": ["timeout"]},
    "rules.counter": {"warning": 1, "counters": [{"name": "rows", "min": 1}]},
    "rules.blind.critical": "3m",
    "rules.missed_widely.critical": 30,
    "rules.missed_widely.minJobs": 20,
    "rules.cannot_pull.critical": 20,
    "rules.cannot_deliver.critical": "10m",
    "alerts.cooldown": "1h",
    "alerts.recoveryThreshold": 2,
    "alerts.maintenance": [{"name": "sundays", "schedule": "0 2 * * 0", "duration": "4h"}],
    "deadman.url": "https://hc.example/ping/1",
    "deadman.urlSecret.name": "deadman",
    "deadman.urlSecret.key": "address",
    "alerts.allowedTargets": [],
    "retention.weeks": 26,
    "operator.replicas": 1,
    "api.replicas": 5,
    **{
        f"{owner}.resources.{field}": value
        for owner in ("operator", "api", "postgres.embedded")
        for field, value in (
            ("requests.cpu", 1),
            ("requests.memory", "333Mi"),
            ("limits.memory", "777Mi"),
        )
    },
    "postgres.embedded.enabled": False,
    "postgres.embedded.storage.size": "1Ti",
    "postgres.embedded.storage.className": "fast",
    "postgres.embedded.settings": {"work_mem": "8MB"},
    "postgres.external.dsnSecret.name": "pg",
    "postgres.external.dsnSecret.key": "address",
    "networkPolicy.enabled": False,
    "networkPolicy.metricsFrom": [{"podSelector": {}}],
    "metrics.serviceMonitor.enabled": True,
    "metrics.serviceMonitor.interval": "1m",
    "metrics.serviceMonitor.labels": {"a": "b"},
    "metrics.rules.enabled": True,
    "metrics.rules.labels": {"a": "b"},
    "crds.install": False,
    "logLevel": "DEBUG",
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAffinity": {}},
    "priorityClassName": "high",
}
# What has to be set for a value to matter.
BESIDES: dict[str, Object] = {
    "deadman.urlSecret.key": {"deadman": {"urlSecret": {"name": "deadman"}}},
    "postgres.external.dsnSecret.key": charts.EXTERNAL,
    "metrics.serviceMonitor.interval": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.serviceMonitor.labels": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.rules.labels": {"metrics": {"rules": {"enabled": True}}},
}
TOGETHER = {"postgres.embedded.enabled", "postgres.external.dsnSecret.name"}


def test_every_value_is_tried_below() -> None:
    assert {path for path, _ in charts.leaves(DEFAULTS)} == OTHERWISE.keys()


@pytest.mark.parametrize("path", sorted(OTHERWISE.keys() - TOGETHER))
def test_every_value_changes_what_is_installed(helm: charts.Helm, path: str) -> None:
    before = BESIDES.get(path, {})
    after = _merged(before, charts.nested(path, OTHERWISE[path]))
    assert helm.render(before) != helm.render(after)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        pytest.param(
            {"postgres": {"embedded": {"enabled": False}}}, "there is no database", id="none"
        ),
        pytest.param(
            {"postgres": {"external": {"dsnSecret": {"name": "pg"}}}},
            "set postgres.embedded.enabled to false",
            id="two",
        ),
    ],
)
def test_there_must_be_exactly_one_database(helm: charts.Helm, values: Object, advice: str) -> None:
    with pytest.raises(charts.HelmError, match=advice):
        helm.render(values)


def test_the_dead_man_switch_has_one_address(helm: charts.Helm) -> None:
    both = {"deadman": {"url": "https://hc.example/1", "urlSecret": {"name": "deadman"}}}
    with pytest.raises(charts.HelmError, match=r"leave deadman\.url empty"):
        helm.render(both)


@pytest.mark.parametrize(
    "parent",
    sorted({path.rpartition(".")[0] for path in OTHERWISE}),
)
def test_an_unknown_value_is_refused_wherever_it_stands(helm: charts.Helm, parent: str) -> None:
    path = f"{parent}.typo" if parent else "typo"
    with pytest.raises(charts.HelmError, match="typo"):
        helm.render(charts.nested(path, {"a": 1}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clusterName", ""),
        ("image.operator.repository", "registry.example/x:1"),
        ("image.operator.tag", "a b"),
        ("image.operator.pullPolicy", "Sometimes"),
        ("imagePullSecrets", ["registry"]),
        ("sidecar.pullSecrets", ["a,b"]),
        ("sidecar.pullSecrets", "a"),
        ("rules.late.warning", "0s"),
        ("rules.late.warning", "5 minutes"),
        ("rules.late.warning", "auto"),
        ("rules.missed.critical", 0),
        ("rules.missed.critical", "1h"),
        ("alerts.cooldown", "6"),
        ("alerts.recoveryThreshold", 101),
        ("alerts.maintenance", [{"schedule": "0 2 * * 0", "duration": "4h"}]),
        ("alerts.maintenance", [{"name": "a", "schedule": "0 2 * * 0", "duration": "4 h"}]),
        ("deadman.url", "hc.example/1"),
        ("alerts.allowedTargets", ["a,b"]),
        ("retention.weeks", 105),
        ("operator.replicas", -1),
        ("api.resources.limits.memory", "lots"),
        ("postgres.embedded.settings", {"work_mem; drop": "1"}),
        ("postgres.embedded.storage.size", "big"),
        ("networkPolicy.metricsFrom", [{}]),
        ("metrics.serviceMonitor.interval", "often"),
        ("logLevel", "debug"),
        ("podAnnotations", {"a": 1}),
        ("nodeSelector", {"a": True}),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else None,
)
def test_a_wrong_value_is_refused(helm: charts.Helm, path: str, value: object) -> None:
    with pytest.raises(charts.HelmError, match=path.replace(".", "/")):
        helm.render(charts.nested(path, value))


def test_a_threshold_can_be_taken_away(helm: charts.Helm) -> None:
    release = helm.render({"rules": {"late": {"critical": None}}})
    operator = release.pod("rollcall-operator")["spec"]["containers"][0]
    rules = json.loads(charts.environment(operator)["ROLLCALL_RULES"])
    assert rules["late"] == {"warning": "5m"}


def test_the_default_rules_are_the_built_in_ones() -> None:
    assert DEFAULTS["rules"] == policies.BUILT_IN
    assert durations.parse(DEFAULTS["alerts"]["cooldown"]) == policies.DEFAULT_COOLDOWN
    assert ",".join(DEFAULTS["alerts"]["allowedTargets"]) == targets.SERVICES


def test_retention_has_the_same_default_and_limit_as_the_setting() -> None:
    assert DEFAULTS["retention"]["weeks"] == config.DEFAULT_RETENTION_WEEKS
    weeks = SCHEMA["properties"]["retention"]["properties"]["weeks"]
    assert weeks["maximum"] == config.LONGEST_RETENTION_WEEKS
    assert DEFAULTS["alerts"]["recoveryThreshold"] == policies.Defaults(rules={}).recovery_threshold


def test_the_schema_knows_all_rules_and_thresholds() -> None:
    rules = SCHEMA["properties"]["rules"]["properties"]
    assert rules.keys() == set(policies.Kind)
    for kind, reference in rules.items():
        definition = SCHEMA["definitions"][reference["$ref"].rpartition("/")[2]]
        more = rule_specs.MORE.get(policies.Kind(kind), frozenset())
        assert definition["properties"].keys() == {"enabled", *policies.Severity} | more, kind
    named = {kind: reference["$ref"].rpartition("/")[2] for kind, reference in rules.items()}
    counted = {kind for kind in named if named[kind] in {"countRule", "errorsRule", "counterRule"}}
    assert counted == rule_specs.COUNTED
    types = SCHEMA["definitions"]["errorsRule"]["properties"]["types"]
    assert types["maxItems"] == rule_specs.MOST_TYPES
    listed = SCHEMA["definitions"]["counterRule"]["properties"]["counters"]
    assert listed["maxItems"] == counters.MOST
    assert {kind for kind in named if named[kind] == "autoRule"} == rule_specs.WITH_AUTO


def test_the_schema_is_closed_everywhere() -> None:
    for path, node in _objects(SCHEMA, ""):
        if not path.endswith(tuple(FREE)):
            assert "additionalProperties" in node, path
            assert node["additionalProperties"] is not True, path


def _objects(node: object, path: str) -> Iterator[tuple[str, Object]]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _objects(item, f"{path}[{index}]")
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from _objects(value, f"{path}.{key}")


def _merged(one: Object, other: Object) -> Object:
    both = dict(one)
    for key, value in other.items():
        old = both.get(key)
        both[key] = (
            _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return both

"""What runs: images, security, resources, settings."""

import re
from pathlib import Path
from typing import Any

import pytest

from rollcall import config
from rollcall.core import policies, silences, targets
from support import charts

Object = dict[str, Any]


def test_every_image_has_a_tag_of_its_own(release: charts.Release) -> None:
    for _, template in release.pods():
        for container in charts.containers(template):
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            assert tag not in {"", "latest"}, container["image"]


def test_every_pod_meets_the_restricted_standard(release: charts.Release) -> None:
    for _, template in release.pods():
        context = template["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["fsGroup"] == 65532
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & template["spec"].keys()
        kinds = {
            kind for volume in template["spec"]["volumes"] for kind in volume if kind != "name"
        }
        assert kinds <= {"secret", "emptyDir", "projected"}


def test_every_container_has_no_privilege_and_writes_nowhere(release: charts.Release) -> None:
    for _, template in release.pods():
        for container in charts.containers(template):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, container["name"]


def test_every_container_requests_what_it_needs_and_is_bounded(release: charts.Release) -> None:
    for _, template in release.pods():
        for container in charts.containers(template):
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}, container["name"]
            assert "memory" in resources["limits"], container["name"]


def test_kubernetes_adds_no_variables_of_our_prefix(release: charts.Release) -> None:
    for name, template in release.pods():
        assert template["spec"]["enableServiceLinks"] is False, name


def test_every_variable_is_a_setting(release: charts.Release) -> None:
    given: set[str] = set()
    for _, template in release.pods():
        for container in charts.containers(template):
            given |= charts.environment(container).keys()
    ours = {name.removeprefix(config.PREFIX) for name in given if name.startswith(config.PREFIX)}
    assert ours <= config.KNOWN
    others = {name for name in given if not name.startswith(config.PREFIX)}
    assert others <= {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PGDATA"}


def test_the_operator_starts_with_the_values_as_settings(helm: charts.Helm) -> None:
    values: Object = {
        "clusterName": "east",
        "sidecar": {"pullSecrets": ["a", "b"], "fallbackImage": "pause:1"},
        "image": {"sidecar": {"repository": "registry.example/sidecar", "tag": "7"}},
        "rules": {"late": {"warning": "10m", "critical": None}, "stale": {"enabled": False}},
        "alerts": {
            "cooldown": "1d",
            "recoveryThreshold": 3,
            "allowedTargets": ["am.monitoring.svc", "10.0.0.0/8"],
            "maintenance": [
                {
                    "name": "sundays",
                    "schedule": "0 2 * * 0",
                    "timeZone": "Europe/Berlin",
                    "duration": "4h",
                    "reason": 'disks & "nets"',
                    "labels": {"matchLabels": {"team": "data"}},
                    "kinds": ["late"],
                }
            ],
        },
        "deadman": {"url": "https://hc.example/ping/1"},
        "retention": {"weeks": 52},
        "logLevel": "DEBUG",
    }
    settings = config.load(_environment(helm.render(values).pod("rollcall-operator")))
    assert settings.cluster == "east"
    assert settings.log_level == "DEBUG"
    assert settings.retention_weeks == 52
    assert settings.lease_name == "rollcall-operator"
    assert settings.sidecar == config.Sidecar(
        image="registry.example/sidecar:7",
        ingest_url="http://rollcall-api.rollcall-system.svc:8080",
        pull_secrets=("a", "b"),
        fallback_image="pause:1",
    )
    wanted = policies.defaults(values["rules"])
    late = wanted.rules[policies.Kind.LATE]
    assert settings.defaults.rules[policies.Kind.LATE] == late
    assert set(late.thresholds) == {policies.Severity.WARNING}
    assert settings.defaults.rules[policies.Kind.STALE].enabled is False
    assert settings.defaults.cooldown.days == 1
    assert settings.defaults.recovery_threshold == 3
    assert settings.allowed_targets == targets.read("am.monitoring.svc,10.0.0.0/8")
    assert settings.maintenance == silences.read_recurring(values["alerts"]["maintenance"], "")
    assert settings.deadman_url == "https://hc.example/ping/1"


def test_without_values_the_rules_are_the_built_in_ones(helm: charts.Helm) -> None:
    settings = config.load(_environment(helm.render().pod("rollcall-operator")))
    assert settings.defaults == policies.defaults()


def test_the_api_starts_with_its_settings(helm: charts.Helm) -> None:
    template = helm.render().pod("rollcall-api")
    settings = config.load(_environment(template))
    ports = {port["name"]: port["containerPort"] for port in _main(template)["ports"]}
    assert ports == {"ingest": settings.ingest_port, "health": settings.health_port}


def test_an_external_database_is_read_from_its_secret(helm: charts.Helm, tmp_path: Path) -> None:
    values = {
        "postgres": {
            "embedded": {"enabled": False},
            "external": {"dsnSecret": {"name": "pg", "key": "address"}},
        }
    }
    release = helm.render(values)
    assert not release.of_kind("StatefulSet")
    for name, template in release.pods():
        assert _volume(template, "database")["secret"]["secretName"] == "pg"
        assert _volume(template, "database")["secret"]["items"] == [
            {"key": "address", "path": "dsn"}
        ]
        (tmp_path / "dsn").write_text("postgresql://user@db.example/rollcall\n")
        for container in charts.containers(template):
            mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            environment = {
                key: value.replace(mounted["database"], str(tmp_path))
                for key, value in charts.environment(container).items()
            }
            dsn = config.load(environment).database_dsn
            assert dsn == "postgresql://user@db.example/rollcall", name


def test_all_agree_on_the_secret_with_the_password(helm: charts.Helm) -> None:
    release = helm.render(name="other")
    name = "other-rollcall-postgres"
    postgres = release.pod(name)
    assert postgres["spec"]["initContainers"][0]["args"] == ["db", "secret", "--name", name]
    password = next(item for item in _main(postgres)["env"] if item["name"] == "POSTGRES_PASSWORD")
    assert password["valueFrom"]["secretKeyRef"] == {"name": name, "key": "password"}
    for process in ("other-rollcall-operator", "other-rollcall-api"):
        template = release.pod(process)
        secret = _volume(template, "database")["secret"]
        assert secret["secretName"] == name
        assert secret["items"] == [{"key": "password", "path": "password"}]
        for container in charts.containers(template):
            mount = next(one for one in container["volumeMounts"] if one["name"] == "database")
            path = charts.environment(container)["ROLLCALL_DATABASE_PASSWORD_FILE"]
            assert path == f"{mount['mountPath']}/password"


def test_no_volume_of_the_postgres_pod_waits_for_the_secret_that_it_creates(
    helm: charts.Helm,
) -> None:
    volumes = helm.render().pod("rollcall-postgres")["spec"]["volumes"]
    assert not any("secret" in volume for volume in volumes)


def test_the_password_is_made_by_nobody_but_the_init_container(release: charts.Release) -> None:
    assert not release.of_kind("Secret")
    for body in release.objects:
        assert "helm.sh/hook" not in body["metadata"].get("annotations", {})


def test_the_token_of_the_postgres_pod_reaches_its_init_container_only(helm: charts.Helm) -> None:
    template = helm.render().pod("rollcall-postgres")
    assert template["spec"]["automountServiceAccountToken"] is False
    users = [
        container["name"]
        for container in charts.containers(template)
        if any(mount["name"] == "api-access" for mount in container["volumeMounts"])
    ]
    assert users == ["password"]


def test_the_database_lies_below_the_root_of_its_volume(helm: charts.Helm) -> None:
    container = _main(helm.render().pod("rollcall-postgres"))
    mount = next(one for one in container["volumeMounts"] if one["name"] == "data")
    data = charts.environment(container)["PGDATA"]
    assert Path(mount["mountPath"]) in Path(data).parents


def test_settings_of_postgres_become_its_arguments(helm: charts.Helm) -> None:
    settings = {"shared_buffers": "32MB", "max_connections": 90, "jit": False}
    release = helm.render({"postgres": {"embedded": {"settings": settings}}})
    arguments = _main(release.pod("rollcall-postgres"))["args"]
    given = {arguments[index + 1] for index in range(0, len(arguments), 2)}
    assert set(arguments[::2]) == {"-c"}
    assert given == {"shared_buffers=32MB", "max_connections=90", "jit=false"}


def test_every_process_brings_the_schema_up_to_date_first(release: charts.Release) -> None:
    for component in ("operator", "api"):
        first = release.pod(f"rollcall-{component}")["spec"]["initContainers"][0]
        main = _main(release.pod(f"rollcall-{component}"))
        assert first["args"] == ["db", "upgrade"]
        assert first["image"] == main["image"]
        assert main["args"] == [component]


def test_probes_ask_ports_that_exist(release: charts.Release) -> None:
    for name, template in release.pods():
        main = _main(template)
        ports = {port["name"] for port in main["ports"]}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            how = main[kind].get("httpGet") or main[kind].get("tcpSocket")
            assert how is None or how["port"] in ports, (name, kind)
        assert main["readinessProbe"] != main["livenessProbe"], name


def test_what_is_said_of_pods_reaches_all_of_them(helm: charts.Helm) -> None:
    values = charts.EVERYTHING
    for name, template in helm.render(values).pods():
        spec = template["spec"]
        for field in ("imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName"):
            assert spec[field] == values[field], (name, field)
        assert spec["affinity"] == values["affinity"], name
        assert template["metadata"]["annotations"] == values["podAnnotations"], name


@pytest.mark.parametrize("changed", ["version", "appVersion"])
def test_a_new_version_changes_nothing_that_cannot_be_changed(
    helm: charts.Helm, tmp_path: Path, changed: str
) -> None:
    newer = _copied(tmp_path, changed, "9.8.7")
    images = {"image": {name: {"tag": "1"} for name in ("operator", "sidecar", "postgres")}}
    before, after = helm.render(images), helm.render(images, chart=newer)
    assert before != after  # the labels of other objects say so
    for old, new in zip(
        before.of_kind(*charts.WORKLOADS), after.of_kind(*charts.WORKLOADS), strict=True
    ):
        assert old["spec"] == new["spec"]  # nor is any pod restarted for nothing


def _copied(folder: Path, field: str, version: str) -> Path:
    for path in charts.CHART.rglob("*"):
        if path.is_file():
            copy = folder / "chart" / path.relative_to(charts.CHART)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text()
            if path.name == "Chart.yaml":
                text = re.sub(rf"(?m)^{field}: .*$", f"{field}: {version}", text)
            copy.write_text(text)
    return folder / "chart"


def _main(template: Object) -> Object:
    container: Object = template["spec"]["containers"][0]
    return container


def _volume(template: Object, name: str) -> Object:
    return next(one for one in template["spec"]["volumes"] if one["name"] == name)


def _environment(template: Object) -> dict[str, str]:
    return charts.environment(_main(template))

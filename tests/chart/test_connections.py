"""Who reaches whom: selectors, ports, names, network policies."""

from typing import Any

from support import charts

Object = dict[str, Any]

COMPONENTS = {"operator", "api", "postgres"}


def test_every_object_is_there_once_and_in_its_namespace(release: charts.Release) -> None:
    names = [(body["kind"], body["metadata"]["name"]) for body in release.objects]
    assert len(names) == len(set(names))
    everywhere = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for body in release.objects:
        namespace = body["metadata"].get("namespace")
        assert namespace == (None if body["kind"] in everywhere else charts.NAMESPACE)


def test_every_object_says_what_it_belongs_to(release: charts.Release) -> None:
    for body in release.objects:
        labels = body["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "rollcall", body["metadata"]["name"]
        assert labels["app.kubernetes.io/instance"] == "rollcall"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_every_workload_selects_its_own_pods_and_no_others(release: charts.Release) -> None:
    for body in release.of_kind(*charts.WORKLOADS):
        name = body["metadata"]["name"]
        assert release.selected(body["spec"]["selector"]["matchLabels"]) == [name]
        spread = body["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [one["whenUnsatisfiable"] for one in spread] == ["ScheduleAnyway"]
        for one in spread:
            assert release.selected(one["labelSelector"]["matchLabels"]) == [name]


def test_every_service_leads_to_one_workload_and_a_port_of_it(release: charts.Release) -> None:
    for service in release.of_kind("Service"):
        (name,) = release.selected(service["spec"]["selector"])
        assert service["metadata"]["name"].removesuffix("-metrics") == name
        ports = _ports(release, name)
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_every_disruption_budget_leaves_a_replica_and_lets_nodes_be_drained(
    release: charts.Release,
) -> None:
    budgets = release.of_kind("PodDisruptionBudget")
    covered = [name for body in budgets for name in _selected(release, body["spec"]["selector"])]
    assert sorted(covered) == ["rollcall-api", "rollcall-operator"]
    assert all(body["spec"]["maxUnavailable"] == 1 for body in budgets)


def test_addresses_in_settings_are_those_of_services(helm: charts.Helm) -> None:
    release = helm.render(name="other")
    operator = charts.environment(release.pod("other-rollcall-operator")["spec"]["containers"][0])
    api = release.one("Service", "other-rollcall-api")
    postgres = release.one("Service", "other-rollcall-postgres")
    where = f".{charts.NAMESPACE}.svc"
    ingest = f"{api['metadata']['name']}{where}:{api['spec']['ports'][0]['port']}"
    database = f"{postgres['metadata']['name']}{where}:{postgres['spec']['ports'][0]['port']}"
    assert operator["ROLLCALL_INGEST_URL"] == f"http://{ingest}"
    assert operator["ROLLCALL_DATABASE_DSN"] == f"postgresql://rollcall@{database}/rollcall"
    for name in ("operator", "api"):
        for container in charts.containers(release.pod(f"other-rollcall-{name}")):
            variables = charts.environment(container)
            assert variables["ROLLCALL_DATABASE_DSN"] == operator["ROLLCALL_DATABASE_DSN"]


def test_names_stay_valid_for_the_longest_release_name(helm: charts.Helm) -> None:
    release = helm.render(name="r" * 53)
    longest = max(body["metadata"]["name"] for body in release.of_kind("Service"))
    assert len(longest) <= 63
    for _, template in release.pods():
        for value in template["metadata"]["labels"].values():
            assert len(value) <= 63


def test_every_pod_has_a_network_policy(helm: charts.Helm) -> None:
    release = helm.render()
    covered = [
        name
        for body in release.of_kind("NetworkPolicy")
        for name in _selected(release, body["spec"]["podSelector"])
    ]
    assert sorted(covered) == sorted(f"rollcall-{component}" for component in COMPONENTS)


def test_only_our_own_processes_reach_postgres(helm: charts.Helm) -> None:
    release = helm.render()
    (rule,) = release.one("NetworkPolicy", "rollcall-postgres")["spec"]["ingress"]
    allowed = [name for peer in rule["from"] for name in _selected(release, peer["podSelector"])]
    assert sorted(allowed) == ["rollcall-api", "rollcall-operator"]
    assert all(peer.keys() == {"podSelector"} for peer in rule["from"])  # of our own namespace
    assert rule["ports"] == [{"port": "postgres"}]


def test_everybody_reaches_the_ingest_port_and_metrics_by_default(helm: charts.Helm) -> None:
    release = helm.render()
    rules = release.one("NetworkPolicy", "rollcall-api")["spec"]["ingress"]
    assert rules == [{"ports": [{"port": "ingest"}]}, {"ports": [{"port": "health"}]}]
    rules = release.one("NetworkPolicy", "rollcall-operator")["spec"]["ingress"]
    assert rules == [{"ports": [{"port": "health"}]}]


def test_metrics_can_be_left_to_some_while_reports_come_from_all(helm: charts.Helm) -> None:
    release = helm.render(charts.EVERYTHING)
    ingest, metrics = release.one("NetworkPolicy", "rollcall-api")["spec"]["ingress"]
    assert "from" not in ingest
    assert metrics["from"] == charts.EVERYTHING["networkPolicy"]["metricsFrom"]


def test_policies_name_ports_that_exist(helm: charts.Helm) -> None:
    release = helm.render()
    for body in release.of_kind("NetworkPolicy"):
        (name,) = _selected(release, body["spec"]["podSelector"])
        for rule in body["spec"]["ingress"]:
            for port in rule["ports"]:
                assert port["port"] in _ports(release, name)


def test_policies_can_be_left_out(helm: charts.Helm) -> None:
    assert not helm.render({"networkPolicy": {"enabled": False}}).of_kind("NetworkPolicy")


def test_the_service_monitor_finds_both_processes(helm: charts.Helm) -> None:
    release = helm.render(charts.EVERYTHING)
    (monitor,) = release.of_kind("ServiceMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    found = [
        service
        for service in release.of_kind("Service")
        if selector <= service["metadata"]["labels"].items()
    ]
    assert sorted(service["metadata"]["name"] for service in found) == [
        "rollcall-api-metrics",
        "rollcall-operator-metrics",
    ]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    for service in found:
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def _selected(release: charts.Release, selector: Object) -> list[str]:
    assert selector.keys() == {"matchLabels"}
    return release.selected(selector["matchLabels"])


def _ports(release: charts.Release, workload: str) -> dict[str, int]:
    container = release.pod(workload)["spec"]["containers"][0]
    return {port["name"]: port["containerPort"] for port in container["ports"]}

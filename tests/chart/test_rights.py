"""What the service accounts may do: exactly this, and nothing with Secrets of others."""

from typing import Any

from support import charts

Object = dict[str, Any]
Rights = dict[str, set[str]]

READ = {"get", "list", "watch"}
EVERYWHERE: dict[str, Rights] = {
    "rollcall-operator": {
        "rollcall.dev/trackedcronjobs": READ,
        "rollcall.dev/trackedcronjobs/status": {"patch"},
        "rollcall.dev/trackedcronjobs/finalizers": {"update"},
        "rollcall.dev/alertchannels": READ,
        "rollcall.dev/alertchannels/status": {"patch"},
        "batch/cronjobs": {*READ, "create", "patch"},
        "batch/cronjobs/status": {"patch"},
        "batch/jobs": READ,
        "pods": {*READ, "create", "patch"},
        "events": {"create", "list"},
        "namespaces": {"list", "watch"},
    },
    "rollcall-api": {
        "authentication.k8s.io/tokenreviews": {"create"},
        "pods": {"get"},
        "batch/jobs": {"get"},
        "batch/cronjobs": {"get"},
    },
    "rollcall-postgres": {},
}
AT_HOME: dict[str, Rights] = {
    "rollcall-operator": {
        "secrets": {"get"},
        "coordination.k8s.io/leases": {"create"},
        "coordination.k8s.io/leases=rollcall-operator": {"get", "update"},
    },
    "rollcall-api": {},
    "rollcall-postgres": {"secrets": {"create"}},
}


def test_each_service_account_may_do_exactly_this_everywhere(helm: charts.Helm) -> None:
    release = helm.render()
    for account, rights in EVERYWHERE.items():
        assert _rights(release, "ClusterRoleBinding", account) == rights


def test_each_service_account_may_do_exactly_this_in_its_own_namespace(helm: charts.Helm) -> None:
    release = helm.render()
    for account, rights in AT_HOME.items():
        assert _rights(release, "RoleBinding", account) == rights


def test_no_cluster_role_names_secrets_or_everything(release: charts.Release) -> None:
    for role in release.of_kind("ClusterRole", "Role"):
        for rule in role["rules"]:
            named = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in named, role["metadata"]["name"]
            assert role["kind"] == "Role" or "secrets" not in rule["resources"]


def test_pods_are_changed_only_where_there_is_a_fallback_image(helm: charts.Helm) -> None:
    release = helm.render({"sidecar": {"fallbackImage": ""}})
    assert _rights(release, "ClusterRoleBinding", "rollcall-operator")["pods"] == {*READ, "create"}


def test_every_pod_runs_as_an_account_of_the_release(release: charts.Release) -> None:
    accounts = {body["metadata"]["name"] for body in release.of_kind("ServiceAccount")}
    assert {template["spec"]["serviceAccountName"] for _, template in release.pods()} == accounts


def test_every_binding_binds_a_role_to_an_account_of_the_release(release: charts.Release) -> None:
    accounts = {body["metadata"]["name"] for body in release.of_kind("ServiceAccount")}
    for binding in release.of_kind("ClusterRoleBinding", "RoleBinding"):
        assert release.one(binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for subject in binding["subjects"]:
            assert subject["name"] in accounts
            assert subject["namespace"] == charts.NAMESPACE


def test_an_external_database_takes_the_account_of_postgres_away(helm: charts.Helm) -> None:
    release = helm.render(charts.EXTERNAL)
    assert not [body for body in release.objects if "postgres" in body["metadata"]["name"]]


def test_users_of_a_namespace_see_and_edit_its_jobs(helm: charts.Helm) -> None:
    release = helm.render()
    view = release.one("ClusterRole", "rollcall-view")
    edit = release.one("ClusterRole", "rollcall-edit")
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"
    assert view["metadata"]["labels"][f"{aggregate}view"] == "true"
    assert edit["metadata"]["labels"][f"{aggregate}edit"] == "true"
    assert _flat(view["rules"])["rollcall.dev/trackedcronjobs"] == READ
    assert _flat(edit["rules"]).keys() == {"rollcall.dev/trackedcronjobs"}  # no AlertChannels


def _rights(release: charts.Release, kind: str, account: str) -> Rights:
    rules: list[Object] = []
    for binding in release.of_kind(kind):
        if any(subject["name"] == account for subject in binding["subjects"]):
            role = release.one(binding["roleRef"]["kind"], binding["roleRef"]["name"])
            rules += role["rules"]
    return _flat(rules)


def _flat(rules: list[Object]) -> Rights:
    rights: Rights = {}
    for rule in rules:
        only = "".join(f"={name}" for name in rule.get("resourceNames", ()))
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                name = f"{group}/{resource}" if group else resource
                rights.setdefault(name + only, set()).update(rule["verbs"])
    return rights

"""The chart as a package: versions, definitions, notes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import rollcall
from support import charts

Object = dict[str, Any]

ABOUT = yaml.safe_load((charts.CHART / "Chart.yaml").read_text())


def test_helm_finds_nothing_to_complain_about(helm: charts.Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict")


def test_the_chart_is_of_the_same_version_as_the_program() -> None:
    assert ABOUT["appVersion"] == ABOUT["version"] == rollcall.__version__


@pytest.mark.parametrize("version", ["1.33.0", "1.33.4-gke.1134000", "1.36.3", "1.40.0"])
def test_clusters_from_1_33_on_are_accepted(helm: charts.Helm, version: str) -> None:
    assert helm.render(kubernetes=version).objects


def test_older_clusters_are_refused(helm: charts.Helm) -> None:
    with pytest.raises(charts.HelmError, match=re.escape("1.33.0")):
        helm.render(kubernetes="1.32.9")


def test_rendering_twice_gives_the_same(helm: charts.Helm) -> None:
    assert helm.render() == helm.render()


def test_definitions_are_those_of_the_repository_and_are_kept(helm: charts.Helm) -> None:
    source = [yaml.safe_load(path.read_text()) for path in (charts.ROOT / "crds").glob("*.yaml")]
    wanted = {body["metadata"]["name"]: body["spec"] for body in source}
    rendered = helm.render().of_kind("CustomResourceDefinition")
    assert {body["metadata"]["name"]: body["spec"] for body in rendered} == wanted
    for body in rendered:
        assert body["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_definitions_can_be_left_out(helm: charts.Helm) -> None:
    release = helm.render({"crds": {"install": False}})
    assert not release.of_kind("CustomResourceDefinition")


def test_the_chart_serves_as_a_part_of_another_one(helm: charts.Helm, tmp_path: Path) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts/rollcall").symlink_to(charts.CHART)
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: platform\nversion: 1.0.0\n")
    release = helm.render({"global": {"region": "east"}}, chart=tmp_path)
    assert release.pod("rollcall-operator")


@pytest.mark.parametrize("values", charts.SETS.values(), ids=charts.SETS)
def test_the_notes_name_what_is_there(helm: charts.Helm, values: Object) -> None:
    notes, release = _notes(helm, values), helm.render(values)
    for name in re.findall(r"rollout status deployment/(\S+)", notes):
        assert release.one("Deployment", name)
    assert ("data-rollcall-postgres-0" in notes) == bool(release.of_kind("StatefulSet"))
    assert ("NetworkPolicies" in notes) == bool(release.of_kind("NetworkPolicy"))


def test_the_notes_can_be_pasted(helm: charts.Helm) -> None:
    blocks = re.findall(r"<<'YAML'\n(.*?)\n *YAML\n", _notes(helm, {}), flags=re.DOTALL)
    bodies = [yaml.safe_load(block) for block in blocks]
    assert [body["kind"] for body in bodies] == ["TrackedCronJob", "AlertChannel"]
    definitions = {
        body["spec"]["names"]["kind"]: body["spec"]
        for body in helm.render().of_kind("CustomResourceDefinition")
    }
    for body in bodies:
        definition = definitions[body["kind"]]
        (version,) = definition["versions"]
        assert body["apiVersion"] == f"{definition['group']}/{version['name']}"
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        assert body["spec"].keys() <= spec["properties"].keys()
        assert set(spec.get("required", ())) <= body["spec"].keys()


def _notes(helm: charts.Helm, values: Object) -> str:
    text = helm.run("install", "rollcall", "--dry-run=client", values=values)
    return text.partition("\nNOTES:\n")[2]

"""Deployment scripts: how the chart is given images, and what is said when something is missing."""

import json
from pathlib import Path

import deploy
import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLCALL_CACHE", str(tmp_path))
    return tmp_path


def test_a_cluster_that_is_not_there_is_said_with_what_to_run(cache: Path) -> None:
    with pytest.raises(deploy.DeployError, match="run `python3 hack/cluster up east` first"):
        deploy.target("east")
    assert list(cache.iterdir()) == []


def test_images_that_are_not_there_are_said_with_what_to_run(cache: Path) -> None:
    with pytest.raises(deploy.DeployError, match="run `python3 hack/cluster images east` first"):
        deploy.images("east")
    assert list(cache.iterdir()) == []


def test_the_chart_gets_the_loaded_images_and_the_callers_options(cache: Path) -> None:
    _cluster(cache, helm='case "$*" in *status*) exit 1;; esac; echo "$@" >> "$0.calls"')
    deploy.deploy(deploy.target("east"), ["--set=operator.replicas=1"])
    call = (cache / "helm.calls").read_text()
    assert "upgrade --install rollcall" in call
    assert "--set-string=image.operator.repository=localhost:5000/a/operator" in call
    assert "--set-string=image.operator.tag=dev-1" in call
    assert call.endswith("--set=operator.replicas=1\n")


@pytest.mark.parametrize(
    ("status", "first"),
    [
        pytest.param("pending-install", "uninstall rollcall", id="interrupted install"),
        pytest.param("pending-upgrade", "rollback rollcall", id="interrupted upgrade"),
        pytest.param("deployed", "upgrade --install rollcall", id="nothing was interrupted"),
    ],
)
def test_what_an_interrupted_helm_left_is_ended_first(cache: Path, status: str, first: str) -> None:
    said = json.dumps({"info": {"status": status}})
    _cluster(
        cache, helm=f'case "$*" in *status*) echo \'{said}\'; exit;; esac; echo "$@" >> "$0.calls"'
    )
    deploy.deploy(deploy.target("east"))
    assert first in (cache / "helm.calls").read_text().splitlines()[0]


def test_a_failure_says_what_helm_said_and_what_the_pods_are_doing(cache: Path) -> None:
    _cluster(cache, helm="echo 'context deadline exceeded' >&2; exit 1")
    with pytest.raises(deploy.DeployError) as raised:
        deploy.deploy(deploy.target("east"))
    assert "context deadline exceeded" in str(raised.value)
    assert "rollcall-api-0 0/1" in str(raised.value)
    assert "the words of rollcall-api-0" in str(raised.value)
    assert "the words of rollcall-operator-0" not in str(raised.value)


def _cluster(cache: Path, *, helm: str) -> None:
    """Write what `hack/cluster` leaves for a cluster, with small programs of our own."""
    kubectl = """
    case "$*" in
      *"get pods"*) printf 'NAME READY\\nrollcall-api-0 0/1 x\\nrollcall-operator-0 1/1 x\\n';;
      *logs*) shift 4; echo "the words of $2";;
    esac"""
    for name, text in {"helm": helm, "kubectl": kubectl}.items():
        (cache / name).write_text(f"#!/bin/sh\n{text}\n")
        (cache / name).chmod(0o755)
    programs = {name: str(cache / name) for name in ("helm", "kubectl")}
    known = {"name": "east", "context": "kind-east", "kubeconfig": "k", "programs": programs}
    (cache / "cluster-east.json").write_text(json.dumps(known))
    references = {"operator": "localhost:5000/a/operator:dev-1"}
    (cache / "images-east.json").write_text(json.dumps(references))

"""Helm, found or named, and the chart rendered with sets of values."""

import os
import shutil

import pytest

from support import cache, charts


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> charts.Helm:
    """Find `$HELM`, one on PATH, or the one that `hack/cluster` keeps."""
    kept = cache.root() / "bin/helm"
    program = os.environ.get("HELM") or shutil.which("helm") or (str(kept) if kept.exists() else "")
    if not program:
        pytest.fail("there is no helm; run: python3 hack/cluster tools", pytrace=False)
    return charts.Helm(program=program, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session", params=sorted(charts.SETS))
def release(helm: charts.Helm, request: pytest.FixtureRequest) -> charts.Release:
    """Render the chart with one set of values after the other."""
    return helm.render(charts.SETS[request.param])

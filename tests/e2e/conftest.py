"""A real cluster with Rollcall installed, a namespace for each test and one receiver for all."""

import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rollcall.cluster import client
from rollcall.core import errors
from support import cache
from support import kube as kubes
from support import ledger as ledgers

ROOT = Path(__file__).parents[2]
TIMEOUT = 420  # seconds; a minute schedule needs a few slots
# Files whose cases wait for several slots, the longest first.
LONG = ("test_pauses.py", "test_quotas.py", "test_runs.py", "test_edits.py", "test_concurrency.py",
        "test_reports.py")  # fmt: skip
HERE = Path(__file__).parent
CHANNELS = "/apis/rollcall.dev/v1alpha1/alertchannels"
APPS = "apps/v1"
SERVICE = {"selector": {"app": "receiver"}, "ports": [{"port": 8080}]}
CHANNEL = {
    "webhook": {"url": "http://receiver.rollcall-e2e.svc:8080/"},
    # All tests share it, and each waits for messages of its own.
    "digest": "Never",
    "rateLimit": {"messages": 1000, "per": "1s"},
    "namespaceSelector": {"matchLabels": kubes.MARK},
}
ADVICE = "run `make test`, or `python3 hack/deploy.py` for the cluster of E2E_CONTEXT"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each case here the time that minute schedules need, and begin with the long ones.

    A worker of pytest-xdist gets two cases at first: a long one and a short one.
    """
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT))
    long = [item for name in LONG for item in ours if item.path.name == name]
    short = [item for item in ours if item.path.name not in LONG]
    others = [item for item in items if HERE not in item.path.parents]
    pairs = itertools.zip_longest(long, short)
    items[:] = [*others, *(item for pair in pairs for item in pair if item)]


@pytest.fixture(scope="session", autouse=True)
def kubeconfig() -> Iterator[None]:
    """Use the kubeconfig of the cluster's record, if `hack` made the cluster."""
    with pytest.MonkeyPatch.context() as patch:
        record = cache.cluster(kubes.CONTEXT)
        if record.exists():
            patch.setenv("KUBECONFIG", json.loads(record.read_text())["kubeconfig"])
        # The client reads the variable when it is imported.
        patch.setattr(
            "kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION",
            os.environ.get("KUBECONFIG", "~/.kube/config"),
        )
        yield


@pytest.fixture(scope="session")
def ledger(kubeconfig: None) -> Iterator[ledgers.Ledger]:
    """Return the ledger as it lies in Postgres."""
    del kubeconfig  # it must be there first
    found = ledgers.Ledger()
    yield found
    found.close()


@pytest.fixture
async def kube() -> AsyncIterator[client.KubeClient]:
    """Return a client with a developer's rights."""
    try:
        connected = await client.KubeClient.connect(context=kubes.CONTEXT)
    except Exception as error:  # noqa: BLE001 - whatever it is, the advice is the same
        pytest.fail(f"no cluster at context {kubes.CONTEXT}: {error}\n{ADVICE}")
    async with connected:
        yield connected


@pytest.fixture
async def image(kube: client.KubeClient) -> str:
    """Return the image of the installed operator; it has python3 and sh."""
    path = f"/apis/apps/v1/namespaces/{kubes.SYSTEM}/deployments/rollcall-operator"
    try:
        deployment = await kube.get(path)
    except (errors.NotFound, errors.ClusterUnavailable) as error:
        pytest.fail(f"Rollcall is not installed at {kubes.CONTEXT}: {error}\n{ADVICE}")
    found: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


@pytest.fixture
async def receiver(kube: client.KubeClient, image: str) -> kubes.Receiver:
    """Return the one receiver of all tests, with its channel for namespaces that are marked."""
    place = kubes.Place(kube=kube, name="rollcall-e2e", image=image)
    script = (ROOT / "demo/receiver/receiver.py").read_text()
    for at, version, kind, name, rest in (
        (kubes.NAMESPACES, "v1", "Namespace", place.name, {}),
        (
            place.core("configmaps"),
            "v1",
            "ConfigMap",
            "receiver",
            {"data": {"receiver.py": script}},
        ),
        (place.core("services"), "v1", "Service", "receiver", {"spec": SERVICE}),
        (place.group(APPS, "deployments"), APPS, "Deployment", "receiver", _deployment(image)),
        (CHANNELS, "rollcall.dev/v1alpha1", "AlertChannel", "e2e", {"spec": CHANNEL}),
    ):
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}
        await kube.apply(f"{at}/{name}", body, manager="e2e")
    found = kubes.Receiver(kube=kube, namespace=place.name)
    await kubes.eventually(found.all, 90, what="the receiver answers", good=lambda _: True)
    return found


@pytest.fixture
async def namespace(kube: client.KubeClient, image: str) -> AsyncIterator[kubes.Place]:
    """Return a namespace of the test's own, whose alerts go to the receiver."""
    async with kubes.own(kube, image) as place:
        yield place


@pytest.fixture
async def walled(kube: client.KubeClient, image: str) -> AsyncIterator[kubes.Place]:
    """Return a second namespace, in which a quota refuses all Jobs."""
    async with kubes.own(kube, image) as place:
        await place.forbid("count/jobs.batch")
        yield place


def _deployment(image: str) -> kubes.Object:
    labels = {"app": "receiver"}
    container = {
        "name": "receiver",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/receiver/receiver.py"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "script", "mountPath": "/receiver", "readOnly": True}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "script", "configMap": {"name": "receiver"}}],
    }
    return {
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # it keeps the alerts in memory
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
    }

"""One kind cluster: its creation, whether it answers, and its end.

A cluster that answers is used again. One that does not (its node was stopped, its creation was
interrupted) is made anew, and the run says so.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster import cachedir, engines, programs, steps, toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATE_ADVICE = (
    "run this again; if it fails in the same way, read the log above and look at "
    "`python3 hack/cluster status`; a cluster needs 2 GB of free memory"
)
# The node's own start takes 20 s on two cores; a machine busy with other things needs longer.
READY_SECONDS = 180
# How long a running cluster of an earlier run gets to answer before it counts as broken.
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster by name, on the engine that holds it."""

    name: str
    engine: engines.Engine

    @property
    def context(self) -> str:
        return f"kind-{self.name}"

    @property
    def node(self) -> str:
        return f"{self.name}-control-plane"

    def kind(self, *arguments: str) -> list[str]:
        return [str(toolbox.path(toolbox.KIND)), *arguments, "--name", self.name]

    def kubectl(self, *arguments: str) -> list[str]:
        program = str(toolbox.path(toolbox.KUBECTL))
        kubeconfig = str(cachedir.kubeconfig(self.name))
        return [program, "--kubeconfig", kubeconfig, "--context", self.context, *arguments]


def recorded(name: str) -> Cluster | None:
    """Return the cluster of that name as an earlier run left it on record."""
    try:
        record = json.loads(cachedir.cluster_record(name).read_text())
        engine = engines.restore(
            record["engine"], pulls=record["pulls"], settings=record["settings"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Cluster(name=name, engine=engine)


def all_recorded() -> list[Cluster]:
    names = [file.stem.removeprefix("cluster-") for file in cachedir.root().glob("cluster-*.json")]
    return [found for name in sorted(names) if (found := recorded(name))]


def exists(cluster: Cluster) -> bool:
    return (
        cluster.engine.ask("container", "inspect", "--format", "{{.Id}}", cluster.node) is not None
    )


def answers(cluster: Cluster) -> bool:
    """Whether the API server, the node and the cluster's DNS are ready."""
    quick = "--request-timeout=5s"
    ready = programs.ask(cluster.kubectl("get", "--raw", "/readyz", quick))
    status = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    nodes = programs.ask(cluster.kubectl("get", "nodes", quick, "-o", status))
    replicas = "jsonpath={.status.availableReplicas}"
    names = ("-n", "kube-system", "get", "deployment/coredns", quick, "-o", replicas)
    serving = programs.ask(cluster.kubectl(*names))
    return ready == "ok" and (nodes or "").split() == ["True"] and serving not in {None, "", "0"}


def usable(cluster: Cluster) -> bool:
    """Whether an existing cluster answers, given a moment in case it is just starting."""
    if not cachedir.kubeconfig(cluster.name).is_file():
        return False
    end = time.monotonic() + ANSWER_SECONDS
    while not answers(cluster):
        if time.monotonic() > end or not _running(cluster):
            return False
        time.sleep(1)
    return True


def create(runner: steps.Runner, cluster: Cluster, image: str) -> None:
    """Create the cluster and wait until the first pod can start."""
    flavour = "published" if cluster.engine.pulls else "local"
    config = str(cachedir.DATA / f"kind-{flavour}.yaml")
    _record(cluster, image)
    with (
        runner.step(f"create cluster {cluster.name}", advice=CREATE_ADVICE) as step,
        _explained(step, cluster),
    ):
        step.run(
            cluster.kind("create", "cluster", "--retain", "--config", config, "--image", image),
            env=cluster.engine.environment,
            timeout=600,
        )
        text = step.output(cluster.kind("get", "kubeconfig"), env=cluster.engine.environment)
        cachedir.write(cachedir.kubeconfig(cluster.name), text, mode=0o600)
    with (
        runner.step(f"wait for {cluster.name}", advice=CREATE_ADVICE) as step,
        _explained(step, cluster),
    ):
        _wait_ready(step, cluster)


def delete(runner: steps.Runner, cluster: Cluster) -> None:
    """Remove the cluster, its kubeconfig context and what this program noted about it."""
    advice = f"run `{cluster.engine.name} rm --force --volumes {cluster.node}`, then this again"
    with runner.step(f"delete cluster {cluster.name}", advice=advice) as step:
        cluster.engine.ask("kill", cluster.node)  # its own way down takes ten seconds
        step.run(cluster.kind("delete", "cluster"), env=cluster.engine.environment, timeout=120)
        for file in (cachedir.kubeconfig, cachedir.cluster_record):
            file(cluster.name).unlink(missing_ok=True)
        if not cluster.engine.pulls and not all_recorded():
            cluster.engine.ask("network", "rm", "kind")  # ours alone; refuses while in use


def _running(cluster: Cluster) -> bool:
    state = cluster.engine.ask(
        "container", "inspect", "--format", "{{.State.Running}}", cluster.node
    )
    return (state or "").strip() == "true"


def _record(cluster: Cluster, image: str) -> None:
    """Note how to reach the cluster, before it exists: then it can be removed in any state."""
    record = {
        "name": cluster.name,
        "context": cluster.context,
        "kubeconfig": str(cachedir.kubeconfig(cluster.name)),
        "node": cluster.node,
        "image": image,
        "engine": cluster.engine.name,
        "pulls": cluster.engine.pulls,
        "settings": cluster.engine.settings,
        "environment": cluster.engine.environment,
        "programs": {program.name: str(toolbox.path(program)) for program in toolbox.ALL},
    }
    cachedir.write(cachedir.cluster_record(cluster.name), json.dumps(record, indent=2) + "\n")


def _wait_ready(step: steps.Step, cluster: Cluster) -> None:
    limit = f"--timeout={READY_SECONDS}s"
    step.run(cluster.kubectl("wait", "node", "--all", "--for=condition=Ready", limit))
    step.run(cluster.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", limit))
    # kind returns before the controller has made it, and no pod starts without it.
    step.run(cluster.kubectl("wait", "serviceaccount/default", "--for=create", limit))


@contextlib.contextmanager
def _explained(step: steps.Step, cluster: Cluster) -> Iterator[None]:
    """On failure add the node's own last words to the log, for kind says only that it failed."""
    try:
        yield
    except steps.Failed as failed:
        script = "journalctl --no-pager -n 40 -u kubelet -u containerd; cat /kind/kubeadm.log"
        words = cluster.engine.ask("exec", cluster.node, "sh", "-c", script) or ""
        with step.log.open("a") as log:
            log.write(words)
        raise steps.Failed(
            failed.what, advice=failed.advice, log=step.log, tail=failed.tail
        ) from failed

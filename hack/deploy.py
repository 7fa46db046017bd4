"""Installs or upgrades the chart in a cluster of `hack/cluster`, with the images loaded there.

`deploy.py NAME [HELM OPTION]...`; it can be repeated, also after an interruption.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster import cachedir

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "rollcall"
NAMESPACE = "rollcall-system"
# Two replicas of each process and Postgres, started at once on a machine with two cores.
WAIT = "5m"


class DeployError(Exception):
    """What failed, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A cluster and the programs to reach it with."""

    name: str
    context: str
    kubeconfig: str
    programs: dict[str, str]

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Return what kubectl writes; raises DeployError with its words."""
        where = ["--kubeconfig", self.kubeconfig, "--context", self.context]
        return run([self.programs["kubectl"], *where, *arguments], text=text, check=check)

    def helm(self, *arguments: str, check: bool = True) -> str:
        """Return what helm writes; raises DeployError with its words."""
        where = ["--kubeconfig", self.kubeconfig, "--kube-context", self.context]
        return run([self.programs["helm"], *where, "-n", NAMESPACE, *arguments], check=check)


def target(name: str) -> Target:
    """Read how to reach a cluster; raises DeployError if there is none of that name."""
    known = _record(cachedir.cluster_record(name), f"run `python3 hack/cluster up {name}` first")
    fields = ("name", "context", "kubeconfig", "programs")
    return Target(**{field: known[field] for field in fields})


def images(name: str) -> dict[str, str]:
    """Read the references of the images loaded into a cluster."""
    path = cachedir.images_record(name)
    return _record(path, f"run `python3 hack/cluster images {name}` first")


def deploy(cluster: Target, options: Sequence[str] = ()) -> None:
    """Install or upgrade, and wait until everything is ready."""
    _free(cluster)
    values = [f"--set-string={value}" for value in _image_values(images(cluster.name))]
    chart = str(ROOT / "charts/rollcall")
    try:
        cluster.helm(
            "upgrade", "--install", RELEASE, chart, "--create-namespace",
            "--wait", "--timeout", WAIT, *values, *options,
        )  # fmt: skip
    except DeployError as error:
        raise DeployError(f"{error}\n\n{_what_is_there(cluster)}") from error


def run(command: Sequence[str], *, text: str | None = None, check: bool = True) -> str:
    """Return the output of a program; raises DeployError with what it says."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise DeployError(f"{' '.join(command[:12])} … failed:\n{said[-4000:]}")
    return done.stdout


def _image_values(references: dict[str, str]) -> list[str]:
    values = []
    for image, reference in sorted(references.items()):
        repository, tag = reference.rsplit(":", 1)
        values += [f"image.{image}.repository={repository}", f"image.{image}.tag={tag}"]
    return values


def _free(cluster: Target) -> None:
    """End what an interrupted helm left open: it refuses to go on by itself."""
    said = cluster.helm("status", RELEASE, "--output", "json", check=False)
    status = json.loads(said)["info"]["status"] if said else ""
    if status in {"pending-upgrade", "pending-rollback"}:
        cluster.helm("rollback", RELEASE)
    elif status in {"pending-install", "uninstalling"}:
        cluster.helm("uninstall", RELEASE, "--ignore-not-found")


def _what_is_there(cluster: Target) -> str:
    """Say what the pods are doing, and the last words of those that are not ready."""
    here = ("--namespace", NAMESPACE)
    pods = cluster.kubectl("get", "pods", *here, check=False)
    parts = [pods, cluster.kubectl("get", "events", *here, "--field-selector=type=Warning",
                                   "--sort-by=.lastTimestamp", check=False)[-3000:]]  # fmt: skip
    for row in pods.splitlines()[1:]:
        name, ready, *_ = row.split()
        if len(set(ready.split("/"))) > 1:
            logs = ("logs", name, *here, "--all-containers", "--tail=15", "--prefix")
            parts.append(cluster.kubectl(*logs, check=False))
    return "\n".join(parts)


def _record(path: Path, advice: str) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise DeployError(f"{path} does not exist: {advice}") from None
    return known


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", metavar="NAME")
    asked, options = parser.parse_known_args()
    started = time.monotonic()
    print(f"installing the chart in {asked.name}", flush=True)
    try:
        deploy(target(asked.name), options)
    except DeployError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"Rollcall is ready after {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

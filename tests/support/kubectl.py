"""The cluster's own command line, for what has no better way."""

import asyncio
import json
import os
import subprocess
from typing import Any

from support import cache
from support import kube as kubes


def record() -> dict[str, Any]:
    """Return how to reach the cluster and its node; empty for a cluster that is not of `hack`."""
    path = cache.cluster(kubes.CONTEXT)
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def command(*arguments: str) -> list[str]:
    """Return the command line of kubectl for the cluster under test."""
    known = record()
    program = known["programs"]["kubectl"] if known else "kubectl"
    where = ["--kubeconfig", known["kubeconfig"]] if known else []
    return [program, *where, "--context", kubes.CONTEXT, *arguments]


async def run(*arguments: str) -> str:
    """Return what kubectl writes, and fail with its words."""
    return await output(command(*arguments))


async def output(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Return what a program writes, and fail with its words."""
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=360,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout

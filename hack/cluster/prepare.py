"""Gets ready everything that a cluster is created from, in lanes side by side.

Kubernetes' programs take longest and have a lane of their own; the smaller programs and the
Debian parts fill the others. What the cluster does not wait for comes last in its lane.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from cluster import (
    cachedir,
    engines,
    gotools,
    hostpackages,
    lanes,
    nodeimage,
    rootfs,
    steps,
    toolbox,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# The release that our own Dockerfile starts from.
OWN_SUITE = "trixie"
GIB = 1024**3
# Measured from nothing: Go's caches 9 GiB, programs and root file systems 1 GiB, images 1.2 GiB.
SPACE_BYTES = 12 * GIB
# With the programs built: root file systems, images, and what their making takes for a while.
SPACE_WITH_PROGRAMS_BYTES = 4 * GIB


def run(runner: steps.Runner, engine: engines.Engine, create: Callable[[str], None]) -> None:
    """Prepare, then call `create` with the node image as early as possible."""
    engines.prepare_host()
    if engine.pulls:
        _tools(runner)
        create(versions.PUBLISHED_NODE_IMAGE)
        return
    if engine.has_image(nodeimage.reference()):
        hostpackages.install(runner)
        _tools(runner)
        create(nodeimage.reference())
        return
    runner.say("no image registry answers: the node image is built here, once")
    _enough_space()
    with lanes.Lanes(runner) as beside:
        _start(runner, engine, beside)
        create(nodeimage.build(runner, engine))


def _start(runner: steps.Runner, engine: engines.Engine, beside: lanes.Lanes) -> None:
    """Start all lanes and wait for what the node image is made of."""
    kubernetes = beside.lane(
        partial(gotools.build, runner, gotools.KUBERNETES),
        partial(toolbox.ensure, runner, toolbox.KUBECTL),
    )
    others = beside.lane(
        partial(toolbox.ensure, runner, toolbox.KIND),
        partial(gotools.build, runner, gotools.ETCD),
        partial(gotools.build, runner, gotools.COREDNS),
        partial(gotools.build, runner, gotools.LOCAL_PATH),
        partial(toolbox.ensure, runner, toolbox.HELM),
    )
    debian = beside.lane(
        partial(hostpackages.install, runner),
        partial(rootfs.ensure, runner, engine, nodeimage.SUITE),
        partial(rootfs.ensure, runner, engine, OWN_SUITE),
    )
    for needed in (*kubernetes, *others[:-1], *debian[:-1]):
        needed.result()


def _enough_space() -> None:
    built = gotools.KUBERNETES.home.is_dir()
    needed = SPACE_WITH_PROGRAMS_BYTES if built else SPACE_BYTES
    free = shutil.disk_usage(cachedir.root()).free
    if free < needed:
        raise steps.Failed(
            f"only {free / GIB:.1f} GiB are free at {cachedir.root()}",
            advice=f"free {needed / GIB:.0f} GiB, or point ROLLCALL_CACHE to another disk",
        )


def _tools(runner: steps.Runner) -> None:
    for program in toolbox.ALL:
        toolbox.ensure(runner, program)

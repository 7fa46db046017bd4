"""Commands: up, down, images, tools, kwok, status, prune-cache."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from cluster import (
    cachedir,
    cleanup,
    engines,
    images,
    kindcluster,
    nodeimage,
    prepare,
    steps,
    toolbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What kind accepts, and short enough for a host name together with `-control-plane`.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    runner = steps.Runner(logs=cachedir.root() / "logs")
    threading.Thread(target=runner.heartbeat, daemon=True).start()
    try:
        with cachedir.locked():
            options.work(runner, options)
    except steps.Failed as failed:
        print(f"\n{failed.report()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what is finished is kept, run it again to go on", file=sys.stderr)
        return 130
    finally:
        runner.stop()
    return 0


def up(runner: steps.Runner, options: argparse.Namespace) -> None:
    """Bring up a cluster, or find that it is up."""
    existing = kindcluster.recorded(options.name)
    if existing and _usable(runner, existing):
        runner.say(f"cluster {options.name} is up")
        return
    if existing and kindcluster.exists(existing):
        engine = existing.engine
    else:
        engine = engines.choose(nodeimage.reference())
    cluster = kindcluster.Cluster(name=options.name, engine=engine)
    prepare.run(runner, engine, partial(_create, runner, cluster))
    runner.say(f"cluster {options.name} is up: kubectl --context {cluster.context} get nodes")


def down(runner: steps.Runner, options: argparse.Namespace) -> None:
    """Remove a cluster and all that belongs to it; only the cache stays."""
    cluster = kindcluster.recorded(options.name)
    if cluster is None:
        runner.say(f"there is no cluster {options.name}")
        return
    toolbox.ensure(runner, toolbox.KIND)
    kindcluster.delete(runner, cluster)
    images.discard(cluster)


def provide_images(runner: steps.Runner, options: argparse.Namespace) -> None:
    """Build our images and load them into a cluster that is up."""
    cluster = kindcluster.recorded(options.name)
    if cluster is None or not _usable(runner, cluster):
        raise steps.Failed(
            f"there is no cluster {options.name} that answers",
            advice=f"run `python3 hack/cluster up {options.name}` first",
        )
    references = images.provide(runner, cluster)
    print(json.dumps(references, indent=2))


def tools(runner: steps.Runner, _: argparse.Namespace) -> None:
    """Find or build kind, kubectl and helm."""
    for program in toolbox.ALL:
        print(toolbox.ensure(runner, program))


def kwok(runner: steps.Runner, _: argparse.Namespace) -> None:
    """Find or build kwok, which plays nodes for `make bench`."""
    print(toolbox.ensure(runner, toolbox.KWOK))


def status(runner: steps.Runner, _: argparse.Namespace) -> None:
    """Say what is there: programs, node image, clusters."""
    print(f"cache       {cachedir.root()}")
    print(f"logs        {runner.logs}")
    for program in toolbox.ALL:
        link = toolbox.path(program)
        print(f"{program.name:<11} {link.resolve() if link.exists() else 'not yet'}")
    built = engines.podman().has_image(nodeimage.reference())
    print(f"node image  {nodeimage.reference()}{'' if built else ' (not built)'}")
    for cluster in kindcluster.all_recorded():
        state = "answers" if kindcluster.answers(cluster) else "does not answer"
        print(f"cluster     {cluster.name} on {cluster.engine.name}: {state}")


def prune(runner: steps.Runner, options: argparse.Namespace) -> None:
    """Remove what older recipes left in the cache."""
    cleanup.run(runner, everything=options.all)


_COMMANDS: dict[str, Callable[[steps.Runner, argparse.Namespace], None]] = {
    "up": up,
    "down": down,
    "images": provide_images,
    "tools": tools,
    "kwok": kwok,
    "status": status,
    "prune-cache": prune,
}


def _usable(runner: steps.Runner, cluster: kindcluster.Cluster) -> bool:
    """Tell whether an existing cluster answers; asking takes the programs."""
    for program in toolbox.ALL:
        toolbox.ensure(runner, program)
    return kindcluster.usable(cluster)


def _create(runner: steps.Runner, cluster: kindcluster.Cluster, image: str) -> None:
    if kindcluster.exists(cluster):
        runner.say(f"cluster {cluster.name} exists but does not answer: it is made anew")
        kindcluster.delete(runner, cluster)
    kindcluster.create(runner, cluster, image)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, work in _COMMANDS.items():
        command = commands.add_parser(name, help=work.__doc__)
        command.set_defaults(work=work)
        if work in {up, down, provide_images}:
            command.add_argument("name", type=_cluster_name, metavar="NAME")
        if work is prune:
            command.add_argument("--all", action="store_true", help="also what is not stale")
    return parser


def _cluster_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("use small letters, digits and dashes")
    return text

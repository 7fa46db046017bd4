"""Packages of the distribution that building and running a node image needs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from cluster import programs, steps

if TYPE_CHECKING:
    from collections.abc import Iterable

# podman with the runtime and network programs it does not insist on; debootstrap for the root
# file systems; the compiler for the pause program.
WANTED = (
    "podman", "runc", "netavark", "aardvark-dns", "iptables", "debootstrap", "gcc", "libc6-dev",
)  # fmt: skip


def parse_installed(listing: str) -> set[str]:
    """Names from `dpkg-query` lines `package status` whose status is `installed`."""
    rows = (line.split() for line in listing.splitlines())
    return {row[0] for row in rows if len(row) == 2 and row[1] == "installed"}


def missing(wanted: Iterable[str] = WANTED) -> list[str]:
    # Not `ask`: dpkg-query answers for the known names and fails because of the others.
    names = list(wanted)
    listing = programs.ask(
        [
            "sh",
            "-c",
            'dpkg-query -W -f "\\${Package} \\${db:Status-Status}\\n" "$@" || :',
            "-",
            *names,
        ]
    )
    installed = parse_installed(listing or "")
    return [name for name in names if name not in installed]


def install(runner: steps.Runner) -> None:
    """Install what is missing; as root on a Debian-like machine only."""
    names = missing()
    command = f"apt-get update && apt-get install --no-install-recommends {' '.join(names)}"
    if os.geteuid() != 0:
        wish = f" and these packages: {command}" if names else ""
        raise steps.Failed(
            "no image registry answers, and only root can build and run a node image here",
            advice=f"run this as root{wish}; or give Docker or Podman access to a registry",
        )
    if not names:
        return
    if shutil.which("apt-get") is None:
        raise steps.Failed(
            f"this machine has no apt-get to install {', '.join(names)}",
            advice="install Docker or Podman with access to an image registry, then run this again",
        )
    with runner.step(f"host packages {' '.join(names)}", advice=f"try by hand: {command}") as step:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        step.run(["apt-get", *wait, "update"], env=quiet, attempts=3)
        step.run(
            ["apt-get", *wait, "install", "-y", "--no-install-recommends", *names],
            env=quiet,
            attempts=3,
        )

"""Debian root file systems by debootstrap: stand-ins for base images that cannot be pulled.

A root names no package source: builds on it get this machine's as a secret that leaves no trace.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cluster import aptsources, cachedir, engines, steps

# What slim base images leave out too; copyright notices stay.
_SLIM = """\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
"""
_SLIM_FOLDERS = ("usr/share/info", "usr/share/locale", "usr/share/man")
_LEFTOVERS = ("var/lib/apt/lists", "var/cache/apt", "var/log")

ADVICE = (
    "check that apt-get works on this machine (`apt-get update`), or name a Debian mirror in "
    "ROLLCALL_DEBIAN_MIRROR and ROLLCALL_DEBIAN_SECURITY_MIRROR; then run this again"
)


def reference(suite: str) -> str:
    """Name of the base image; another recipe makes another name."""
    return f"localhost/rollcall/debian:{suite}-{cachedir.recipe_key(Path(__file__))}"


def ensure(runner: steps.Runner, engine: engines.Engine, suite: str) -> str:
    """Make the base image of that Debian release unless it exists; its name."""
    name = reference(suite)
    if engine.has_image(name):
        return name
    with runner.step(f"base image of Debian {suite}", advice=ADVICE) as step:
        archive = cachedir.root() / "roots" / f"{name.rsplit(':', 1)[1]}.tar"
        if not archive.is_file():
            _bootstrap(step, suite, archive)
        step.run(
            ["podman", "import", "--change", 'CMD ["/bin/bash"]', str(archive), name],
            env=engine.environment,
        )
    return name


def _bootstrap(step: steps.Step, suite: str, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=archive.parent, prefix=".root.", ignore_cleanup_errors=True
    ) as folder:
        root = Path(folder) / "root"
        # Afresh each time: debootstrap does not go on where it was interrupted.
        script = 'rm -rf "$1" && exec debootstrap --variant=minbase "$2" "$1" "$3"'
        mirror = aptsources.mirrors().main
        # It mounts /proc in the new root; in a namespace of its own that ends with it, however
        # it ends.
        command = ["unshare", "--mount", "sh", "-c", script, "-", str(root), suite, mirror]
        step.run(command, timeout=1200, attempts=3)
        _slim(root)
        draft = Path(folder) / "root.tar"
        step.run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(draft), "."])
        draft.rename(archive)


def _slim(root: Path) -> None:
    rules = root / "etc/dpkg/dpkg.cfg.d/slim"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text(_SLIM)
    (root / "etc/apt/sources.list").write_text("")
    for name in (*_SLIM_FOLDERS, *_LEFTOVERS):
        _empty(root / name)
    for page in (root / "usr/share/doc").rglob("*"):
        if not page.is_dir() and page.name != "copyright":
            page.unlink()


def _empty(folder: Path) -> None:
    """Remove what is in a folder but not the folder: its mode and owner matter."""
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()

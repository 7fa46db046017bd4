"""Removes from the cache what no recipe of today makes, or all of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cluster import cachedir, engines, gotools, images, nodeimage, prepare, rootfs, steps, toolbox

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Everything built here bears it, intermediate layers included.
_LABEL = "label=dev.rollcall.build=true"


def run(runner: steps.Runner, *, everything: bool) -> None:
    """Remove stale entries; with `everything` also those that the next run would use.

    Layers of image builds go in either case: nothing tells the stale ones from the others.
    Clusters stay, with the images that they run.
    """
    advice = "stop what uses these files or images, then run this again"
    with runner.step("prune the cache", advice=advice):
        keep = set() if everything else _current_files()
        _remove(path for path in _cached_files() if path not in keep)
        _prune_images(engines.podman(), keep=set() if everything else _current_images())


def _current_files() -> set[Path]:
    roots = {
        cachedir.root() / "roots" / f"{rootfs.reference(suite).rsplit(':', 1)[1]}.tar"
        for suite in (nodeimage.SUITE, prepare.OWN_SUITE)
    }
    return {tool.home for tool in gotools.ALL} | roots


def _cached_files() -> list[Path]:
    return [path for name in ("tools", "roots") for path in (cachedir.root() / name).glob("*")]


def _current_images() -> set[str]:
    bases = {rootfs.reference(suite) for suite in (nodeimage.SUITE, prepare.OWN_SUITE)}
    newest = {f"{image.repository}:dev" for image in images.ALL}
    return {nodeimage.reference(), *bases, *newest}


def _prune_images(engine: engines.Engine, *, keep: set[str]) -> None:
    listed = engine.ask("images", "--format", "{{.Repository}}:{{.Tag}}") or ""
    ours = {name for name in listed.split() if name.startswith("localhost/rollcall/")}
    engine.remove_images(*sorted(ours - keep - images.in_use()))
    engine.ask("image", "prune", "--force", "--filter", _LABEL, timeout=300)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for program in (*toolbox.ALL, toolbox.KWOK):
        link = toolbox.path(program)
        if link.is_symlink() and not link.exists():
            link.unlink()

"""kind, kubectl, helm and kwok: those on PATH if their versions fit, else built from Go modules.

The chosen ones are linked in `<cache>/bin`, so that scripts and tests have one place to look.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import cachedir, gotools, programs, steps, versions

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command that people may have already, how to ask for its version, and how to build it."""

    name: str
    ask: tuple[str, ...]
    fits: Callable[[tuple[int, ...]], bool]
    tool: gotools.Tool


KIND = Program(name="kind", ask=("version",), fits=versions.kind_fits, tool=gotools.KIND)
HELM = Program(name="helm", ask=("version", "--short"), fits=versions.helm_fits, tool=gotools.HELM)
KUBECTL = Program(
    name="kubectl",
    ask=("version", "--client"),
    fits=versions.kubectl_fits,
    tool=gotools.KUBECTL,
)
ALL = (KIND, KUBECTL, HELM)
# Only `make bench` needs it: nodes without machines.
KWOK = Program(name="kwok", ask=("--version",), fits=versions.kwok_fits, tool=gotools.KWOK)


def folder() -> Path:
    return cachedir.root() / "bin"


def path(program: Program) -> Path:
    return folder() / program.name


def ensure(runner: steps.Runner, program: Program) -> Path:
    """Path of a fitting program, found or built now."""
    link = path(program)
    if not link.exists():
        found = _on_path(program) or _built(program)
        _link(link, found or gotools.build(runner, program.tool) / program.name)
    elif not _fits(program, link):
        link.unlink()
        return ensure(runner, program)
    return link


def _built(program: Program) -> Path | None:
    """Find a finished build that also holds this program."""
    for tool in (program.tool, gotools.KUBERNETES):
        if tool.program(program.name).is_file():
            return tool.program(program.name)
    return None


def _on_path(program: Program) -> Path | None:
    own = str(folder())
    places = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each != own]
    found = shutil.which(program.name, path=os.pathsep.join(places))
    return Path(found) if found and _fits(program, Path(found)) else None


def _fits(program: Program, candidate: Path) -> bool:
    return program.fits(versions.parse(programs.ask([str(candidate), *program.ask]) or ""))


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)

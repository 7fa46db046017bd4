"""The container engine that holds the clusters: Docker or Podman, spoken to in one way.

The published node image decides: an engine that has it or can pull it is used as it is. Otherwise
everything is built here with Podman, under settings of our own that leave the user's alone.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import cachedir, programs, versions

if TYPE_CHECKING:
    from collections.abc import Mapping

# A registry that does not answer within this time will not deliver a gigabyte either.
PROBE_SECONDS = 8.0
# More processes than this are refused by hosts whose own limit is the kernel's default.
MOST_PROCESSES = 32768
# The kernel's own ceiling (fs.nr_open) where nobody changed it.
MOST_FILES = 1048576
# Both versions of control groups at once, which podman's usual runtime refuses.
_HYBRID_CGROUPS = Path("/sys/fs/cgroup/unified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine, and whether it gets images from registries."""

    name: str
    pulls: bool
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What kind and the engine's own command need to know."""
        return {"KIND_EXPERIMENTAL_PROVIDER": self.name, **self.settings}

    def ask(self, *arguments: str, timeout: float = 30.0) -> str | None:
        return programs.ask([self.name, *arguments], env=self.environment, timeout=timeout)

    def has_image(self, reference: str) -> bool:
        return self.image_id(reference) is not None

    def image_id(self, reference: str) -> str | None:
        answer = self.ask("image", "inspect", "--format", "{{.Id}}", reference)
        return answer.strip() if answer else None

    def image_size(self, reference: str) -> str:
        """Say how much room an image takes, unpacked: `25.8 MB`."""
        return megabytes(self.ask("image", "inspect", "--format", "{{.Size}}", reference))

    def remove_images(self, *references: str) -> None:
        """Remove those of the images that exist; one in use by a container stays."""
        for reference in references:
            self.ask("image", "rm", reference, timeout=120)


def megabytes(answer: str | None) -> str:
    """Write the bytes that an engine names the way people say them."""
    try:
        return f"{int(answer or '') / 1e6:.1f} MB"
    except ValueError:
        return "of unknown size"


def podman(*, pulls: bool = False) -> Engine:
    """Podman under our own settings."""
    file = cachedir.root() / "containers.conf"
    text = containers_conf((cachedir.DATA / "containers.conf").read_text(), _limits())
    if not file.exists() or file.read_text() != text:
        cachedir.write(file, text)
    return Engine(name="podman", pulls=pulls, settings={"CONTAINERS_CONF": str(file)})


def containers_conf(template: str, limits: Mapping[str, int]) -> str:
    for name, value in limits.items():
        template = template.replace(f"@{name}@", str(value))
    return template


def choose(local_image: str) -> Engine:
    """Choose the engine for a new cluster. A node image that was built here needs no registry."""
    own = podman()
    if own.has_image(local_image):
        return own
    found = Engine(name="podman", pulls=True)
    if _HYBRID_CGROUPS.is_dir():
        found = podman(pulls=True)  # as it comes, it starts nothing there
    for engine in (Engine(name="docker", pulls=True), found):
        if engine.ask("info", timeout=PROBE_SECONDS) is not None and _can_pull(engine):
            return engine
    return own


def restore(name: str, *, pulls: bool, settings: dict[str, str]) -> Engine:
    """Return the engine that an existing cluster was made with."""
    if settings:
        podman()  # its file may have gone with the cache
    return Engine(name=name, pulls=pulls, settings=settings)


def prepare_host() -> None:
    """Make the folder that kind mounts into its nodes; a kernel without modules has none."""
    if os.geteuid() == 0:
        Path("/lib/modules").mkdir(parents=True, exist_ok=True)


def _can_pull(engine: Engine) -> bool:
    image = versions.PUBLISHED_NODE_IMAGE
    if engine.has_image(image):
        return True
    return engine.ask("manifest", "inspect", image, timeout=PROBE_SECONDS) is not None


def _limits() -> dict[str, int]:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    _, processes = resource.getrlimit(resource.RLIMIT_NPROC)
    return {"NOFILE": _at_most(MOST_FILES, files), "NPROC": _at_most(MOST_PROCESSES, processes)}


def _at_most(ceiling: int, limit: int) -> int:
    return ceiling if limit == resource.RLIM_INFINITY else min(limit, ceiling)

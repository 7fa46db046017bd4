"""Writes container images made of plain files, in the archive form that every engine imports.

For the control plane's programs: each is one static binary, which needs no engine to be packed.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# A constant, so that the same programs make the same image.
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of one layer: paths below its root and the files that go there, all executable."""

    reference: str
    files: dict[str, Path]
    entrypoint: tuple[str, ...]
    path: str = "/usr/local/bin"
    user: str = ""  # empty: root


def architecture(machine: str | None = None) -> str:
    """Return the name that images use for this machine's processor."""
    name = machine or platform.machine()
    return _ARCHITECTURES.get(name, name)


def write(images: Iterable[Image], target: IO[bytes]) -> None:
    """One archive of all the images, as `docker save` would write it."""
    manifest = []
    with tarfile.open(fileobj=target, mode="w|") as archive:
        for image in images:
            layer = _layer(image)
            digest = hashlib.sha256(layer).hexdigest()
            config = json.dumps(_config(image, digest), sort_keys=True).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, f"{digest}/layer.tar", layer)
            _add(archive, config_name, config)
            manifest.append(
                {
                    "Config": config_name,
                    "RepoTags": [image.reference],
                    "Layers": [f"{digest}/layer.tar"],
                }
            )
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _config(image: Image, layer_digest: str) -> dict[str, object]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": _EPOCH,
        "config": {
            "Env": [f"PATH={image.path}"],
            "Entrypoint": list(image.entrypoint),
            "User": image.user,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": _EPOCH}],
    }


def _layer(image: Image) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder in sorted(_folders(image.files)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(entry)
        for name, file in sorted(image.files.items()):
            _add(layer, name, file.read_bytes(), mode=0o755)
    return buffer.getvalue()


def _folders(names: Iterable[str]) -> set[str]:
    """Every parent of the names; `tmp` because some programs expect one."""
    folders = {"tmp"}
    for name in names:
        parts = name.split("/")[:-1]
        folders |= {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
    return folders


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))

"""The one directory that outlives a cluster, and the lock that keeps two runs from sharing it.

Everything below it is either complete or absent: makers write beside the final name and rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DATA = Path(__file__).resolve().parent / "data"


def root() -> Path:
    """`$ROLLCALL_CACHE`, else `rollcall` below the user's cache directory."""
    own = os.environ.get("ROLLCALL_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "rollcall"


def kubeconfig(name: str) -> Path:
    return root() / f"kubeconfig-{name}"


def cluster_record(name: str) -> Path:
    return root() / f"cluster-{name}.json"


def images_record(name: str) -> Path:
    return root() / f"images-{name}.json"


def recipe_key(*parts: str | Path) -> str:
    """Twelve hex digits that change when a text or the content of a file changes."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:12]


def tree_files(folder: Path) -> Iterable[Path]:
    """List every file below `folder` that counts as source, in a stable order."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )


def tree_key(base: Path, paths: Iterable[Path]) -> str:
    """Make a key over names, modes and contents of files and folders, named relative to `base`."""
    parts: list[str | Path] = []
    for path in paths:
        for file in tree_files(path) if path.is_dir() else [path]:
            executable = os.access(file, os.X_OK)
            parts += [f"{file.relative_to(base)} {executable}", file]
    return recipe_key(*parts)


@contextlib.contextmanager
def taking_shape(final: Path) -> Iterator[Path]:
    """Yield a fresh directory; rename it to `final` if the block ends well, else remove it."""
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    draft.chmod(0o755)
    try:
        yield draft
        if final.exists():
            shutil.rmtree(final)
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file in one step, so that a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(draft).chmod(mode)
    Path(draft).replace(path)


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the cache for this process; wait, and say so, while another run holds it."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another run works in {root()}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        remove_drafts()
        yield


def remove_drafts() -> None:
    """Remove what a killed run left half made. Only for the holder of the lock."""
    for folder in (root(), root() / "tools", root() / "roots"):
        for draft in folder.glob(".*"):
            if draft.is_dir() and not draft.is_symlink():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)

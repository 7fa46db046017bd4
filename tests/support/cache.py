"""What `hack/cluster` keeps: its programs, and how to reach its clusters."""

import os
from pathlib import Path


def root() -> Path:
    """Return the directory, found as `hack/cluster` finds it."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ROLLCALL_CACHE") or f"{base}/rollcall").expanduser()


def cluster(context: str) -> Path:
    """Return the file that says how to reach the cluster of a context, if `hack` made it."""
    return root() / f"cluster-{context.removeprefix('kind-')}.json"

"""What a run ran with, and what changed since the last success, as `executions show` shows it."""

from collections.abc import Iterator
from typing import Any

from rollcall.core import changes, setups


def as_json(pair: setups.Pair | None) -> dict[str, Any]:
    """Return it as fields of the execution, absent ones as None."""
    run = pair.run if pair else None
    compared = changes.compare(pair) if pair else None
    return {
        "template": run.template_hash if run else None,
        "images": run.images if run else None,
        "imageIDs": (run.image_ids or None) if run else None,
        "nodes": (run.nodes or None) if run else None,
        "changes": changes.told(compared) if compared else None,
    }


def rows(pair: setups.Pair | None) -> Iterator[tuple[str, str]]:
    """Yield what there is, as lines of a table."""
    found = as_json(pair)
    for name in ("images", "imageIDs"):
        if found[name]:
            yield name, " ".join(f"{container}={one}" for container, one in found[name].items())
    if found["nodes"]:
        yield "nodes", " ".join(found["nodes"])
    if found["changes"]:
        since = found["changes"]["since"]
        yield "changed", f"{found['changes']['text']} (since {since['id']})"

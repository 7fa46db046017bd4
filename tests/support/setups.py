"""What runs ran with: one container, one pod, all of it known. Say only what matters."""

from datetime import timedelta
from typing import Any

from rollcall.core import changes, setups
from support import builders

REPOSITORY = "registry.test/shop/app"
A, B = "a" * 64, "b" * 64
IMAGES = {"app": f"{REPOSITORY}:1.2"}
PARTS = {"app/env": "11111111", "app/args": "22222222", "volumes": "33333333"}
RHYTHM = setups.Rhythm(schedule="0 2 * * *", time_zone="Etc/UTC", concurrency="Allow")


def pod(node: str | None = "n1", *, ended_well: bool = True, **ids: str) -> setups.Pod:
    """Build a pod; `ids` are of images, by container."""
    return setups.Pod(ended_well=ended_well, node=node, image_ids=ids)


def setup(**changed: Any) -> setups.Setup:  # noqa: ANN401 - the fields of a setup
    """Build what a run ran with that began at 12:00 and took a minute."""
    run = builders.execution()
    known: dict[str, Any] = {
        "run_id": run.id,
        "slot_at": run.slot_at,
        "trigger": run.trigger,
        "ended_at": run.slot_at + timedelta(minutes=1),
        "template_hash": "one",
        "version": 1,
        "images": IMAGES,
        "parts": PARTS,
        "pods": [pod(app=f"{REPOSITORY}@sha256:{A}")],
        "rhythm": RHYTHM,
    }
    return setups.Setup(**known | changed)


def of_other(**changed: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what differs in a run whose Job was made from another template."""
    return {"template_hash": "two", **changed}


def compare(after: dict[str, Any], before: dict[str, Any] | None = None) -> changes.Comparison:
    """Compare two runs; fails if nothing is known."""
    compared = changes.compare(setups.Pair(run=setup(**after), success=setup(**before or {})))
    assert compared
    return compared


def changed() -> dict[str, Any]:
    """Build what a message says of a run with a new tag and other environment variables."""
    images, parts = {"app": f"{REPOSITORY}:1.3"}, PARTS | {"app/env": "9"}
    return changes.told(compare(of_other(images=images, parts=parts)))

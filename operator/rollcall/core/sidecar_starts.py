"""Whether a sidecar that does not start keeps its pod from running, and for how long it may.

The rules:
- Only a trouble that the kubelet names of our own container counts. The user's images, volumes and
  init containers may be slow for as long as they like.
- A pull that goes on has no such name, and nobody can end it: it is only told, when it takes long.
- A pod in which a container of the user's has started is left as it is.
- Ages are the pod's own, by the API server's clock: who watches, and since when, does not matter.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollcall.core.upstream import IMAGE_ERRORS

PATIENCE = timedelta(seconds=60)  # since the node got the pod: a registry may only be slow
TRIES = timedelta(seconds=20)  # since the node began with containers, after volumes and network
HANGING = timedelta(seconds=80)  # since then; a pull may still come to its end
PULLING = "Pulling"  # the kubelet's Event, while it pulls
_LONGEST = 1000  # characters of the kubelet's words

IMAGE_UNAVAILABLE = "ImageUnavailable"
CANNOT_START = "SidecarCannotStart"
UNAVAILABLE = frozenset({IMAGE_UNAVAILABLE, CANNOT_START})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How far our own container has come in a pod."""

    image: str | None  # that the pod names for it now
    scheduled_at: datetime | None  # None while no node has the pod
    began_at: datetime | None  # when volumes and network were there
    trouble: str | None  # the kubelet's word for why it does not run, such as ErrImagePull
    message: str | None  # what it says of that
    is_quiet: bool  # it waits, and the kubelet names no trouble
    ran_since: datetime | None
    is_over: bool  # the user's containers have started, or the pod has ended

    @property
    def blocks(self) -> bool:
        """Whether the user's containers wait for ours, and ours has a trouble."""
        return not self.is_over and self.trouble is not None

    @property
    def words(self) -> str:
        """The trouble in the kubelet's own words."""
        said = f"{self.trouble}: {self.message}" if self.message else str(self.trouble)
        return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def due(start: Start) -> datetime | None:
    """Say when a pod may no longer wait for us; None if it does not wait, or not for us."""
    if not start.blocks or start.scheduled_at is None:
        return None
    began_at = start.began_at or start.scheduled_at
    return max(start.scheduled_at + PATIENCE, began_at + TRIES)


def hangs(start: Start) -> datetime | None:
    """Say when to ask whether a pull hangs; None for a pod that does not wait for that."""
    is_asked = start.is_quiet and not start.is_over
    return start.began_at + HANGING if is_asked and start.began_at else None


def is_outdated(start: Start) -> bool:
    """Whether the trouble is another image's: while the next one is pulled, it is still told."""
    image, said = start.image, start.message
    is_images = reason(start.words) == IMAGE_UNAVAILABLE
    return bool(is_images and image and said and image not in said)


def reason(words: str) -> str:
    """Name a trouble, given in the kubelet's words, as `Reporting` does."""
    word = words.partition(":")[0]
    return IMAGE_UNAVAILABLE if word in {*IMAGE_ERRORS, PULLING} else CANNOT_START

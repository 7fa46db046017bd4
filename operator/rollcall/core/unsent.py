"""What a sidecar held when it ended, and whether it had arrived all the same.

An api that is slow may keep a report whose sidecar does not wait for the answer any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """Items by kind, none of them beyond the seq `through`."""

    counts: Mapping[str, int]
    through: int


def lost_after_all(
    lost: Mapping[str, int], unsent: Unsent | None, *, settled_seq: int, counted: Mapping[str, int]
) -> Mapping[str, int]:
    """Return what is lost, without the unsent if they are settled.

    What was counted once stays: by then the termination message's own items are settled, too.
    """
    is_counted = all(counted.get(kind, 0) >= count for kind, count in lost.items())
    if unsent is None or settled_seq < unsent.through or is_counted:
        return lost
    left = {kind: count - unsent.counts.get(kind, 0) for kind, count in lost.items()}
    return {kind: count for kind, count in left.items() if count}

"""What channels for people say of a digest, in plain words; each writes it in its own form.

The worst comes first, what is solved last. A text is bounded, and says how much it leaves out; the
document of a webhook is not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rollcall.core import messages
from rollcall.notify import wording

LONGEST_LINE = 200
REST = "and {} more: rollcall alerts list --since 24h"
_WORST_FIRST: Sequence[str] = ("critical", "warning", "info")
SOLVED = "solved"


def is_digest(payload: wording.Payload) -> bool:
    """Whether it tells of several incidents."""
    return bool(payload["type"] == messages.DIGEST)


def headline(payload: wording.Payload) -> str:
    """Say how many there are, and how bad: `12 alerts: 3 critical, 8 warning, 1 solved`."""
    own = wording.title(payload)
    if own:
        return own
    counts = Counter(map(_state, payload["incidents"]))
    parts = [f"{counts[one]} {one}" for one in (*_WORST_FIRST, SOLVED) if counts[one]]
    return f"{len(payload['incidents'])} alerts: {', '.join(parts)}"


def worst(payload: wording.Payload) -> str:
    """Return the severity that the whole has, or that all is solved."""
    states = set(map(_state, payload["incidents"]))
    return next((one for one in _WORST_FIRST if one in states), SOLVED)


def worst_first(payload: wording.Payload) -> list[Mapping[str, Any]]:
    """Return its items, each as a message of the cluster that the whole is of."""
    listed = sorted(payload["incidents"], key=_rank)
    return [{**item, "cluster": payload.get("cluster")} for item in listed]


def lines(payload: wording.Payload, *, most: int, longest: int) -> list[str]:
    """Return a line for each, at most so many and in all so many characters."""
    listed = worst_first(payload)
    kept: list[str] = []
    room = longest - len(REST) - len(str(len(listed))) - 1
    for line in map(_line, listed):
        room -= len(line) + 1
        if len(kept) == most or room < 0:
            break
        kept.append(line)
    left = len(listed) - len(kept)
    return [*kept, REST.format(left)] if left else kept


def footer(payload: wording.Payload) -> str:
    """Say who speaks, of which cluster."""
    return f"Rollcall in cluster {payload.get('cluster')}"


def _line(item: Mapping[str, Any]) -> str:
    words = " ".join(f"{wording.headline(item)}: {wording.story(item)}".split())
    return wording.cut(words, LONGEST_LINE)


def _state(item: Mapping[str, Any]) -> str:
    return SOLVED if wording.has_ended(item) else str(item["incident"]["severity"])


def _rank(item: Mapping[str, Any]) -> int:
    state = _state(item)
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)

"""Reading fields of objects that others wrote: a missing or wrong type reads as absent.

The API server validates what it stores, but a field may be absent, null or new to us; nothing that
an object says may end a handler.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 4096  # characters of a message: what Kubernetes keeps of a termination message
LONGEST_NAME = 256
LONGEST_LISTED = 1024  # characters of a message in a list


def mapping(parent: object, *path: str) -> Mapping[str, Any]:
    """Return the object at this path, empty if there is none."""
    value = parent
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(parent: object, *path: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of the list at this path."""
    value = mapping(parent, *path[:-1]).get(path[-1])
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))


def text(parent: object, *path: str) -> str | None:
    """Return the string at this path, None if it is absent or empty."""
    value = mapping(parent, *path[:-1]).get(path[-1])
    return clean(value, LONGEST_NAME) if isinstance(value, str) and value else None


def message(parent: object, *path: str) -> str | None:
    """Return the longer text at this path, fit for the store, None if it is absent or empty."""
    value = mapping(parent, *path[:-1]).get(path[-1])
    return clean(value, LONGEST) if isinstance(value, str) and value else None


def number(parent: object, *path: str) -> int | None:
    """Return the whole number at this path."""
    value = mapping(parent, *path[:-1]).get(path[-1])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def clean(value: str, longest: int = LONGEST) -> str:
    """Drop what Postgres cannot store and cut; the end is kept, as the end of a log tells most."""
    storable = value.replace("\x00", "").encode(errors="replace").decode()
    return storable if len(storable) <= longest else "…" + storable[1 - longest :]


def cut(message: str) -> str:
    """Shorten a message for a list; the beginning is kept."""
    return message if len(message) <= LONGEST_LISTED else message[: LONGEST_LISTED - 1] + "…"


def wanted_channels(tracked: object) -> tuple[str, ...]:
    """Return the channels that a job names, for its alerts or for steps of escalation."""
    alerts = mapping(tracked, "spec", "alerts")
    lists = [alerts.get("channels"), *(one.get("channels") for one in items(alerts, "escalation"))]
    named = [name for names in lists if isinstance(names, list) for name in names]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))

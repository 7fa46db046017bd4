"""How a command prints: rows as columns that line up, safe to show in a terminal."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from rollcall.services import paging

T = TypeVar("T")

_GAP = "  "


def show(lines: Iterable[str]) -> None:
    """Print them; who reads our output may stop early, as `head` does."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        # Else Python would try to write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_json(document: object) -> list[str]:
    """Write a document for programs, which people can read too, also in a terminal."""
    written = json.dumps(document, indent=2, ensure_ascii=False)
    return ["".join(one if one.isprintable() or one == "\n" else _escape(one) for one in written)]


def utc(at: datetime) -> str:
    """Write an instant in UTC, as Kubernetes does: RFC 3339, whole seconds."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def utc_if(at: datetime | None) -> str | None:
    """Write an instant that may not have come."""
    return utc(at) if at else None


def listed(
    page: paging.Page[T],
    form: str,
    *,
    fields: Callable[[T], object],
    header: Sequence[str],
    cells: Callable[[T], Sequence[str]],
    nothing: str,
) -> Sequence[str]:
    """Write a page as a table, or for programs if `form` is `json`; `nothing` where it is empty."""
    if form == "json":
        items = [fields(one) for one in page.items]
        return as_json({"items": items, "nextCursor": page.next_cursor})
    if not page.items:
        return (nothing,)
    return [*aligned([header, *map(cells, page.items)]), *more(page.next_cursor)]


def more(cursor: str | None) -> Iterator[str]:
    """Yield how to go on, where there is another page."""
    if cursor:
        yield f"more: --cursor {cursor}"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row, and one more for each further line of its last cell.

    Characters that a terminal would obey are written as escapes: programs choose what they say.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, last in rows:
        ahead = "".join(
            printable(cell).ljust(width) + _GAP
            for cell, width in zip(cells, widths, strict=False)  # all but the last column's
        )
        first, *others = last.splitlines() or [""]
        yield (ahead + printable(first)).rstrip()
        yield from (" " * len(ahead) + printable(line) for line in others)


def _escape(character: str) -> str:
    """Write a character, which is in a text, as JSON in ASCII does."""
    return json.dumps(character)[1:-1]


def printable(line: str) -> str:
    """Write what is no text, such as the escape sequences of terminals, in Python's notation."""
    expanded = line.expandtabs(4)
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in expanded)

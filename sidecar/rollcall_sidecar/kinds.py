"""What a program may report: the kinds, their fields, and what may stand in each.

The api holds every report to the same limits, and so do the database's columns; here they are
checked so that the program hears at once what is wrong. Pure: no input or output, no state.
"""

from __future__ import annotations

import json
import re

from rollcall_sidecar import bodies, refusals
from rollcall_sidecar.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Check = Callable[[str, Any], Any]

MOST_COUNTERS = 64
COUNTER_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
LETTER_ID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
LARGEST_DOCUMENT = 64 * 1024  # bytes of a checkpoint's value or a dead letter's payload
LARGEST_METADATA = 8 * 1024  # bytes
LONGEST_DELAY = 86400  # seconds
QUOTED = 60  # characters of an unknown name that are repeated
NUL_OR_BACKSLASH = r"(\\\\)|\\u0000"
SURROGATES = "[\ud800-\udfff]"
REPLACEMENT = "\ufffd"


class Kind(NamedTuple):
    """One kind of report."""

    name: str  # as the wire says it
    fields: Mapping[str, Check]
    required: tuple[str, ...] = ()  # each of these
    defaults: Mapping[str, Any] = {}


def check(path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were given, sound; raises Refused naming the first that is not."""
    kind = KINDS[path]
    unknown = [name for name in given if name not in kind.fields]
    if unknown:
        raise refusals.unfit(f"{path} knows no {unknown[0][:QUOTED]!r}. {_known(path)}")
    stated = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in kind.required if stated.get(name, "") == ""]
    if missing or not stated:
        what = f"{missing[0]} is missing" if missing else "nothing was said"
        raise refusals.unfit(f"POST {path}: {what}. {_known(path)}")
    checked = {name: kind.fields[name](name, value) for name, value in stated.items()}
    return {**kind.defaults, **checked}


def encode(content: Mapping[str, Any]) -> bytes:
    """Write JSON that PostgreSQL can keep: NUL and half characters become U+FFFD."""
    return _compact(content).encode()


def _known(path: str) -> str:
    kind = KINDS[path]
    names = [f"{name} (required)" if name in kind.required else name for name in kind.fields]
    return f"Its fields: {', '.join(names)}."


def _compact(value: Any) -> str:  # noqa: ANN401 - JSON may be anything
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = re.sub(NUL_OR_BACKSLASH, lambda match: match[1] or REPLACEMENT, text)
    return re.sub(SURROGATES, REPLACEMENT, text)


def _text(most: int) -> Check:
    def checked(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise refusals.unfit(f"{name} is a text of at most {most:,} characters.")
        if len(value) > most:
            raise refusals.too_large(
                f"{name} has at most {most:,} characters, this one {len(value):,}: cut it."
            )
        return value

    return checked


def _number(highest: int) -> Check:
    def checked(name: str, value: Any) -> int | float:  # noqa: ANN401 - JSON may be anything
        if not _is_number(value) or not 0 <= value <= highest:
            raise refusals.unfit(f"{name} is a number from 0 to {highest}.")
        number: int | float = value
        return number

    return checked


def _one_of(*words: str) -> Check:
    def checked(name: str, value: object) -> str:
        if value not in words:
            raise refusals.unfit(f"{name} is one of {', '.join(words)}.")
        return str(value)

    return checked


def _counters(name: str, value: object) -> dict[str, int | float]:
    if not isinstance(value, dict):
        raise refusals.unfit(f'{name} is an object of names and numbers, like {{"rows": 5}}.')
    if len(value) > MOST_COUNTERS:
        raise refusals.too_large(f"{name} has at most {MOST_COUNTERS} names, not {len(value)}.")
    for counter, number in value.items():
        if not re.fullmatch(COUNTER_NAME, counter):
            raise refusals.unfit(
                f"{name}: {counter[:QUOTED]!r} is no name; it has at most 64 letters, digits, "
                "'_', '.' or '-' and begins with a letter or '_'."
            )
        if not _is_number(number) or not abs(number) <= bodies.HIGHEST_NUMBER:
            raise refusals.unfit(
                f"{name}.{counter} is a number of at most {bodies.HIGHEST_NUMBER}."
            )
    return value


def _document(largest: int) -> Check:
    def checked(name: str, value: object) -> object:
        try:
            size = len(_compact(value).encode())
        except ValueError:
            raise refusals.unfit(f"{name} has a number too large for JSON.") from None
        if size > largest:
            raise refusals.too_large(
                f"{name} has at most {largest // 1024} KiB of JSON, this one {size:,} bytes."
            )
        return value

    return checked


def _metadata(name: str, value: object) -> object:
    if not isinstance(value, dict):
        raise refusals.unfit(f'{name} is an object, like {{"table": "orders"}}.')
    return _document(LARGEST_METADATA)(name, value)


def _letter_id(name: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(LETTER_ID, value):
        raise refusals.unfit(f"{name} is the id of a dead letter, as GET /run has it in requeued.")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PROGRESS = "/progress"
KINDS: dict[str, Kind] = {
    PROGRESS: Kind(
        "progress",
        {
            "done": _number(bodies.HIGHEST_NUMBER),
            "total": _number(bodies.HIGHEST_NUMBER),
            "stage": _text(100),
            "message": _text(1000),
            "counters": _counters,
        },
    ),
    "/checkpoint": Kind("checkpoint", {"value": _document(LARGEST_DOCUMENT)}, ("value",)),
    "/error": Kind(
        "error",
        {
            "message": _text(4000),
            "type": _text(200),
            "item": _text(500),
            "class": _one_of("transient", "permanent"),
            "retryAfter": _number(LONGEST_DELAY),
        },
        ("message",),
        {"type": "error"},
    ),
    "/dead-letter": Kind(
        "deadLetter",
        {
            "item": _text(500),
            "payload": _document(LARGEST_DOCUMENT),
            "error": _text(4000),
            "requeueOf": _letter_id,
        },
        ("item",),
        {"payload": None, "error": ""},
    ),
    "/result": Kind(
        "result",
        {
            "result": _one_of("succeeded", "partial", "failed"),
            "message": _text(4000),
            "counters": _counters,
            "metadata": _metadata,
        },
        ("result",),
    ),
    "/handled": Kind("handled", {"id": _letter_id}, ("id",)),
}
COUNTED = tuple(kind.name for kind in KINDS.values())

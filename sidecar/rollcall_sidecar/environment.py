"""Whole numbers from the environment."""

from __future__ import annotations

TYPE_CHECKING = False  # as in `opening`, whose rules hold here
if TYPE_CHECKING:
    from collections.abc import Mapping

QUOTED = 80  # characters of a bad value that a complaint repeats


def number(
    environ: Mapping[str, str], complaints: list[str], name: str, default: int, highest: int
) -> int:
    """Read a number from 1 to `highest`; what is none becomes the default and a complaint."""
    text = environ.get(name)
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(highest)):
        value = int(text)
        if 1 <= value <= highest:
            return value
    complaints.append(
        f"{name}={text[:QUOTED]!r} is not a whole number from 1 to {highest}: using {default}"
    )
    return default

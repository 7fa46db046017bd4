"""Form fields and queries (`a=1&b=x+y`), as urllib.parse reads them but without its imports."""

from __future__ import annotations

import re

ESCAPES = "(?:%[0-9a-fA-F]{2})+"


class TooMany(Exception):
    """There are more fields than allowed."""


def pairs(text: str, most: int) -> list[tuple[str, str]]:
    """Return names and values in their order; a field without `=` has an empty value."""
    if text.count("&") >= most:
        raise TooMany
    return [
        (_plain(name), _plain(value))
        for name, _, value in (field.partition("=") for field in text.split("&") if field)
    ]


def _plain(text: str) -> str:
    return re.sub(ESCAPES, _decoded, text.replace("+", " "))


def _decoded(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace")

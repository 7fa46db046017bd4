"""Which errors are the same one: their type, and their message without what differs each time.

Pure text: every pattern is linear in the length of the message.
"""

import hashlib
import re
from dataclasses import dataclass

LONGEST = 1000  # characters of a normalised message; where errors differ later, they are one group

# In this order: what is quoted may hold all the others, an instant holds numbers.
_PLACEHOLDERS = (
    (re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`"), "<text>"),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
            r"(?: ?(?:Z\b|UTC\b|[+-]\d\d:?\d\d))?)?"
        ),
        "<time>",
    ),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    # A word such as "defaced" has no digit.
    (re.compile(r"\b(?:0[xX][0-9a-fA-F]+|(?=[a-fA-F]*\d)[0-9a-fA-F]{8,})\b"), "<hex>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<number>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What errors of one group have in common."""

    fingerprint: str  # 16 hex digits
    type: str
    message: str  # normalised


def of(error_type: str, message: str) -> Signature:
    """Return the group of an error."""
    normal = normalised(message)
    digest = hashlib.sha256(f"{error_type}\n{normal}".encode("utf-8", "replace")).hexdigest()
    return Signature(fingerprint=digest[:16], type=error_type, message=normal)


def normalised(message: str) -> str:
    """Replace quoted text, instants, UUIDs, hexadecimal and other numbers by their names."""
    for pattern, name in _PLACEHOLDERS:
        message = pattern.sub(name, message)
    return message.strip()[:LONGEST]

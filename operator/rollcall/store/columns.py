"""Column types that can keep every text a cluster may hand us.

Postgres refuses NUL in text and jsonb, and UTF-8 has no lone surrogates; a termination message or a
label can hold either. One such character would cost the whole transaction, so it is replaced on the
way in.
"""

import json

from sqlalchemy import Dialect, Text, TypeDecorator
from typing_extensions import override  # typing has it from 3.12 on

REPLACEMENT = "\ufffd"


class CleanText(TypeDecorator[str]):
    """Text without a length; what Postgres cannot keep becomes U+FFFD."""

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)


def clean(text: str) -> str:
    """Replace NUL and lone surrogates."""
    if is_storable(text):
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", REPLACEMENT)


def is_storable(text: str) -> bool:
    """Whether Postgres can keep this text as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def dumps(document: object) -> str:
    """Write JSON for a jsonb column; raises ValueError for NaN and infinities."""
    written = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if is_storable(written) and "\\u0000" not in written:
        return written
    return json.dumps(_cleaned(document), ensure_ascii=False, separators=(",", ":"))


def _cleaned(document: object) -> object:
    if isinstance(document, str):
        return clean(document)
    if isinstance(document, dict):
        return {_cleaned(key): _cleaned(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_cleaned(value) for value in document]
    return document

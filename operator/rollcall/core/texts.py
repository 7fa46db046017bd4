"""Text that Postgres can keep, which refuses NUL, and lines that are short enough to be shown."""

import unicodedata

REPLACEMENT = "\ufffd"
_CUT = " …"
_KEPT = "\n\t\u200c\u200d"  # lines, and what joins or parts letters


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, which UTF-8 does not have."""
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


def cleaned(document: object) -> object:
    """Replace them in all texts of a JSON document; raises RecursionError for a very deep one."""
    if isinstance(document, str):
        return clean(document)
    if isinstance(document, dict):
        return {cleaned(key): cleaned(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [cleaned(value) for value in document]
    return document


def plain(text: str) -> str:
    """Keep lines, drop what terminals and programs would obey: controls, and what turns text round.

    Any other space than the plain one becomes that.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _KEPT else " " if unicodedata.category(c)[0] == "Z" else ""
        for c in clean(text)
    )


def shortened(text: str, longest: int) -> str:
    """Put it on one line, with single spaces, and cut it where it is too long, also in a word."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - len(_CUT)].rstrip() + _CUT

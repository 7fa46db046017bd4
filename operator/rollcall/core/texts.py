"""Text that Postgres can keep: it refuses NUL, and UTF-8 has no lone surrogates."""

REPLACEMENT = "\ufffd"


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


def cleaned(document: object) -> object:
    """Replace them in all texts of a JSON document; raises RecursionError for a very deep one."""
    if isinstance(document, str):
        return clean(document)
    if isinstance(document, dict):
        return {cleaned(key): cleaned(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [cleaned(value) for value in document]
    return document

"""The body of a request to the loopback API: read within bounds, then made into named fields.

JSON and form fields are both taken, whatever Content-Type says: `curl -d` calls everything a form.
Which fields there are, and what may stand in them, is not decided here.
"""

from __future__ import annotations

import http
import itertools
import json

from rollcall_sidecar import forms, http1, refusals
from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase
    from typing import Any, NoReturn

LARGEST_BODY = 80 * 1024  # bytes: the largest JSON value of 64 KiB, and some words about it
# Bytes on the line: a body in chunks may come with as much framing again.
LARGEST_TRANSFER = 2 * LARGEST_BODY
# Levels of a JSON value. Looked at before it is read: readers recurse, and sixteen threads with
# deep stacks would need more memory than the container has.
DEEPEST = 64
HIGHEST_NUMBER = 2**53 - 1  # above it, not every whole number is one of JavaScript's or a double
MOST_FIELDS = 200  # of a form: 64 counters and everything else

NUMBERS = frozenset({"done", "total", "retryAfter"})
DOCUMENTS = frozenset({"value", "payload", "counters", "metadata"})
GROUPS = frozenset({"counters", "metadata"})  # written as counters.rows=5


def check(headers: http1.Fields) -> None:
    """Refuse, before it is read, a body that is too large, compressed or framed in two ways."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise refusals.Refused(
            http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body as it is, not compressed."
        )
    coding = headers.get("transfer-encoding")
    if coding is None:
        announced(headers)
    elif coding.lower() != "chunked" or "content-length" in headers:
        raise refusals.unreadable("A body has a Content-Length, or comes in chunks.")


def read(stream: BufferedIOBase, headers: http1.Fields) -> bytes:
    """Read the whole body; raises Refused when it is incomplete, TooLarge when it is."""
    if "transfer-encoding" in headers:
        return _chunks(stream)
    length = announced(headers)
    body = stream.read(length)
    if len(body) < length:
        raise refusals.unreadable(f"The body ended after {len(body)} of {length} bytes.")
    return body


def announced(headers: http1.Fields) -> int:
    """Return the length that the headers promise; raises Refused when it is too much."""
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise refusals.unreadable("Content-Length is a number of bytes.")
    if len(text) > len(str(LARGEST_BODY)) or int(text) > LARGEST_BODY:
        raise larger()
    return int(text)


def larger() -> refusals.Refused:
    """Say how large a body may be, and what makes one larger than what is in it."""
    return refusals.too_large(
        f"A body has at most {LARGEST_BODY // 1024} KiB. Send it as JSON in UTF-8 (curl --json): "
        "a form, or \\u escapes, can take three times the room. Keep what is larger all the same "
        "elsewhere, and report where it is."
    )


def fields(body: bytes, content_type: str) -> dict[str, Any]:
    """Make named fields of a body; raises Refused when it is neither JSON nor a form."""
    if "multipart/" in content_type.lower():
        raise refusals.Refused(
            http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Send JSON, or fields as `curl -d name=value` does, not multipart/form-data (curl -F).",
        )
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refusals.unreadable("The body is not UTF-8.") from None
    if "json" in content_type.lower() or text.lstrip()[:1] in {"{", "["}:
        return _json_object(text)
    return _form(text)


def _chunks(stream: BufferedIOBase) -> bytes:
    try:
        return http1.chunks(stream, LARGEST_BODY)
    except http1.Malformed as fault:
        raise refusals.unreadable(f"{fault}.") from None


def _json_object(text: str) -> dict[str, Any]:
    try:
        content = _json(text, levels=DEEPEST + 1)
    except json.JSONDecodeError as error:
        raise refusals.unreadable(f"The body is not JSON: {error}.") from None
    except ValueError:
        raise _inexact() from None
    if not isinstance(content, dict):
        raise refusals.unreadable('The body is a JSON object, like {"name": "value"}.')
    return content


def _inexact() -> refusals.Refused:
    return refusals.unfit(
        f"A number is at most {HIGHEST_NUMBER}, else not every reader has it exactly: "
        "write a larger one as a string, in quotes."
    )


def _json(text: str, levels: int = DEEPEST) -> Any:  # noqa: ANN401 - JSON may be anything
    if _deeper_than(levels, text):
        raise refusals.unfit(f"JSON values are nested in at most {DEEPEST} levels.")
    return json.loads(text, parse_int=_whole, parse_float=_fraction, parse_constant=_no_number)


def _deeper_than(levels: int, text: str) -> bool:
    """Count brackets outside of strings; what is no JSON may be counted wrongly."""
    depth = 0
    plain = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    for character in itertools.chain.from_iterable(plain):
        if character in "[{":
            depth += 1
            if depth > levels:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > HIGHEST_NUMBER:
        raise ValueError("beyond what every reader has exactly")
    return number


def _fraction(digits: str) -> float:
    number = float(digits)
    if abs(number) > HIGHEST_NUMBER:
        raise ValueError("beyond what every reader has exactly")
    return number


def _no_number(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python would read and the api would not."""
    raise ValueError(name)


def _form(text: str) -> dict[str, Any]:
    try:
        pairs = forms.pairs(text, MOST_FIELDS)
    except forms.TooMany:
        raise refusals.too_large(f"A form has at most {MOST_FIELDS} fields.") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        _put(found, name, value)
    return found


def _put(found: dict[str, Any], name: str, value: str) -> None:
    group, dot, member = name.partition(".")
    grouped = bool(dot) and group in GROUPS
    place, key = (found.setdefault(group, {}), member) if grouped else (found, name)
    if not isinstance(place, dict) or key in place:
        raise refusals.unfit(f"{name[:100]} stands in the form twice.")
    loose = group == "counters" if grouped else name in NUMBERS | DOCUMENTS
    place[key] = _loosely(value) if loose else value


def _loosely(text: str) -> Any:  # noqa: ANN401 - JSON may be anything
    """Read what may be JSON; what is not is a text, and so is a number too large by itself.

    One inside of an object or an array is refused: a text would be another value than was meant.
    """
    try:
        return _json(text)
    except ValueError:
        if _is_structured(text):
            raise _inexact() from None
        return text


def _is_structured(text: str) -> bool:
    """Whether it is a JSON object or array, whatever numbers are in it."""
    try:
        content = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return False
    return isinstance(content, dict | list)

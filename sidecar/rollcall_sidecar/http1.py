"""HTTP/1.1 as the loopback API and the reports need it: one message, read from a bounded stream.

The standard library's http.server and http.client would take a tracked pod more time to import than
Python takes to start, and 3 MB. This is strict: what is not plainly HTTP/1.1 is `Malformed`. How
much a peer may send, and how long it may take, the stream knows (`sockets`).
"""

from __future__ import annotations

import re

from rollcall_sidecar import sockets
from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase

Fields = dict[str, str]  # names in lower case; what comes twice is joined by a comma

LONGEST_LINE = 64 * 1024  # bytes
LONGEST_CHUNK_HEAD = 256  # bytes of the line that gives a chunk's size
MOST_FIELDS = 100
WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a method, the name of a header
REQUEST_LINE = rf"({WORD}) ([^ ]+) HTTP/1\.[0-9]"
STATUS_LINE = r"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: .*)?"
CHUNK_SIZE = rb"([0-9a-fA-F]{1,8})\s*(?:;.*)?\r?\n"


class Malformed(Exception):
    """What came is not HTTP/1.1; the message says what it is instead."""


def start_line(stream: BufferedIOBase) -> str:
    """Read the first line of a message; raises ConnectionError when there is not one byte."""
    raw = stream.readline(LONGEST_LINE)
    if not raw:
        raise ConnectionResetError("closed without a word")
    return _text(raw)


def request_line(line: str) -> tuple[str, str]:
    """Return the method and the target of a request."""
    match = re.fullmatch(REQUEST_LINE, line)
    if match is None:
        raise Malformed("The first line is not a method, a path and HTTP/1.1")
    return match[1], match[2]


def status_line(line: str) -> int:
    """Return the status of an answer."""
    match = re.fullmatch(STATUS_LINE, line)
    if match is None:
        raise Malformed("the first line is not a version and a status")
    return int(match[1])


def fields(stream: BufferedIOBase) -> Fields:
    """Read the header up to the empty line; raises TooLarge when it has too many fields."""
    found: Fields = {}
    for _ in range(MOST_FIELDS + 1):
        line = _text(stream.readline(LONGEST_LINE))
        if not line:
            return found
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(WORD, name):
            raise Malformed("A header is not `Name: value`")
        name, value = name.lower(), value.strip(" \t")
        found[name] = f"{found[name]}, {value}" if name in found else value
    raise sockets.TooLarge


def chunks(stream: BufferedIOBase, largest: int) -> bytes:
    """Read a body in chunks; raises TooLarge when they are more than that together.

    What follows the last one (trailers) is of no interest: the connection closes.
    """
    body = bytearray()
    while size := _chunk_size(stream.readline(LONGEST_CHUNK_HEAD)):
        if len(body) + size > largest:
            raise sockets.TooLarge
        body += stream.read(size)
        if stream.readline(LONGEST_CHUNK_HEAD) not in {b"\r\n", b"\n"}:
            raise Malformed("The body's chunks are broken")
    return bytes(body)


def _chunk_size(line: bytes) -> int:
    match = re.fullmatch(CHUNK_SIZE, line)
    if match is None:
        raise Malformed("The body's chunks are broken")
    return int(match[1], 16)


def _text(raw: bytes) -> str:
    """Return a line without its end."""
    line = raw.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")
    if not raw.endswith(b"\n"):
        raise Malformed("A line of the header has no end")
    if not line.isprintable() and any((one < " " and one != "\t") or one == "\x7f" for one in line):
        raise Malformed("There is a control character in the header")
    return line

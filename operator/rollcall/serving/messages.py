"""What is asked and what is answered, each of them whole."""

import enum
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
CLOSE = b"connection: close\r\n"
TWICE = b""  # a header that comes twice is as good as none
_STATUS = {one.value: b"HTTP/1.1 %d %s\r\n" % (one, one.phrase.encode()) for one in HTTPStatus}


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    body: bytes
    status: int = HTTPStatus.OK
    media_type: str = JSON
    headers: Mapping[str, str] = {}

    def written(self, *, date: bytes, is_head: bool, is_last: bool) -> bytes:
        """Return what goes over the wire; `is_last` closes the connection after it."""
        more = CLOSE if is_last else b""
        for name, value in self.headers.items():
            more += b"%s: %s\r\n" % (name.lower().encode(), value.encode())
        return b"%sdate: %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
            _STATUS[self.status],
            date,
            self.media_type.encode(),
            len(self.body),
            more,
            b"" if is_head else self.body,
        )


class Fault(enum.Enum):
    """Why a connection is not read any further; the status, and what it is told."""

    MALFORMED = (HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1, or breaks its rules")
    UPGRADE = (HTTPStatus.BAD_REQUEST, "only HTTP/1.1 is spoken here")
    INCOMPLETE = (HTTPStatus.BAD_REQUEST, "the request is incomplete")
    TOO_SLOW = (HTTPStatus.REQUEST_TIMEOUT, "the request took too long to come")
    HEAD_TOO_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large")
    BODY_TOO_LARGE = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
    CROWDED = (HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are open")
    FULL = (HTTPStatus.SERVICE_UNAVAILABLE, "too much is being sent at once")

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        self.status = status
        self.detail = detail


class Exchange:
    """One request and its answer: the first one that is given counts.

    `path` is without what follows a question mark, and "" where a fault came before it. Of a header
    that comes twice it holds TWICE.
    """

    __slots__ = ("_hear", "body", "fault", "headers", "is_answered", "method", "path")

    def __init__(self, hear: Callable[["Exchange", Response], None]) -> None:
        self._hear = hear
        self.method = b""
        self.path = ""
        self.headers: dict[bytes, bytes] = {}  # by name in lower case
        self.body = b""
        self.fault: Fault | None = None
        self.is_answered = False

    def answer(self, response: Response) -> None:
        """Give the answer, at once or at any time later."""
        if not self.is_answered:
            self.is_answered = True
            self._hear(self, response)


class Application(Protocol):
    """What is served."""

    def answer(self, exchange: Exchange) -> None:
        """See to it that this is answered, soon and in any case; a fault as well. Never raises."""

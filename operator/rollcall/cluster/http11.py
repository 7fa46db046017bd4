"""Answers of an HTTP/1.1 server, put together from pieces of any size; no input or output here.

Invariants:
- What is no HTTP, and an answer that is larger than it may be, is `Broken`, never a wait without
  end. Of a head that does not end, or a body, no more than the limits is ever held.
- Interim answers (1xx) are passed over; they come before the one that counts.
- The callbacks of the parser (`on_…`) raise nothing: it would hide what.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httptools

LARGEST = 256 * 1024 * 1024  # bytes; a page of 100 objects of the largest size etcd takes is 150 MB
LARGEST_HEAD = 64 * 1024  # bytes, with all interim answers; one of the API server has 0.5 KB
# Nothing else is asked of an answer, so nothing else is kept.
_KEPT = {
    name.lower().encode(): name
    for name in ("Content-Length", "Date", "Location", "Retry-After", "Transfer-Encoding")
}


class Broken(ConnectionError):
    """The other side hung up, or what it sent is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; of its headers those that somebody reads."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reader:
    """Reads the answers of one connection: `begin` before each, `feed` what comes."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Expect the next answer."""
        self.status = 0  # until the head that counts is there
        self.is_reusable = False  # whether another answer can follow on this connection
        self.size = 0  # bytes that have come
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._answer: Answer | None = None

    def feed(self, data: bytes) -> Answer | None:
        """Take the next bytes and return the answer if it is whole; raises Broken."""
        self.size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.is_reusable = False
            if self._answer is None:
                raise Broken(f"its answer is not HTTP/1.1: {error}") from error
        if self._answer is None:
            self._check_size()
        return self._answer

    def end(self) -> Answer | None:
        """Say that no more will come; return the answer if it has its end in that."""
        if self.status and self._headers.keys().isdisjoint({"Content-Length", "Transfer-Encoding"}):
            self._complete()
        return self._answer

    def _check_size(self) -> None:
        if not self.status and self.size > LARGEST_HEAD:
            raise Broken(f"the head of its answer is larger than {LARGEST_HEAD} bytes")
        if self.size > LARGEST:
            raise Broken(f"its answer is larger than {LARGEST} bytes")

    def _complete(self) -> None:
        self._answer = Answer(self.status, self._headers, b"".join(self._parts))

    def on_message_begin(self) -> None:
        """Note that somebody speaks who was not asked."""
        if self._answer is not None:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those after the body (trailers) tell us nothing."""
        kept = _KEPT.get(name.lower())
        if kept and not self.status:
            self._headers[kept] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """See whether it is the head that counts."""
        status = self._parser.get_status_code()
        if self.status:
            return
        if status < HTTPStatus.OK:
            self._headers = {}
        else:
            self.status = status

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """Put the answer together; what comes after it belongs to none."""
        if self.status and self._answer is None:
            self.is_reusable = self._parser.should_keep_alive()
            self._complete()

"""HTTP as the server hands it over: one call per request, a dictionary and two functions.

A framework's request and response objects take longer than reading and writing a heartbeat.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, whole."""

    body: bytes
    status: int = HTTPStatus.OK
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """Give it to the server."""
        headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", self.media_type.encode()),
        ]
        for name, value in self.headers.items():
            headers.append((name.lower().encode(), value.encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Disconnected(Exception):
    """The client went before its request was whole."""


class TooLarge(Exception):
    """The request has more bytes than are read."""


def header(scope: Scope, name: bytes) -> str:
    """Return a header that comes once, "" if it is absent or comes again."""
    found: bytes | None = None
    for key, value in scope["headers"]:
        if key == name:
            if found is not None:
                return ""
            found = value
    return found.decode("latin-1") if found else ""


async def body(scope: Scope, receive: Receive, *, largest: int) -> bytes:
    """Read all of the request; raises Disconnected or TooLarge."""
    length = header(scope, b"content-length")
    if length.isdecimal() and int(length[:10]) > largest:
        raise TooLarge
    content, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > largest:
            raise TooLarge
    return bytes(content)

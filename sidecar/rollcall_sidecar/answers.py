"""Answers of the loopback API as bytes; each asks the client to close."""

from __future__ import annotations

import json
import time

from rollcall_sidecar.typed import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import http
    from collections.abc import Mapping
    from typing import Any

    from rollcall_sidecar import refusals


class Answer(NamedTuple):
    """A status, a body, and what is particular about them."""

    status: http.HTTPStatus
    content: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = {}

    def written(self, *, body: bool = True) -> bytes:
        """Write it for the line; `body`: not only its head, as HEAD wants it."""
        headers = {
            "Server": "rollcall-sidecar",
            "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
            "Content-Type": self.kind,
            "Content-Length": str(len(self.content)),
            "Cache-Control": "no-store",
            "Connection": "close",
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status:d} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head + self.content if body else head


def document(status: http.HTTPStatus, content: Mapping[str, Any]) -> Answer:
    """Answer a JSON object."""
    return Answer(status, json.dumps(content).encode() + b"\n")


def problem(
    status: http.HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> Answer:
    """Answer what went wrong, as RFC 9457 has it."""
    content = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    written = document(status, content)
    return written._replace(kind="application/problem+json", headers=headers or {})


def refusal(refused: refusals.Refused) -> Answer:
    """Answer what was not taken, and when to come back."""
    again = refused.retry_after
    headers = {} if again is None else {"Retry-After": str(again)}
    return problem(refused.status, refused.detail, headers)

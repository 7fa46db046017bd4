"""One request to the loopback API: read it, route it, answer it, close.

It answers from memory and never waits for the network, unless it is asked to. No answer is a 5xx:
what is wrong with a request is said as a problem (RFC 9457) with a way out.
"""
# mypy: disable-error-code="explicit-override"
# (typing.override is newer than the oldest Python we run on)

from __future__ import annotations

import http
import http.server
import json
import re
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from rollcall_sidecar import bodies, kinds, refusals, sockets, usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollcall_sidecar import buffer, intake, server

REQUEST_SECONDS = 5.0  # for all of a request, and again for all of its answer
LARGEST_HEAD = 8 * 1024  # bytes of request line and headers
LONGEST_WAIT_SECONDS = 60
LOOK_SECONDS = 1.0  # how often a waiting request looks whether its client is still there
WAIT = re.compile(r"(?:(\d{1,4})m)?(?:(\d{1,4})s)?")
GETS = frozenset({"/", "/run", "/healthz"})


def wait_seconds(path: str, query: str) -> float:
    """Read the query of a request; raises Refused with what to write instead."""
    try:
        fields = urllib.parse.parse_qs(query, keep_blank_values=True, max_num_fields=8)
    except ValueError:
        raise refusals.unreadable(f"{path} has one query field, wait.") from None
    waits = fields.pop("wait", ["0s"])
    if fields:
        raise refusals.unreadable(f"{path} knows no {', '.join(sorted(fields))}, only wait.")
    match = WAIT.fullmatch(waits[0])
    if len(waits) > 1 or not waits[0] or match is None:
        raise refusals.unreadable("wait is one duration like 30s or 1m, at most 60s.")
    minutes, seconds = (int(part or 0) for part in match.groups())
    return min(60 * minutes + seconds, LONGEST_WAIT_SECONDS)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request and its answer."""

    server: server.Loopback
    connection: sockets.BoundedSocket
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # also a request that is none gets a status line
    disable_nagle_algorithm = True  # headers and body are two writes
    # What an answer to a request that could not even be read needs:
    command = ""
    path = ""
    request_version = protocol_version

    def handle(self) -> None:
        """Read the one request within its bounds and answer it."""
        try:
            self.raw_requestline = self.rfile.readline()
            readable = bool(self.raw_requestline) and self.parse_request()
        except sockets.TooLarge:
            self.problem(
                http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"A request line and its headers have at most {LARGEST_HEAD} bytes. {usage.OFFER}",
            )
        except TimeoutError:
            self.problem(http.HTTPStatus.REQUEST_TIMEOUT, f"{LATE} {usage.OFFER}")
        else:
            if readable:
                self.route()

    def handle_expect_100(self) -> bool:
        """Ask for the body only if it is one that we take."""
        try:
            bodies.announced(self.headers)
        except refusals.Refused as refusal:
            self.refuse(refusal)
            return False
        return super().handle_expect_100()

    def route(self) -> None:
        """Find what was asked for."""
        path, _, query = self.path.partition("?")
        allowed = "GET" if path in GETS else "POST" if path in kinds.KINDS else ""
        if not allowed:
            detail = f"There is nothing at this path. {usage.OFFER}"
            self.problem(http.HTTPStatus.NOT_FOUND, detail)
        elif self.command != allowed:
            detail = f"This path knows {allowed} only. {usage.OFFER}"
            self.problem(http.HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": allowed})
        else:
            try:
                self.answer(path, query)
            except refusals.Refused as refusal:
                self.refuse(refusal)

    def answer(self, path: str, query: str) -> None:
        """Do what was asked for; raises Refused."""
        if path == "/":
            self.send(http.HTTPStatus.OK, usage.TEXT.encode(), kind="text/plain; charset=utf-8")
        elif path == "/healthz":
            self.send_json(http.HTTPStatus.OK, {"status": "ok"})
        elif path == "/run":
            self.tell_run(wait_seconds(path, query))
        else:
            self.take(path, wait_seconds(path, query))

    def tell_run(self, seconds: float) -> None:
        """Answer `GET /run`, if asked to after waiting until everything is known."""
        known, until = self.server.known, time.monotonic() + seconds
        while not known.wait(min(max(until - time.monotonic(), 0), LOOK_SECONDS)):
            if time.monotonic() >= until or self.connection.ended():
                break
        view = known.view() | {"buffer": self.server.taken.kept.view()}
        self.send_json(http.HTTPStatus.OK, view)

    def take(self, path: str, seconds: float) -> None:
        """Accept a report, and if asked to wait until the api has it."""
        taken = self.server.taken
        admitted = taken.admit(path)
        body = self.body()
        kind = self.headers.get("Content-Type", "")
        receipt = taken.take(path, body, kind, awaited=seconds > 0, admitted=admitted)
        if seconds <= 0:
            self.send_json(http.HTTPStatus.ACCEPTED, {"accepted": receipt.seq})
            return
        try:
            verdict = self.settled(receipt, seconds)
        finally:
            taken.kept.forget(receipt.seq, progress=receipt.progress)
        self.tell_verdict(receipt, verdict)

    def settled(self, receipt: intake.Receipt, seconds: float) -> buffer.Verdict | None:
        """Wait for the api's verdict, as long as the client is there."""
        kept, until = self.server.taken.kept, time.monotonic() + seconds
        while True:
            left = min(max(until - time.monotonic(), 0), LOOK_SECONDS)
            verdict = kept.verdict(receipt.seq, left, progress=receipt.progress)
            if verdict is not None or time.monotonic() >= until or self.connection.ended():
                return verdict

    def tell_verdict(self, receipt: intake.Receipt, verdict: buffer.Verdict | None) -> None:
        """Answer whether a report is stored."""
        if verdict is None:
            said = {"accepted": receipt.seq, "committed": False}
            self.send_json(http.HTTPStatus.ACCEPTED, said)
        elif verdict.status == http.HTTPStatus.OK:
            self.send_json(http.HTTPStatus.OK, {"accepted": receipt.seq, "committed": True})
        else:
            detail = f"The api did not keep it: {verdict.detail}"
            raise refusals.Refused(http.HTTPStatus(verdict.status), detail)

    def body(self) -> bytes:
        """Read the body; raises Refused when it is too large or too slow."""
        self.connection.allow(seconds=REQUEST_SECONDS, size=bodies.LARGEST_TRANSFER)
        try:
            return bodies.read(self.rfile, self.headers)
        except sockets.TooLarge:
            raise bodies.larger() from None
        except TimeoutError:
            raise refusals.Refused(http.HTTPStatus.REQUEST_TIMEOUT, LATE) from None

    def refuse(self, refusal: refusals.Refused) -> None:
        """Answer what was not taken, and when to come back."""
        again = refusal.retry_after
        headers = {} if again is None else {"Retry-After": str(again)}
        self.problem(refusal.status, refusal.detail, headers)

    def problem(
        self, status: http.HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer what went wrong, as RFC 9457 has it."""
        content = problem(status, detail)
        self.send_json(status, content, kind="application/problem+json", headers=headers)

    def send_json(
        self,
        status: http.HTTPStatus,
        body: Mapping[str, Any],
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a JSON answer."""
        self.send(status, json.dumps(body).encode() + b"\n", kind, headers)

    def send(
        self,
        status: http.HTTPStatus,
        content: bytes,
        kind: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send an answer and ask the client to close."""
        self.connection.allow(seconds=REQUEST_SECONDS, size=LARGEST_HEAD)
        self.send_response(status)
        fixed = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        for name, value in (fixed | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Let the base class's own complaints take our shape; none of them is our fault."""
        client = code < http.HTTPStatus.INTERNAL_SERVER_ERROR
        status = http.HTTPStatus(code) if client else http.HTTPStatus.BAD_REQUEST
        self.problem(status, f"{message or 'The request is not HTTP'}. {usage.OFFER}")

    def version_string(self) -> str:
        """Name the product, not its parts."""
        return "rollcall-sidecar"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the log of a pod is its owner's."""


LATE = f"The request was not complete within {REQUEST_SECONDS:.0f} s."


def problem(status: http.HTTPStatus, detail: str) -> dict[str, Any]:
    """Build an RFC 9457 problem."""
    return {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}

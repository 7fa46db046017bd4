"""One request to the loopback API: read it, route it, answer it.

It answers from memory and never waits for the network, unless it is asked to. No answer is a 5xx:
what is wrong with a request is said as a problem (RFC 9457) with a way out.
"""

from __future__ import annotations

import http
import re
import time

from rollcall_sidecar import answers, bodies, forms, http1, kinds, refusals, sockets, usage
from rollcall_sidecar.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase

    from rollcall_sidecar import buffer, intake, run

REQUEST_SECONDS = 5.0  # for all of a request, and again for all of its answer
LARGEST_HEAD = 8 * 1024  # bytes of request line and headers
LONGEST_WAIT_SECONDS = 60
LOOK_SECONDS = 1.0  # how often a waiting request looks whether its client is still there
MOST_QUERIES = 8
WAIT = r"(?:(\d{1,4})m)?(?:(\d{1,4})s)?"
GETS = frozenset({"/", "/run", "/healthz"})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LATE = f"The request was not complete within {REQUEST_SECONDS:.0f} s."
LARGE = (
    f"A request line and its headers have at most {LARGEST_HEAD} bytes, and "
    f"{http1.MOST_FIELDS} headers at most."
)
EXPLANATION = answers.Answer(http.HTTPStatus.OK, usage.TEXT.encode(), "text/plain; charset=utf-8")


def wait_seconds(path: str, query: str) -> float:
    """Read the query of a request; raises Refused with what to write instead."""
    try:
        fields = forms.pairs(query, MOST_QUERIES)
    except forms.TooMany:
        raise refusals.unreadable(f"{path} has one query field, wait.") from None
    unknown = sorted({name for name, _ in fields} - {"wait"})
    if unknown:
        raise refusals.unreadable(f"{path} knows no {', '.join(unknown)}, only wait.")
    waits = [value for _, value in fields] or ["0s"]
    match = re.fullmatch(WAIT, waits[0])
    if len(waits) > 1 or not waits[0] or match is None:
        raise refusals.unreadable("wait is one duration like 30s or 1m, at most 60s.")
    minutes, seconds = (int(part or 0) for part in match.groups())
    return min(60 * minutes + seconds, LONGEST_WAIT_SECONDS)


class Handler:
    """One request and its answer."""

    def __init__(
        self, connection: sockets.BoundedSocket, known: run.Run, taken: intake.Intake
    ) -> None:
        self._connection = connection
        self._known = known
        self._taken = taken
        self._method = ""
        self._headers: http1.Fields = {}

    def handle(self) -> None:
        """Read the request within its bounds and answer it; raises OSError if the client left."""
        self._connection.allow(seconds=REQUEST_SECONDS, size=LARGEST_HEAD)
        with self._connection.makefile("rb") as stream:
            answer = self._answered(stream)
        self._connection.allow(seconds=REQUEST_SECONDS, size=LARGEST_HEAD)
        self._connection.sendall(answer.written(body=self._method != "HEAD"))

    def _answered(self, stream: BufferedIOBase) -> answers.Answer:
        """Answer whatever was sent."""
        try:
            self._method, target = http1.request_line(http1.start_line(stream))
            self._headers = http1.fields(stream)
            return self._routed(stream, *target.partition("?")[::2])
        except refusals.Refused as refusal:
            return answers.refusal(refusal)
        except sockets.TooLarge:
            status = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            return answers.problem(status, f"{LARGE} {usage.OFFER}")
        except TimeoutError:
            return answers.problem(http.HTTPStatus.REQUEST_TIMEOUT, f"{LATE} {usage.OFFER}")
        except http1.Malformed as fault:
            return answers.problem(http.HTTPStatus.BAD_REQUEST, f"{fault}. {usage.OFFER}")

    def _routed(self, stream: BufferedIOBase, path: str, query: str) -> answers.Answer:
        """Find what was asked for, and do it; raises Refused."""
        allowed = "GET" if path in GETS else "POST" if path in kinds.KINDS else ""
        if not allowed:
            detail = f"There is nothing at this path. {usage.OFFER}"
            return answers.problem(http.HTTPStatus.NOT_FOUND, detail)
        if self._method != allowed:
            detail = f"This path knows {allowed} only. {usage.OFFER}"
            headers = {"Allow": allowed}
            return answers.problem(http.HTTPStatus.METHOD_NOT_ALLOWED, detail, headers)
        if path == "/":
            return EXPLANATION
        if path == "/healthz":
            return answers.document(http.HTTPStatus.OK, {"status": "ok"})
        seconds = wait_seconds(path, query)
        return self._tell_run(seconds) if path == "/run" else self._take(stream, path, seconds)

    def _tell_run(self, seconds: float) -> answers.Answer:
        """Answer `GET /run`, if asked to after waiting until everything is known."""
        until = time.monotonic() + seconds
        while not self._known.wait(min(max(until - time.monotonic(), 0), LOOK_SECONDS)):
            if time.monotonic() >= until or self._connection.ended():
                break
            self._taken.asked()
        view = self._known.view() | {"buffer": self._taken.kept.view()}
        return answers.document(http.HTTPStatus.OK, view)

    def _take(self, stream: BufferedIOBase, path: str, seconds: float) -> answers.Answer:
        """Accept a report, and if asked to wait until the api has it."""
        admitted = self._taken.admit(path)
        body = self._body(stream)
        kind = self._headers.get("content-type", "")
        receipt = self._taken.take(path, body, kind, awaited=seconds > 0, admitted=admitted)
        if seconds <= 0:
            return answers.document(http.HTTPStatus.ACCEPTED, {"accepted": receipt.seq})
        try:
            verdict = self._settled(receipt, seconds)
        finally:
            self._taken.kept.forget(receipt.seq, progress=receipt.progress)
        return tell_verdict(receipt, verdict)

    def _settled(self, receipt: intake.Receipt, seconds: float) -> buffer.Verdict | None:
        """Wait for the api's verdict, as long as the client is there."""
        kept, until = self._taken.kept, time.monotonic() + seconds
        while True:
            left = min(max(until - time.monotonic(), 0), LOOK_SECONDS)
            verdict = kept.verdict(receipt.seq, left, progress=receipt.progress)
            if verdict is not None or time.monotonic() >= until or self._connection.ended():
                return verdict

    def _body(self, stream: BufferedIOBase) -> bytes:
        """Read the body, asking for it if the client waits for that; raises Refused."""
        self._connection.allow(seconds=REQUEST_SECONDS, size=bodies.LARGEST_TRANSFER)
        bodies.check(self._headers)
        try:
            if self._headers.get("expect", "").lower() == "100-continue":
                self._connection.sendall(CONTINUE)
            return bodies.read(stream, self._headers)
        except sockets.TooLarge:
            raise bodies.larger() from None
        except TimeoutError:
            raise refusals.Refused(http.HTTPStatus.REQUEST_TIMEOUT, LATE) from None


def tell_verdict(receipt: intake.Receipt, verdict: buffer.Verdict | None) -> answers.Answer:
    """Answer whether a report is stored; raises Refused with why not."""
    if verdict is None:
        said = {"accepted": receipt.seq, "committed": False}
        return answers.document(http.HTTPStatus.ACCEPTED, said)
    if verdict.status == http.HTTPStatus.OK:
        said = {"accepted": receipt.seq, "committed": True}
        return answers.document(http.HTTPStatus.OK, said)
    detail = f"The api did not keep it: {verdict.detail}"
    raise refusals.Refused(http.HTTPStatus(verdict.status), detail)

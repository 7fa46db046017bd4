"""The ingest API: what is asked for, and what is answered.

Invariants:
- A report is answered within 5 seconds, the time that a sidecar waits, and with 200 only after
  COMMIT.
- Every other answer is a problem (RFC 9457), and 503 always says when to come back.
- One whose pod is known is kept without a task of its own. It is judged by the same functions as
  the others.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from typing_extensions import override  # typing has it from 3.12 on

from rollcall.api import answers, deadlines, problems, refusals, reports
from rollcall.core import errors, reporting
from rollcall.services import ingest as ingesting
from rollcall.services import ports
from rollcall.serving import limits, messages

logger = logging.getLogger(__name__)

PATH = "/ingest/v1/reports"
HEALTH = "/healthz"
LIMITS = limits.Limits(largest_body=256 * 1024, most_connections=12_000)
ANSWER_WITHIN = 4.5  # seconds: our 503 still reaches the sidecar, which gives up after 5
# Seconds until a 429 is told. At once it costs as much as a report that is kept, so that a pod that
# sends again and again would leave no time for others.
TOO_MANY_AFTER = 1.0
COMPLAIN_EACH = 10.0  # seconds between lines of log about what is not kept
_WELL = messages.Response(body=b'{"status":"ok"}')
_TOO_LARGE = f"a report has at most {LIMITS.largest_body} bytes"

_OUTCOMES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many",
    HTTPStatus.UNAUTHORIZED: "unauthenticated",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
    HTTPStatus.INTERNAL_SERVER_ERROR: "error",
}


class _Pending:
    """A report that is not answered yet; `task` is None where none is needed.

    What is raised in a block of it (`with pending:`) is its answer, unless it has had one.
    """

    __slots__ = ("_fail", "exchange", "task")

    def __init__(
        self, exchange: messages.Exchange, fail: Callable[["_Pending", Exception], object]
    ) -> None:
        self._fail = fail
        self.exchange = exchange
        self.task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._fail(self, error)
        return True


class IngestApp(messages.Application):
    """Answers sidecars."""

    def __init__(self, ingest: ingesting.Ingest) -> None:
        self._ingest = ingest
        self._pending = deadlines.Deadlines[_Pending](ANSWER_WITHIN, self._give_up)
        self._unkept = 0
        self._complained_at = -COMPLAIN_EACH

    @override
    def answer(self, exchange: messages.Exchange) -> None:
        """Answer it now, or when the report is kept."""
        if exchange.fault:
            self._refuse(exchange, _problem(exchange.fault))
        elif exchange.path == PATH and exchange.method == b"POST":
            self._post(exchange)
        elif exchange.path == HEALTH and exchange.method in {b"GET", b"HEAD"}:
            exchange.answer(_WELL)
        else:
            exchange.answer(_nowhere(exchange.path).response())

    def _post(self, exchange: messages.Exchange) -> None:
        pending = _Pending(exchange, self._fail)
        self._pending.begin(pending)
        with pending:
            token = _bearer(exchange)
            _check_coding(exchange)
            request = reports.read(exchange.body)
            exchange.body = b""  # it is read, and may wait for long
            self._take(pending, token, request)

    def _take(self, pending: _Pending, token: str, request: reports.Request) -> None:
        """Keep a report with others; who is not known, or asks for more, has to wait for itself."""
        identity = None if request.wants else self._ingest.known(token)
        if identity is None:
            work = self._report(pending, token, request)
            pending.task = asyncio.create_task(work, name="ingest-report")
        else:
            hear = functools.partial(self._kept, pending, request, identity)
            self._ingest.submit(identity, request.told, hear)

    def _kept(
        self,
        pending: _Pending,
        request: reports.Request,
        identity: ports.Identity,
        outcome: reporting.Kept | Exception,
    ) -> None:
        if isinstance(outcome, Exception):
            self._fail(pending, outcome)
            return
        with pending:
            answer = ingesting.answer(identity, request.told, outcome)
            self._acknowledge(pending, answers.write(request, answer))

    async def _report(self, pending: _Pending, token: str, request: reports.Request) -> None:
        with pending:
            answer = await self._ingest.report(token, request.told, request.wants)
            self._acknowledge(pending, answers.write(request, answer))

    def _acknowledge(self, pending: _Pending, written: bytes) -> None:
        if self._pending.end(pending):
            self._ingest.on_outcome("acknowledged")
            pending.exchange.answer(messages.Response(body=written))

    def _fail(self, pending: _Pending, error: Exception) -> None:
        """Refuse it, unless it is answered already."""
        if self._pending.end(pending):
            self._refuse(pending.exchange, error)
        elif refusals.of(error) is None:
            logger.error("answered report failed", exc_info=error)

    def _give_up(self, pending: _Pending) -> None:
        """Answer in time, whatever becomes of it."""
        if pending.task:
            pending.task.cancel()
        self._refuse(pending.exchange, TimeoutError(f"no answer within {ANSWER_WITHIN} s"))

    def _refuse(self, exchange: messages.Exchange, error: Exception) -> None:
        """Translate why a report was not taken; what nobody expected stands in the log."""
        problem = refusals.of(error)
        if problem is None:
            logger.error("report failed", exc_info=error)
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "the api failed; its log says why"
            problem = problems.Problem(status, detail)
        if isinstance(error, errors.Unavailable | TimeoutError):
            self._complain(error)
        if exchange.path == PATH:
            self._ingest.on_outcome(_OUTCOMES.get(problem.status, "invalid"))
        self._answer_refused(exchange, problem)

    def _answer_refused(self, exchange: messages.Exchange, problem: problems.Problem) -> None:
        """Tell it; a pod that sends too much is told later, and its connection waits meanwhile."""
        if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
            loop = asyncio.get_running_loop()
            loop.call_later(TOO_MANY_AFTER, exchange.answer, problem.response())
        else:
            exchange.answer(problem.response())

    def _complain(self, error: Exception) -> None:
        """Log what is not kept, in an outage once for many reports."""
        self._unkept += 1
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_EACH:
            extra = {"count": self._unkept, "error": str(error)}
            logger.warning("reports not kept", extra=extra)
            self._unkept, self._complained_at = 0, now


def _bearer(exchange: messages.Exchange) -> str:
    value = exchange.headers.get(b"authorization", b"").decode("latin-1")
    scheme, _, token = value.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise refusals.unauthorized("send the pod's token: Authorization: Bearer <token>")
    return token


def _check_coding(exchange: messages.Exchange) -> None:
    """Unpack nothing: what is small when it comes could be large then."""
    coding = exchange.headers.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        status, text = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the report as it is, without coding"
        raise problems.Problem(status, text, headers={"Accept-Encoding": "identity"})


def _problem(fault: messages.Fault) -> problems.Problem:
    detail = _TOO_LARGE if fault is messages.Fault.BODY_TOO_LARGE else fault.detail
    wait = refusals.RETRY_AFTER if fault.status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return problems.Problem(fault.status, detail, retry_after=wait)


def _nowhere(path: str) -> problems.Problem:
    allowed = {PATH: "POST", HEALTH: "GET, HEAD"}.get(path)
    detail = f"there is POST {PATH} and GET {HEALTH}"
    if allowed is None:
        return problems.Problem(HTTPStatus.NOT_FOUND, detail)
    return problems.Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed})

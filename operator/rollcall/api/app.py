"""The ingest API as an ASGI application.

Invariants:
- A report is answered within 5 seconds, the time that a sidecar waits, and with 200 only after
  COMMIT.
- Every other answer is a problem (RFC 9457), and 503 always says when to come back.
"""

import asyncio
import logging
import time
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rollcall.api import answers, problems, reports
from rollcall.core import errors
from rollcall.services import ingest as ingesting
from rollcall.services import limits, reporters

logger = logging.getLogger(__name__)

LARGEST_BODY = 256 * 1024  # bytes
READ_WITHIN = 5.0  # seconds; the sidecar gives up then
ANSWER_WITHIN = 4.5  # seconds after the body: our 503 still reaches the sidecar
RETRY_AFTER = 5.0  # seconds
COMPLAIN_EACH = 10.0  # seconds between lines of log about what is not kept
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="rollcall"'}

_OUTCOMES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many",
    HTTPStatus.UNAUTHORIZED: "unauthenticated",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
    HTTPStatus.INTERNAL_SERVER_ERROR: "error",
}


def ingest_app(ingest: ingesting.Ingest) -> Starlette:
    """Build the application for sidecars."""
    endpoint = _Reports(ingest)
    return Starlette(
        routes=[
            Route("/ingest/v1/reports", endpoint.post, methods=["POST"]),
            Route("/healthz", _healthz, methods=["GET"]),
        ],
        exception_handlers={HTTPException: problems.answer},
    )


class _Reports:
    def __init__(self, ingest: ingesting.Ingest) -> None:
        self._ingest = ingest
        self._unkept = 0
        self._complained_at = -COMPLAIN_EACH

    async def post(self, request: Request) -> Response:
        """Answer one report and say how it ended."""
        try:
            content = await self._take(request)
        except problems.Problem as problem:
            self._ingest.on_outcome(_OUTCOMES.get(problem.status, "invalid"))
            return problem.response()
        self._ingest.on_outcome("acknowledged")
        return Response(content, media_type="application/json")

    async def _take(self, request: Request) -> bytes:
        token = _bearer(request)
        report = reports.read(await _body(request))
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                answer = await self._ingest.report(token, report.told, wants_run=report.wants_run)
        except Exception as error:
            raise self._problem(error) from error
        return answers.write(report, answer)

    def _problem(self, error: Exception) -> problems.Problem:
        """Translate why a report was not taken; what nobody expected stands in the log."""
        if isinstance(error, errors.Unavailable | TimeoutError):
            self._complain(error)
            return _unavailable(error)
        refusal = _refusal(error)
        if refusal:
            return refusal
        logger.error("report failed", exc_info=error)
        return problems.Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR, "the api failed; its log says why"
        )

    def _complain(self, error: Exception) -> None:
        """Log what is not kept, in an outage once for many reports."""
        self._unkept += 1
        now = time.monotonic()
        if now - self._complained_at < COMPLAIN_EACH:
            return
        text = str(error) or f"no answer within {ANSWER_WITHIN} s"
        logger.warning("reports not kept", extra={"count": self._unkept, "error": text})
        self._unkept, self._complained_at = 0, now


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _bearer(request: Request) -> str:
    values = request.headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized("send the pod's token: Authorization: Bearer <token>")
    return token.strip()


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:10]) > LARGEST_BODY:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise _too_large()
    except TimeoutError as error:
        raise problems.Problem(
            HTTPStatus.REQUEST_TIMEOUT, f"the body took longer than {READ_WITHIN:.0f} s"
        ) from error
    except ClientDisconnect as error:
        raise problems.Problem(HTTPStatus.BAD_REQUEST, "the body is incomplete") from error
    return bytes(body)


def _too_large() -> problems.Problem:
    return problems.Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a report has at most {LARGEST_BODY} bytes",
        headers={"Connection": "close"},
    )


def _unauthorized(detail: str, more: str = "") -> problems.Problem:
    challenge = {name: value + more for name, value in _CHALLENGE.items()}
    return problems.Problem(HTTPStatus.UNAUTHORIZED, detail, headers=challenge)


def _refusal(error: Exception) -> problems.Problem | None:
    """Say what the sender must change; None if it is no fault of its."""
    if isinstance(error, reporters.Unauthenticated):
        return _unauthorized(str(error), ', error="invalid_token"')
    if isinstance(error, reporters.Forbidden):
        return problems.Problem(HTTPStatus.FORBIDDEN, str(error))
    if isinstance(error, limits.TooMany):
        return problems.Problem(
            HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after=error.retry_after
        )
    if isinstance(error, errors.Unstorable):
        return problems.Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the database cannot keep this report"
        )
    return None


def _unavailable(error: errors.Unavailable | TimeoutError) -> problems.Problem:
    """Say when to come back; what failed inside is for our log, not for a pod."""
    wait = RETRY_AFTER
    if isinstance(error, TimeoutError):
        detail = "not kept in time"
    elif isinstance(error, errors.StoreUnavailable):
        detail = "the database does not answer"
    elif isinstance(error, errors.ClusterUnavailable):
        detail = "the Kubernetes API server does not answer"
    else:
        detail = str(error)
    if isinstance(error, errors.Unavailable) and error.retry_after is not None:
        wait = error.retry_after
    return problems.Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=wait)

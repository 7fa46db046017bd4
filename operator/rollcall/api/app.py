"""The ingest API as an ASGI application.

Invariants:
- A report is answered within 5 seconds, the time that a sidecar waits, and with 200 only after
  COMMIT.
- Every other answer is a problem (RFC 9457), and 503 always says when to come back.
"""

import logging
import time
from http import HTTPStatus

from rollcall.api import answers, asgi, deadlines, problems, reports
from rollcall.core import errors
from rollcall.services import ingest as ingesting
from rollcall.services import limits, reporters

logger = logging.getLogger(__name__)

PATH = "/ingest/v1/reports"
HEALTH = "/healthz"
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


def ingest_app(ingest: ingesting.Ingest) -> asgi.Application:
    """Build the application for sidecars."""
    endpoint = _Reports(ingest)

    async def serve(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        place = (scope["method"], scope["path"])
        if place == ("POST", PATH):
            response = await endpoint.post(scope, receive)
        elif place in {("GET", HEALTH), ("HEAD", HEALTH)}:
            response = asgi.Response(body=b'{"status":"ok"}')
        else:
            response = _nowhere(scope["path"]).response()
        await response.send(send)

    return serve


def _nowhere(path: str) -> problems.Problem:
    allowed = {PATH: "POST", HEALTH: "GET, HEAD"}.get(path)
    detail = f"there is POST {PATH} and GET {HEALTH}"
    if allowed is None:
        return problems.Problem(HTTPStatus.NOT_FOUND, detail)
    return problems.Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed})


class _Reports:
    def __init__(self, ingest: ingesting.Ingest) -> None:
        self._ingest = ingest
        self._reading = deadlines.Deadlines(READ_WITHIN)
        self._answering = deadlines.Deadlines(ANSWER_WITHIN)
        self._unkept = 0
        self._complained_at = -COMPLAIN_EACH

    async def post(self, scope: asgi.Scope, receive: asgi.Receive) -> asgi.Response:
        """Answer one report and say how it ended."""
        try:
            content = await self._take(scope, receive)
        except problems.Problem as problem:
            self._ingest.on_outcome(_OUTCOMES.get(problem.status, "invalid"))
            return problem.response()
        self._ingest.on_outcome("acknowledged")
        return asgi.Response(body=content)

    async def _take(self, scope: asgi.Scope, receive: asgi.Receive) -> bytes:
        token = _bearer(scope)
        report = reports.read(await self._body(scope, receive))
        try:
            with self._answering.one():
                answer = await self._ingest.report(token, report.told, wants_run=report.wants_run)
        except Exception as error:
            raise self._problem(error) from error
        return answers.write(report, answer)

    async def _body(self, scope: asgi.Scope, receive: asgi.Receive) -> bytes:
        try:
            with self._reading.one():
                return await asgi.body(scope, receive, largest=LARGEST_BODY)
        except TimeoutError as error:
            raise problems.Problem(
                HTTPStatus.REQUEST_TIMEOUT, f"the body took longer than {READ_WITHIN:.0f} s"
            ) from error
        except asgi.TooLarge as error:
            raise _too_large() from error
        except asgi.Disconnected as error:
            raise problems.Problem(HTTPStatus.BAD_REQUEST, "the body is incomplete") from error

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


def _bearer(scope: asgi.Scope) -> str:
    scheme, _, token = asgi.header(scope, b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized("send the pod's token: Authorization: Bearer <token>")
    return token.strip()


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

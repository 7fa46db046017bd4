"""The one shape of every error answer: problem details (RFC 9457)."""

import math
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error answer. `detail` says what to do about it; `retry_after` is in seconds."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))

    def response(self) -> Response:
        """Return the answer."""
        content = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        return Response(
            msgspec.json.encode(content), self.status, self.headers, media_type=MEDIA_TYPE
        )


async def answer(_: Request, error: Exception) -> Response:
    """Answer an exception of the router: no such path, or a method that it does not have."""
    status = HTTPStatus(getattr(error, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR))
    headers = getattr(error, "headers", None)
    return Problem(status, _DETAILS.get(status, status.phrase), headers=headers).response()


_DETAILS = {
    HTTPStatus.NOT_FOUND: "there is POST /ingest/v1/reports and GET /healthz",
    HTTPStatus.METHOD_NOT_ALLOWED: "there is POST /ingest/v1/reports and GET /healthz",
}

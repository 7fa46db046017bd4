"""The one shape of every error answer: problem details (RFC 9457)."""

import math
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from rollcall.serving import messages

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

    def response(self) -> messages.Response:
        """Return the answer."""
        content = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        return messages.Response(
            body=msgspec.json.encode(content),
            status=self.status,
            media_type=MEDIA_TYPE,
            headers=self.headers,
        )

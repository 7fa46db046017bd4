"""What a program is told when something it sent is not taken: a status and a way out."""

from __future__ import annotations

import http


class Refused(Exception):
    """A request that is answered with a 4xx; the detail names what is allowed."""

    def __init__(
        self, status: http.HTTPStatus, detail: str, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after  # seconds


def unreadable(detail: str) -> Refused:
    """Refuse what cannot be read at all."""
    return Refused(http.HTTPStatus.BAD_REQUEST, detail)


def unfit(detail: str) -> Refused:
    """Refuse a field that is missing, unknown or of the wrong kind."""
    return Refused(http.HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def too_large(detail: str) -> Refused:
    """Refuse what is larger than a limit."""
    return Refused(http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def too_much(detail: str, retry_after: int = 1) -> Refused:
    """Refuse what would fit later; `retry_after` is in seconds."""
    return Refused(http.HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after)

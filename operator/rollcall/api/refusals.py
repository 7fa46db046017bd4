"""Why a report is not taken, as its sender is told it."""

from http import HTTPStatus

from rollcall.api import problems
from rollcall.core import errors
from rollcall.services import limits, reporters

RETRY_AFTER = 5.0  # seconds
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="rollcall"'}


def of(error: Exception) -> problems.Problem | None:
    """Return the answer to it; None if nobody expected it."""
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, errors.Unavailable | TimeoutError):
        return _unavailable(error)
    if isinstance(error, reporters.Unauthenticated | reporters.Forbidden | limits.TooMany):
        return _refused(error)
    if isinstance(error, errors.Unstorable):
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return problems.Problem(status, "the database cannot keep this report")
    return None


def unauthorized(detail: str, more: str = "") -> problems.Problem:
    """Ask for a token."""
    challenge = {name: value + more for name, value in _CHALLENGE.items()}
    return problems.Problem(HTTPStatus.UNAUTHORIZED, detail, headers=challenge)


def _refused(
    error: reporters.Unauthenticated | reporters.Forbidden | limits.TooMany,
) -> problems.Problem:
    if isinstance(error, reporters.Unauthenticated):
        return unauthorized(str(error), ', error="invalid_token"')
    if isinstance(error, reporters.Forbidden):
        return problems.Problem(HTTPStatus.FORBIDDEN, str(error))
    status, wait = HTTPStatus.TOO_MANY_REQUESTS, error.retry_after
    return problems.Problem(status, str(error), retry_after=wait)


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

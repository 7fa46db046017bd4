"""Rollcall's own errors.

RollcallError
├── InvalidSpec            a TrackedCronJob or AlertChannel that a person must change
├── Unavailable            a dependency does not answer now; trying again can help
│   ├── ClusterUnavailable    the Kubernetes API server
│   └── StoreUnavailable      Postgres
├── Unstorable             Postgres will never keep this value; trying again cannot help
├── Refused                the API server said no to this object; trying again cannot help
├── Undelivered            a receiver did not take a message
├── Conflict               somebody else changed or made the object first
└── NotFound               the object does not exist
"""


class RollcallError(Exception):
    """Everything that Rollcall raises on purpose."""


class InvalidSpec(RollcallError):
    """A resource that only a person can mend; `reason` is a condition reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unavailable(RollcallError):
    """A dependency does not answer now; `retry_after` is in seconds, if it named one."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ClusterUnavailable(Unavailable):
    """The Kubernetes API server does not answer, or asks to come back later."""


class StoreUnavailable(Unavailable):
    """Postgres does not answer, or the transaction could not be completed by retrying."""


class Unstorable(RollcallError):
    """A value that Postgres will never keep: a constraint or the type of its column forbids it."""


class Refused(RollcallError):
    """The API server refused the request for good; `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Undelivered(RollcallError):
    """A receiver did not take a message, as it says or we found."""


class Conflict(RollcallError):
    """Somebody else changed or made the object first."""


class NotFound(RollcallError):
    """The object does not exist."""

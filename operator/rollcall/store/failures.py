"""What Postgres and its driver answer, translated to Rollcall's errors.

Invariant: the decision rests on SQLSTATE and on constraint names, never on the text of a message.
Everything that is not listed here is a mistake of ours and stays what it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from rollcall.core import errors

UNIQUE_VIOLATION = "23505"
FOREIGN_KEY_VIOLATION = "23503"
READ_ONLY = "25006"  # after a failover: this is the old primary
LOCK_TIMEOUT = "55P03"
DIVISION_BY_ZERO = "22012"  # a statement of ours should have looked: no fault of the value
NO_PARTITION = "23514"  # "no partition of relation found for row"; our own checks share the code

# Serialization failure, deadlock, read-only, shutdown (57P01, 57P02) and starting up (57P03):
# the same transaction can succeed a moment later. Class 08 is a lost connection.
_RETRYABLE = ("40001", "40P01", READ_ONLY, "57P01", "57P02", "57P03", "08")
# Class 22 (a value too long, too large, no instant, not in this encoding), absent or against a
# CHECK, and a key too long for an index: whoever sent it must go without, and nobody else.
_UNSTORABLE = ("22", "23502", "23514", "54000")
# Refused login, absent database, schema or table, killed for idling, lock timeout, statement
# timeout, and the classes of a server that is short of something or broken.
_UNAVAILABLE = ("28", "3D000", "3F000", "42P01", "25P03", LOCK_TIMEOUT, "57", "53", "58")


class Retryable(errors.StoreUnavailable):
    """The transaction was undone by something that passes; doing all of it again can succeed."""


@contextmanager
def translated() -> Iterator[None]:
    """Translate what the driver raises inside."""
    try:
        yield
    except exc.DBAPIError as error:
        raise (_of(error) or error) from error
    except exc.TimeoutError as error:  # of the pool
        raise errors.StoreUnavailable("all connections to Postgres are in use") from error


def sqlstate(error: exc.DBAPIError) -> str:
    """Return the code of the failure, empty if the server did not name one."""
    return getattr(error.orig, "sqlstate", None) or ""


def constraint(error: exc.DBAPIError) -> str:
    """Return the name of the violated constraint, empty if there is none."""
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


def text(error: BaseException) -> str:
    """Return the first line of what the driver says; never the statement or its values."""
    said = str(error.orig if isinstance(error, exc.DBAPIError) else error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def _of(error: exc.DBAPIError) -> errors.RollcallError | None:
    code = sqlstate(error)
    if error.connection_invalidated or code.startswith(_RETRYABLE):
        return Retryable(f"Postgres: {text(error)}")
    if code.startswith(_UNAVAILABLE) or (not code and _is_of_connection(error)):
        return errors.StoreUnavailable(f"Postgres: {text(error)}")
    is_unstorable = code.startswith(_UNSTORABLE) and code != DIVISION_BY_ZERO
    if is_unstorable or (not code and isinstance(error, exc.DataError)):
        return errors.Unstorable(f"Postgres: {text(error)}")
    if code == UNIQUE_VIOLATION:
        return errors.Conflict(f"{constraint(error)} is taken")
    if code == FOREIGN_KEY_VIOLATION:
        return errors.NotFound(f"{constraint(error)} points at nothing")
    return None


def _is_of_connection(error: exc.DBAPIError) -> bool:
    return isinstance(error, exc.OperationalError | exc.InterfaceError)

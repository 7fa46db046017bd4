"""Instants as Kubernetes writes them (RFC 3339), to and from aware UTC datetimes."""

from datetime import UTC, datetime

# Some runtimes write the Unix epoch, and Go its zero time, for "never".
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)


def parse(raw: object) -> datetime | None:
    """Read an instant with whatever offset; None for anything else, and for "never"."""
    if not isinstance(raw, str):
        return None
    try:
        value = datetime.fromisoformat(raw)
        at = value.astimezone(UTC) if value.tzinfo else None
    except (ValueError, OverflowError):
        return None
    return at if at and at >= _FIRST else None


def text(at: datetime) -> str:
    """Write an instant, exact to the second, as metav1.Time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(at: datetime) -> str:
    """Write an instant, exact to the microsecond, as metav1.MicroTime."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""The one place that reads the time."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant, aware UTC."""
    return datetime.now(UTC)

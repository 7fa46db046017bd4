"""Rows of the outbox: their statuses, how one is read, and what a try changes of it."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rollcall.services import ports
from rollcall.store import models

_rows = models.table(models.Notification)

PENDING, DELIVERED, DEAD, SUPPRESSED = "pending", "delivered", "dead", "suppressed"
# Written as in the predicate of notifications_pending_idx.
IS_PENDING = sa.text("notifications.status = 'pending'")
# A message whose answer nobody had may have arrived all the same.
MAY_BE_HEARD = sa.or_(
    _rows.c.status == DELIVERED,
    sa.and_(_rows.c.status.in_((PENDING, SUPPRESSED)), _rows.c.attempts > 0),
)
# What a person reads about a failed try; bodies of error pages can be long.
ERROR_LIMIT = 2_000


def _begun() -> sa.ScalarSelect[Any]:
    """Return the thread that an earlier message of the incident began in the channel, the last."""
    earlier = _rows.alias()
    return (
        sa.select(earlier.c.thread)
        .where(
            earlier.c.incident_id == _rows.c.incident_id,
            earlier.c.channel == _rows.c.channel,
            earlier.c.id < _rows.c.id,
            earlier.c.thread.is_not(None),
        )
        .order_by(earlier.c.id.desc())
        .limit(1)
        .correlate(_rows)
        .scalar_subquery()
    )


COLUMNS = (*_rows.c, _begun().label("begun"))  # what `read` wants


def outcome_columns(outcome: ports.Outcome, now: datetime) -> dict[str, Any]:
    """Return what an outcome changes of a row."""
    values: dict[str, Any] = {
        "attempts": outcome.notification.attempts + outcome.counts,
        "last_error": outcome.error[:ERROR_LIMIT] if outcome.error else None,
    }
    if outcome.delivered:
        return values | {"status": DELIVERED, "delivered_at": now, "thread": outcome.thread}
    if outcome.retry_at is None:
        return values | {"status": DEAD, "dead_at": now if outcome.is_loss else None}
    return values | {"next_at": outcome.retry_at}


def read(row: sa.Row[Any]) -> ports.Notification:
    """Read a row of `notifications`."""
    return ports.Notification(
        id=row.id,
        incident_id=row.incident_id,
        channel=row.channel,
        key=row.key,
        type=row.type,
        payload=row.payload,
        attempts=row.attempts,
        created_at=row.created_at,
        thread=row.begun,
        digest_id=row.digest_id,
        waited_for=row.waited_for,
        waited_until=row.waited_until,
    )

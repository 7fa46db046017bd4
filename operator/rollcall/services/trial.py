"""Try a channel: one message that says what it is, and at once its end where it would stay."""

from datetime import datetime
from typing import Any
from uuid import UUID

from rollcall.core import errors, messages
from rollcall.services import ports


async def send(
    sender: ports.Sender,
    *,
    channel: str,
    cluster: str,
    namespace: str,
    identifier: UUID,
    now: datetime,
    stays: bool,
) -> ports.Delivery:
    """Send it past the outbox, once; `stays` says that the receiver keeps what it is told open.

    Raises errors.Undelivered with what came back.
    """
    opened = messages.trial(
        channel=channel, cluster=cluster, namespace=namespace, identifier=identifier, at=now
    )
    delivery = await _send(sender, channel, identifier, opened, now)
    if stays:
        await _send(sender, channel, identifier, messages.ended(opened, now), now)
    return delivery


async def _send(
    sender: ports.Sender, channel: str, identifier: UUID, payload: dict[str, Any], now: datetime
) -> ports.Delivery:
    delivery = await sender.send(
        ports.Notification(
            id=0,  # it has no row
            incident_id=identifier,
            channel=channel,
            key=messages.key(identifier, 1 if payload["incident"]["resolvedAt"] is None else 2),
            type=payload["type"],
            payload=payload,
            attempts=0,
            created_at=now,
        )
    )
    if not delivery.delivered:
        raise errors.Undelivered(delivery.error or "refused")
    return delivery

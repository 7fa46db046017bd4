"""Incidents, and who is told."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.core import incidents, policies
from rollcall.store import columns
from rollcall.store.models import base

_OF_CLUSTER = ", ".join(f"'{kind}'" for kind in policies.Kind if kind in policies.OF_CLUSTER)


class Incident(base.Base):
    """A finding kept from opened to resolved.

    At most one of a kind is open, per job, cluster or channel.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        Index(
            "incidents_open_key",
            "cronjob_id",
            "kind",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index(
            "incidents_open_of_cluster_key",
            "cluster",
            "kind",
            text("coalesce(channel, '')"),
            unique=True,
            postgresql_where=text("resolved_at IS NULL AND cluster IS NOT NULL"),
        ),
        Index(
            "incidents_of_cluster_idx",
            "cluster",
            text("opened_at DESC"),
            postgresql_where=text("cluster IS NOT NULL"),
        ),
        Index("incidents_history_idx", "cronjob_id", text("opened_at DESC")),
        Index("incidents_opened_idx", text("opened_at DESC"), text("id DESC")),
        Index(
            "incidents_current_idx",
            "cronjob_id",
            postgresql_where=text("resolved_at IS NULL OR dismissed"),
        ),
        base.one_of("kind", policies.Kind),
        base.one_of("severity", policies.Severity),
        CheckConstraint(
            f"(cronjob_id IS NULL) = (kind IN ({_OF_CLUSTER}))",
            name="owner",
        ),
        CheckConstraint("(cronjob_id IS NULL) = (cluster IS NOT NULL)", name="cluster"),
        CheckConstraint("(channel IS NOT NULL) = (kind = 'cannot_deliver')", name="channel"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"
        ),
        CheckConstraint("resolved_at IS NOT NULL OR NOT dismissed", name="dismissed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cronjob_id: Mapped[UUID | None] = mapped_column(ForeignKey("cronjobs.id", ondelete="CASCADE"))
    cluster: Mapped[str | None]  # of what is about no single job
    channel: Mapped[str | None]  # of what is about one of its channels
    kind: Mapped[str]
    severity: Mapped[str]
    reason: Mapped[str]
    message: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    execution_id: Mapped[UUID | None]
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    notified_at: Mapped[datetime | None]
    suppressed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    reasons: Mapped[list[str]] = mapped_column(ARRAY(columns.CleanText))
    inhibited_by: Mapped[str | None]
    silenced_by: Mapped[str | None]
    held_back: Mapped[bool] = mapped_column(server_default=text("false"))
    escalated: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    escalate_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    acknowledge_reason: Mapped[str | None]
    flapping: Mapped[bool] = mapped_column(server_default=text("false"))
    gone_since: Mapped[datetime | None]
    false_alarm: Mapped[bool] = mapped_column(server_default=text("false"))
    tell_again: Mapped[bool] = mapped_column(server_default=text("false"))
    dismissed: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(Integer)


class IncidentTransition(base.Base):
    """One step of an incident, with the reason for telling or not telling."""

    __tablename__ = "incident_transitions"
    __table_args__ = (
        base.one_of("transition", incidents.Transition),
        base.one_of("severity", policies.Severity),
    )

    incident_id: Mapped[UUID] = mapped_column(
        ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime]
    transition: Mapped[str]
    severity: Mapped[str]
    reason: Mapped[str]
    message: Mapped[str]
    notify: Mapped[bool]
    why: Mapped[str]


class Notification(base.Base):
    """The outbox: one row per incident transition and channel."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("notifications_key", "channel", "key", unique=True),
        Index(
            "notifications_pending_idx",
            "cluster",
            "next_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("notifications_incident_idx", "incident_id", "channel", "id"),
        Index(
            "notifications_digest_idx",
            "digest_id",
            postgresql_where=text("digest_id IS NOT NULL"),
        ),
        Index(
            "notifications_sent_idx",
            "cluster",
            "channel",
            "delivered_at",
            postgresql_where=text("delivered_at IS NOT NULL"),
        ),
        Index(
            "notifications_dead_idx",
            "cluster",
            "dead_at",
            postgresql_where=text("dead_at IS NOT NULL"),
        ),
        base.one_of("status", ("pending", "delivered", "dead", "suppressed")),
        CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="delivered_at"),
        CheckConstraint("dead_at IS NULL OR status = 'dead'", name="dead_at"),
        CheckConstraint("(status = 'suppressed') = (suppressed_by IS NOT NULL)", name="suppressed"),
        CheckConstraint("(waited_for IS NULL) = (waited_until IS NULL)", name="waited"),
        CheckConstraint("digest_id <= id", name="digest"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cluster: Mapped[str]  # whose operator delivers it
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id", ondelete="CASCADE"))
    channel: Mapped[str]
    key: Mapped[str]
    type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime]
    next_at: Mapped[datetime]  # due from here on; a claim moves it to the end of its lease
    holder: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]  # when it was given up, though it was to be delivered
    last_error: Mapped[str | None]
    suppressed_by: Mapped[str | None]  # why it was not sent
    # What a channel needs to find the first message of the incident, if this one was it.
    thread: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # The first of the rows that one message tells of at once, of itself too.
    digest_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("notifications.id", ondelete="SET NULL")
    )
    waited_for: Mapped[str | None]  # what it was last made to wait for, and until when
    waited_until: Mapped[datetime | None]

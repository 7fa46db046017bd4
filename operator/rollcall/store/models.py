"""The tables. Named constraints hold the invariants; `store.failures` translates their violations.

`executions` and `attempts` have no foreign keys: attaching a weekly partition would lock out all
writers of `cronjobs`, and a run may be recorded before its job is registered.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    MetaData,
    Table,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rollcall.core import executions, health, incidents, policies
from rollcall.store import columns

NAMING = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def _one_of(column: str, values: Iterable[StrEnum | str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Base(DeclarativeBase):
    """Common column types: aware instants, text without a length."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        timedelta: Interval,
        str: columns.CleanText,
        UUID: Uuid,
        dict[str, Any]: JSONB,
    }


class CronJob(Base):
    """One row per TrackedCronJob UID of a cluster; its latest state and when to look again."""

    __tablename__ = "cronjobs"
    __table_args__ = (
        Index(
            "cronjobs_live_name_key",
            "cluster",
            "namespace",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "cronjobs_due_idx",
            "cluster",
            "next_check_at",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        _one_of("health", health.Health),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cluster: Mapped[str]
    uid: Mapped[str]
    namespace: Mapped[str]
    name: Mapped[str]
    group: Mapped[str | None]
    policy: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    cronjob_uid: Mapped[str | None]
    generation: Mapped[int | None] = mapped_column(BigInteger)
    spec_hash: Mapped[str | None]
    judged_through: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_schedule_at: Mapped[datetime | None]
    consecutive_failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    health: Mapped[str] = mapped_column(server_default=text("'New'"))
    next_slot_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime]


class ScheduleRevision(Base):
    """A rhythm as applied, from a moment on."""

    __tablename__ = "schedule_revisions"
    __table_args__ = (_one_of("concurrency", ("Allow", "Forbid", "Replace")),)

    cronjob_id: Mapped[UUID] = mapped_column(
        ForeignKey("cronjobs.id", ondelete="CASCADE"), primary_key=True
    )
    effective_from: Mapped[datetime] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    schedule: Mapped[str]
    time_zone: Mapped[str]
    deadline: Mapped[timedelta]
    concurrency: Mapped[str]
    suspended: Mapped[bool]


class Execution(Base):
    """One row per run and per slot that did not run; weekly partitions on `slot_at`."""

    __tablename__ = "executions"
    __table_args__ = (
        Index(
            "executions_slot_key",
            "slot_at",
            "cronjob_id",
            unique=True,
            postgresql_where=text("trigger = 'schedule'"),
        ),
        Index("executions_job_key", "slot_at", "job_uid", unique=True),
        Index("executions_history_idx", "cronjob_id", text("slot_at DESC"), text("id DESC")),
        Index(
            "executions_open_idx",
            "cronjob_id",
            postgresql_where=text("status IN ('pending', 'queued', 'running')"),
        ),
        _one_of("trigger", executions.Trigger),
        _one_of("status", executions.Status),
        CheckConstraint(
            "status NOT IN ('pending', 'queued', 'running') OR ended_at IS NULL",
            name="open_not_ended",
        ),
        CheckConstraint(
            "status NOT IN ('missed', 'skipped') OR job_uid IS NULL", name="nothing_ran"
        ),
        CheckConstraint(
            "status NOT IN ('missed', 'skipped', 'unknown', 'cancelled', 'replaced')"
            " OR reason IS NOT NULL",
            name="reason_given",
        ),
        {"postgresql_partition_by": "RANGE (slot_at)"},
    )

    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    cronjob_id: Mapped[UUID]
    trigger: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    message: Mapped[str | None]
    exit_code: Mapped[int | None]
    job_name: Mapped[str | None]
    job_uid: Mapped[str | None]
    created_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Attempt(Base):
    """One pod of an execution. Heartbeats touch no indexed column, so that they stay HOT."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("attempts_execution_idx", "execution_id"),
        Index("attempts_cronjob_idx", "cronjob_id", text("slot_at DESC")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    pod_uid: Mapped[str] = mapped_column(primary_key=True)
    execution_id: Mapped[UUID]
    slot_at: Mapped[datetime]
    cronjob_id: Mapped[UUID]
    job_uid: Mapped[str]
    pod_name: Mapped[str]
    index: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    waiting_reason: Mapped[str | None]
    sidecar_waiting: Mapped[str | None]
    exit_code: Mapped[int | None]
    reason: Mapped[str | None]
    message: Mapped[str | None]
    last_heartbeat_at: Mapped[datetime | None]
    heartbeats: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class Incident(Base):
    """A finding kept from opened to resolved; at most one open per job and kind."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index(
            "incidents_open_key",
            "cronjob_id",
            "kind",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("incidents_history_idx", "cronjob_id", text("opened_at DESC")),
        _one_of("kind", policies.Kind),
        _one_of("severity", policies.Severity),
        CheckConstraint("version >= 1", name="version"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cronjob_id: Mapped[UUID] = mapped_column(ForeignKey("cronjobs.id", ondelete="CASCADE"))
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
    version: Mapped[int] = mapped_column(Integer)


class IncidentTransition(Base):
    """One step of an incident, with the reason for telling or not telling."""

    __tablename__ = "incident_transitions"
    __table_args__ = (
        _one_of("transition", incidents.Transition),
        _one_of("severity", policies.Severity),
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


class Notification(Base):
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
        _one_of("status", ("pending", "delivered", "dead")),
        CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="delivered_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cluster: Mapped[str]  # whose operator delivers it
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id", ondelete="CASCADE"))
    channel: Mapped[str]
    key: Mapped[str]
    type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))  # pending delivered dead
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime]
    next_at: Mapped[datetime]  # due from here on; a claim moves it to the end of its lease
    holder: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


def table(model: type[Base]) -> Table:
    """Return the table behind a model, for statements that need no session."""
    return cast("Table", model.__table__)

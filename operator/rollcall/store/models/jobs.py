"""Clusters, their jobs, and the schedules as applied."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.core import health
from rollcall.store.models import base


class Cluster(base.Base):
    """Until when a cluster was seen and its reports kept, by the database's clock."""

    __tablename__ = "clusters"

    cluster: Mapped[str] = mapped_column(primary_key=True)
    observed_through: Mapped[datetime | None]
    kept_since: Mapped[datetime | None]
    kept_through: Mapped[datetime | None]


class CronJob(base.Base):
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
        base.one_of("health", health.Health),
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


class ScheduleRevision(base.Base):
    """A rhythm as applied, from a moment on."""

    __tablename__ = "schedule_revisions"
    __table_args__ = (base.one_of("concurrency", ("Allow", "Forbid", "Replace")),)

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


class JobTemplate(base.Base):
    """What Jobs of a job were made from, once for each that differs; the hash names it.

    `seen_at` moves once a week while runs have it: what no run has had for long may go.
    """

    __tablename__ = "job_templates"

    cronjob_id: Mapped[UUID] = mapped_column(
        ForeignKey("cronjobs.id", ondelete="CASCADE"), primary_key=True
    )
    hash: Mapped[str] = mapped_column(primary_key=True)
    summary: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime]

"""What became of each slot and run."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    Integer,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.core import executions, reporting
from rollcall.store import columns
from rollcall.store.models import base

# What history is asked for most, among thousands of successes.
TROUBLE = (
    executions.Status.FAILED,
    executions.Status.PARTIAL,
    executions.Status.CANCELLED,
    executions.Status.REPLACED,
    executions.Status.MISSED,
    executions.Status.SKIPPED,
    executions.Status.UNKNOWN,
)
_IS_TROUBLE = text("status IN (" + ", ".join(f"'{status}'" for status in TROUBLE) + ")")


class Execution(base.Base):
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
        Index(
            "executions_trouble_idx",
            "status",
            text("slot_at DESC"),
            text("id DESC"),
            postgresql_where=_IS_TROUBLE,
        ),
        Index(
            "executions_cronjob_trouble_idx",
            "cronjob_id",
            text("slot_at DESC"),
            text("id DESC"),
            postgresql_where=_IS_TROUBLE,
        ),
        Index(
            "executions_unscheduled_idx",
            "trigger",
            text("slot_at DESC"),
            text("id DESC"),
            postgresql_where=text("trigger <> 'schedule'"),
        ),
        base.one_of("trigger", executions.Trigger),
        base.one_of("status", executions.Status),
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
    waiting_since: Mapped[datetime | None]
    template_hash: Mapped[str | None]  # what its Job was made from: `job_templates`


_NUMBER = f"BETWEEN 0 AND {reporting.LARGEST_NUMBER}"


class Attempt(base.Base):
    """One pod of an execution. Reports touch no indexed column, so that they stay HOT."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("attempts_execution_idx", "execution_id"),
        Index("attempts_cronjob_idx", "cronjob_id", text("slot_at DESC")),
        CheckConstraint(f"done {_NUMBER}", name="done"),
        CheckConstraint(f"total {_NUMBER}", name="total"),
        base.at_most("stage", reporting.LONGEST_STAGE),
        base.at_most("progress_message", reporting.LONGEST_PROGRESS_MESSAGE),
        base.one_of("result", reporting.Verdict),
        base.at_most("result_message", reporting.LONGEST_MESSAGE),
        base.at_most("metadata", 2 * reporting.LARGEST_METADATA, of=base.JSON_SIZE),
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
    # The starts of the sidecar that were heard, newest last: the last few, after so many others.
    boots: Mapped[list[str]] = mapped_column(ARRAY(columns.CleanText), server_default=text("'{}'"))
    boots_before: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    # Items of the newest boot up to here are kept, counted or refused.
    settled_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    progress_seq: Mapped[int | None] = mapped_column(BigInteger)
    progress_at: Mapped[datetime | None]
    done: Mapped[float | None]
    total: Mapped[float | None]
    stage: Mapped[str | None]
    progress_message: Mapped[str | None]
    counters: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    progress_first_at: Mapped[datetime | None]
    progress_first_done: Mapped[float | None]
    moved_at: Mapped[datetime | None]  # when `done` or a counter last changed
    errors: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    dead_letters: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    result: Mapped[str | None]
    result_message: Mapped[str | None]
    result_counters: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # In the table it is `metadata`, a name that SQLAlchemy keeps for itself.
    result_metadata: Mapped[dict[str, Any] | None] = mapped_column(
        "metadata", JSONB(none_as_null=True)
    )
    result_at: Mapped[datetime | None]
    lost: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    final_at: Mapped[datetime | None]
    node: Mapped[str | None]
    # By container, as the runtime calls the image that it found behind the name.
    image_ids: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class ExecutionEvent(base.Base):
    """One line of an execution's story; in weekly partitions like the executions themselves.

    The id follows from all the rest, so that repeating a line adds none.
    """

    __tablename__ = "execution_events"
    __table_args__ = ({"postgresql_partition_by": "RANGE (slot_at)"},)

    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    execution_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    source: Mapped[str]
    reason: Mapped[str]
    message: Mapped[str]


class Gap(base.Base):
    """A stretch of time told as one row instead of one execution per slot."""

    __tablename__ = "gaps"
    __table_args__ = (
        base.one_of("status", ("missed", "unknown", "suspended", "blind")),
        CheckConstraint("count >= 0", name="count"),
        CheckConstraint("until_at >= from_at", name="forward"),
    )

    cronjob_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    until_at: Mapped[datetime | None]  # None while it goes on
    reason: Mapped[str]
    message: Mapped[str]
    count: Mapped[int] = mapped_column(Integer)

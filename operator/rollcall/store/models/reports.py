"""What programs report one by one: checkpoints, errors and dead letters; and windows of time."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.core import dead_letters, reporting, windows
from rollcall.store.models import base


class Checkpoint(base.Base):
    """Where a later run can go on; the newest few of each pod.

    The order is that of (attempt, pod, boot_number, seq), which repeating a report cannot change.
    """

    __tablename__ = "checkpoints"
    __table_args__ = (
        Index("checkpoints_cronjob_idx", "cronjob_id", text("slot_at DESC")),
        base.at_most("value", 2 * reporting.LARGEST_VALUE, of=base.JSON_SIZE),
    )

    pod_uid: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    execution_id: Mapped[UUID]
    slot_at: Mapped[datetime]
    cronjob_id: Mapped[UUID]
    index: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    boot_number: Mapped[int] = mapped_column(Integer)  # which start of the pod's sidecar
    at: Mapped[datetime]
    value: Mapped[Any] = mapped_column(JSONB)


class ExecutionError(base.Base):
    """One error that a program reported."""

    __tablename__ = "execution_errors"
    __table_args__ = (
        Index("execution_errors_cronjob_idx", "cronjob_id", text("slot_at DESC")),
        base.at_most("type", reporting.LONGEST_TYPE),
        base.at_most("message", reporting.LONGEST_MESSAGE),
        base.at_most("item", reporting.LONGEST_ITEM),
        base.one_of("class", reporting.ErrorClass),
        CheckConstraint(f"retry_after BETWEEN 0 AND {reporting.LONGEST_RETRY}", name="retry_after"),
    )

    pod_uid: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    execution_id: Mapped[UUID]
    slot_at: Mapped[datetime]
    cronjob_id: Mapped[UUID]
    at: Mapped[datetime]
    type: Mapped[str]
    message: Mapped[str]
    item: Mapped[str | None]
    class_: Mapped[str | None] = mapped_column("class")
    retry_after: Mapped[float | None]  # seconds
    fingerprint: Mapped[str]


class ErrorSignature(base.Base):
    """Errors of one job that differ only in numbers, names and times."""

    __tablename__ = "error_signatures"
    __table_args__ = (CheckConstraint("count >= 1", name="count"),)

    cronjob_id: Mapped[UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    message: Mapped[str]  # normalised
    sample: Mapped[str]  # the first of them, as it was
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class DeadLetter(base.Base):
    """An item that a program could not process, and what became of it."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index("dead_letters_cronjob_idx", "cronjob_id", text("slot_at DESC")),
        Index("dead_letters_history_idx", text("at DESC"), text("id DESC")),
        Index("dead_letters_cronjob_history_idx", "cronjob_id", text("at DESC"), text("id DESC")),
        Index(
            "dead_letters_requeued_idx",
            "cronjob_id",
            "state_at",
            "id",
            postgresql_where=text("state = 'requeued'"),
        ),
        base.at_most("item", reporting.LONGEST_ITEM),
        base.at_most("payload", 2 * reporting.LARGEST_VALUE, of=base.JSON_SIZE),
        base.at_most("error", reporting.LONGEST_MESSAGE),
        base.one_of("state", dead_letters.State),
        CheckConstraint("state = 'open' OR actor IS NOT NULL", name="actor_given"),
        CheckConstraint("(handed_to IS NULL) = (handed_at IS NULL)", name="handed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cronjob_id: Mapped[UUID]
    execution_id: Mapped[UUID]
    slot_at: Mapped[datetime]
    at: Mapped[datetime]
    item: Mapped[str]
    payload: Mapped[Any] = mapped_column(JSONB)
    error: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    state_at: Mapped[datetime]
    actor: Mapped[str | None]  # who brought it into this state
    note: Mapped[str | None]
    handed_to: Mapped[UUID | None]  # the execution that was asked to process it again
    handed_at: Mapped[datetime | None]


class Window(base.Base):
    """A stretch of time that one run processes; at most one open per job."""

    __tablename__ = "windows"
    __table_args__ = (
        Index(
            "windows_open_key",
            "cronjob_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("windows_history_idx", "cronjob_id", "state", text("until_at DESC")),
        base.one_of("state", windows.State),
        CheckConstraint("until_at > from_at", name="forward"),
        CheckConstraint("until_at <= slot_at", name="within_slot"),
        CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="ended"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cronjob_id: Mapped[UUID]
    execution_id: Mapped[UUID]
    slot_at: Mapped[datetime]
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

"""Daily numbers."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    Integer,
    SmallInteger,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.core import executions
from rollcall.store.models import base


class RollupDay(base.Base):
    """The executions of one job, UTC day of the slot, and final status.

    The histogram is sparse: `counts[i]` runs lasted as long as bucket `buckets[i]` says.
    """

    __tablename__ = "rollup_day"
    __table_args__ = (base.one_of("status", executions.Status),)

    cronjob_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float]  # all durations together
    longest: Mapped[float | None]
    buckets: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class RolledDay(base.Base):
    """A day of which every job's roll-up is there; of others the executions are read."""

    __tablename__ = "rolled_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    rolled_at: Mapped[datetime]

"""What keeps alerts quiet."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.store.models import base


class Silence(base.Base):
    """One silence; `selector` is as it was written. It ends by itself, or earlier by somebody."""

    __tablename__ = "silences"
    __table_args__ = (
        Index("silences_end_idx", "cluster", "ends_at"),
        CheckConstraint("ends_at >= starts_at", name="forward"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    cluster: Mapped[str]
    selector: Mapped[dict[str, Any]]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    author: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[datetime]
    ended_by: Mapped[str | None]  # who ended it before its time

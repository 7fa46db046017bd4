"""What people and runs did, and what it changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.store.models import base


class AuditEntry(base.Base):
    """One act; never changed afterwards."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("audit_log_object_idx", "object", "id"),
        Index("audit_log_at_idx", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    verb: Mapped[str]
    object: Mapped[str]  # kind/id
    reason: Mapped[str | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

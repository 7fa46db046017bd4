"""What all tables have in common."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, DateTime, Double, Interval, MetaData, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from rollcall.store import columns

NAMING = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def one_of(column: str, values: Iterable[StrEnum | str]) -> CheckConstraint:
    """Allow these values alone."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


# How large a column's value is: in characters, or as the bytes of its JSON. Postgres writes spaces
# after separators, which at most double what was measured at the edge.
CHARACTERS = "length({})"
JSON_SIZE = "octet_length({}::text)"


def at_most(column: str, largest: int, *, of: str = CHARACTERS) -> CheckConstraint:
    """Bound the size of a column's values."""
    return CheckConstraint(f"{of.format(column)} <= {largest}", name=column)


class Base(DeclarativeBase):
    """Common column types: aware instants, text without a length."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        date: Date,
        datetime: DateTime(timezone=True),
        float: Double,
        timedelta: Interval,
        str: columns.CleanText,
        UUID: Uuid,
        dict[str, Any]: JSONB,
    }


def table(model: type[Base]) -> Table:
    """Return the table behind a model, for statements that need no session."""
    return cast("Table", model.__table__)

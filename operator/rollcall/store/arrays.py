"""Many rows in one statement of a fixed text: each column travels as one array.

A statement per row costs a round trip per row; a VALUES list is another statement for each number
of rows, which is compiled and prepared anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa


def rows(table: sa.Table, names: Iterable[str]) -> sa.TableValuedAlias:
    """Build the rows that came in, with columns named and typed as the table's."""
    columns = [table.c[name] for name in names]
    arrays = [
        sa.bindparam(_parameter(column.name), type_=sa.ARRAY(column.type)) for column in columns
    ]
    given = [sa.column(column.name, column.type) for column in columns]
    return sa.func.unnest(*arrays).table_valued(*given).render_derived()


def parameters(found: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, list[Any]]:
    """Turn rows into the parameters of such a statement."""
    return {_parameter(name): [row[name] for row in found] for name in names}


def _parameter(name: str) -> str:
    # SQLAlchemy keeps the names of columns for itself in INSERT and UPDATE.
    return f"given_{name}"

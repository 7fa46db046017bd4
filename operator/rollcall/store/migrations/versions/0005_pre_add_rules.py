"""Let incidents be of the kinds that rules have learnt since, and add what these look at.

The release before this one goes on writing meanwhile; it knows neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KINDS = ["late", "missed", "failing", "stale", "overrunning", "no_progress", "errors"]
_NEW = [
    "skipped",
    "suspended",
    "too_fast",
    "cannot_start",
    "failure_rate",
    "slow",
    "silent",
    "counter",
]


def upgrade() -> None:
    """Add since when a run waits for its reason and reports are kept, and allow the kinds."""
    op.execute("ALTER TABLE executions ADD COLUMN waiting_since timestamptz")
    op.execute(
        "ALTER TABLE clusters"
        " ADD COLUMN kept_since timestamptz, ADD COLUMN kept_through timestamptz"
    )
    _allow([*_KINDS, *_NEW])


def downgrade() -> None:
    """Drop what was found of them, and what they looked at."""
    found = sa.text("DELETE FROM incidents WHERE kind = ANY(:kinds)")
    op.execute(found.bindparams(kinds=_NEW))
    _allow(_KINDS)
    op.execute("ALTER TABLE executions DROP COLUMN waiting_since")
    op.execute("ALTER TABLE clusters DROP COLUMN kept_since, DROP COLUMN kept_through")


def _allow(kinds: list[str]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.execute(
        "ALTER TABLE incidents DROP CONSTRAINT incidents_kind_check,"
        f" ADD CONSTRAINT incidents_kind_check CHECK (kind IN ({listed}))"
    )

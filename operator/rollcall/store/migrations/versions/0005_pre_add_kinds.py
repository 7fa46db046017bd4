"""Let incidents be of the kinds that rules have learnt since.

The release before this one writes none of them, and goes on writing its own.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KINDS = "'late', 'missed', 'failing', 'stale', 'overrunning', 'no_progress', 'errors'"
_NEW = "'skipped', 'suspended', 'too_fast'"


def upgrade() -> None:
    """Allow them."""
    _allow(f"{_KINDS}, {_NEW}")


def downgrade() -> None:
    """Drop what was found of them."""
    op.execute(f"DELETE FROM incidents WHERE kind IN ({_NEW})")  # noqa: S608 - only our own words
    _allow(_KINDS)


def _allow(kinds: str) -> None:
    op.execute(
        "ALTER TABLE incidents DROP CONSTRAINT incidents_kind_check,"
        f" ADD CONSTRAINT incidents_kind_check CHECK (kind IN ({kinds}))"
    )

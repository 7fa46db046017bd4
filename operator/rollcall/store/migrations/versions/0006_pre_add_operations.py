"""Add what people do with alerts.

Only additions: the release before this one goes on writing meanwhile.
"""

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = ("CREATE INDEX incidents_opened_idx ON incidents (opened_at DESC, id DESC)",)


def upgrade() -> None:
    """Add the index that all incidents are listed by."""
    for statement in _INDEXES:
        op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX incidents_opened_idx")

"""Add where the first message of an incident is, for channels that keep the later ones with it.

Only an addition: the release before this one goes on writing meanwhile.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no row is rewritten."""
    op.execute("ALTER TABLE notifications ADD COLUMN thread jsonb")


def downgrade() -> None:
    """Drop it: what follows an open incident is then posted by itself."""
    op.execute("ALTER TABLE notifications DROP COLUMN thread")

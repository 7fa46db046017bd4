"""Add until when each cluster was seen, so that a restart knows how long nobody looked."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the release before this one does not know it."""
    op.execute(
        """
        CREATE TABLE clusters (
            cluster text NOT NULL,
            observed_through timestamptz,
            CONSTRAINT clusters_pkey PRIMARY KEY (cluster)
        )
        """
    )


def downgrade() -> None:
    """Drop it; the next start counts as the first."""
    op.execute("DROP TABLE clusters")

"""Add what runs were made from: their Job templates, the images behind them and their nodes.

Only additions: the release before this one goes on writing meanwhile.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE job_templates (
        cronjob_id uuid NOT NULL,
        hash text NOT NULL,
        summary jsonb NOT NULL,
        seen_at timestamptz NOT NULL,
        CONSTRAINT job_templates_pkey PRIMARY KEY (cronjob_id, hash),
        CONSTRAINT job_templates_cronjob_id_fkey
            FOREIGN KEY (cronjob_id) REFERENCES cronjobs (id) ON DELETE CASCADE
    )
    """,
    "ALTER TABLE executions ADD COLUMN template_hash text",
    "ALTER TABLE attempts ADD COLUMN node text, ADD COLUMN image_ids jsonb",
)


def upgrade() -> None:
    """Add the table and the columns; no row is rewritten."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; what changed since the last success is then not known any more."""
    op.execute("ALTER TABLE attempts DROP COLUMN node, DROP COLUMN image_ids")
    op.execute("ALTER TABLE executions DROP COLUMN template_hash")
    op.execute("DROP TABLE job_templates")

"""Let incidents be about a cluster as a whole.

The release before this one goes on writing meanwhile: what it writes has a job, and it reads
incidents by their job, so it meets none of the new ones.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KINDS = (
    "'late', 'missed', 'failing', 'stale', 'overrunning', 'no_progress', 'errors', 'skipped',"
    " 'suspended', 'too_fast', 'cannot_start', 'failure_rate', 'slow', 'silent', 'counter'"
)
_NEW = "'blind', 'missed_widely', 'cannot_pull'"
_ADD = f"""
    ALTER TABLE incidents
        ADD COLUMN cluster text,
        ALTER COLUMN cronjob_id DROP NOT NULL,
        DROP CONSTRAINT incidents_kind_check,
        ADD CONSTRAINT incidents_kind_check CHECK (kind IN ({_KINDS}, {_NEW})),
        ADD CONSTRAINT incidents_owner_check CHECK ((cronjob_id IS NULL) = (kind IN ({_NEW}))),
        ADD CONSTRAINT incidents_cluster_check
            CHECK ((cronjob_id IS NULL) = (cluster IS NOT NULL))
"""
_INDEXES = (
    """
    CREATE UNIQUE INDEX incidents_open_of_cluster_key ON incidents (cluster, kind)
    WHERE resolved_at IS NULL AND cluster IS NOT NULL
    """,
    """
    CREATE INDEX incidents_of_cluster_idx ON incidents (cluster, opened_at DESC)
    WHERE cluster IS NOT NULL
    """,
)
_UNEXPLAIN = """
    UPDATE incidents SET inhibited_by = NULL
    WHERE inhibited_by IN ('blind', 'cannot_pull', 'missed_widely')
"""
_DROP = f"""
    ALTER TABLE incidents
        DROP COLUMN cluster,
        DROP CONSTRAINT incidents_owner_check,
        ALTER COLUMN cronjob_id SET NOT NULL,
        DROP CONSTRAINT incidents_kind_check,
        ADD CONSTRAINT incidents_kind_check CHECK (kind IN ({_KINDS}))
"""


def upgrade() -> None:
    """Add whose they are, and what Postgres holds of that."""
    for statement in (_ADD, *_INDEXES):
        op.execute(statement)


def downgrade() -> None:
    """Drop those about a cluster, and let what they explained be told."""
    op.execute("DELETE FROM incidents WHERE cronjob_id IS NULL")
    op.execute(_UNEXPLAIN)
    op.execute(_DROP)

"""Let incidents be about a channel, and keep when a message was given up.

The release before this one goes on writing meanwhile: it opens none of these incidents, and what
it gives up it does not date.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_JOBS_KINDS = (
    "'late', 'missed', 'failing', 'stale', 'overrunning', 'no_progress', 'errors', 'skipped',"
    " 'suspended', 'too_fast', 'cannot_start', 'failure_rate', 'slow', 'silent', 'counter'"
)
_BEFORE = "'blind', 'missed_widely', 'cannot_pull'"
_AFTER = f"{_BEFORE}, 'cannot_deliver'"


def _kinds(of_cluster: str) -> str:
    return f"""
        DROP CONSTRAINT incidents_kind_check,
        ADD CONSTRAINT incidents_kind_check CHECK (kind IN ({_JOBS_KINDS}, {of_cluster})),
        DROP CONSTRAINT incidents_owner_check,
        ADD CONSTRAINT incidents_owner_check
            CHECK ((cronjob_id IS NULL) = (kind IN ({of_cluster})))
    """


_ADD = f"""
    ALTER TABLE incidents
        ADD COLUMN channel text,
        {_kinds(_AFTER)},
        ADD CONSTRAINT incidents_channel_check
            CHECK ((channel IS NOT NULL) = (kind = 'cannot_deliver'))
"""
_DROP = f"ALTER TABLE incidents DROP COLUMN channel, {_kinds(_BEFORE)}"
_DIED = """
    ALTER TABLE notifications
        ADD COLUMN dead_at timestamptz,
        ADD CONSTRAINT notifications_dead_at_check CHECK (dead_at IS NULL OR status = 'dead')
"""
_DIED_INDEX = """
    CREATE INDEX notifications_dead_idx ON notifications (cluster, dead_at)
    WHERE dead_at IS NOT NULL
"""
_ONE_OPEN = """
    CREATE UNIQUE INDEX incidents_open_of_cluster_key ON incidents ({what})
    WHERE resolved_at IS NULL AND cluster IS NOT NULL
"""


def upgrade() -> None:
    """Add both; at most one incident of a channel is open."""
    op.execute(_ADD)
    op.execute("DROP INDEX incidents_open_of_cluster_key")
    op.execute(_ONE_OPEN.format(what="cluster, kind, coalesce(channel, '')"))
    op.execute(_DIED)
    op.execute(_DIED_INDEX)


def downgrade() -> None:
    """Drop the incidents about channels with their messages, and the rest."""
    op.execute("DELETE FROM incidents WHERE channel IS NOT NULL")
    op.execute("DROP INDEX incidents_open_of_cluster_key")
    op.execute(_DROP)
    op.execute(_ONE_OPEN.format(what="cluster, kind"))
    op.execute("ALTER TABLE notifications DROP COLUMN dead_at")

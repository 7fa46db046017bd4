"""Add what waits in the outbox, what one message tells of at once, and incidents that flap.

Only additions: the release before this one goes on writing meanwhile.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_COLUMNS = """
    ALTER TABLE notifications
        ADD COLUMN digest_id bigint,
        ADD COLUMN waited_for text,
        ADD COLUMN waited_until timestamptz,
        ADD CONSTRAINT notifications_digest_id_fkey
            FOREIGN KEY (digest_id) REFERENCES notifications (id) ON DELETE SET NULL,
        ADD CONSTRAINT notifications_waited_check
            CHECK ((waited_for IS NULL) = (waited_until IS NULL)),
        ADD CONSTRAINT notifications_digest_check CHECK (digest_id <= id)
"""
_INCIDENTS = """
    ALTER TABLE incidents
        ADD COLUMN flapping boolean NOT NULL DEFAULT false,
        ADD COLUMN gone_since timestamptz
"""
_INDEXES = (
    """
    CREATE INDEX notifications_digest_idx ON notifications (digest_id)
    WHERE digest_id IS NOT NULL
    """,
    """
    CREATE INDEX notifications_sent_idx ON notifications (cluster, channel, delivered_at)
    WHERE delivered_at IS NOT NULL
    """,
)


def upgrade() -> None:
    """Add the columns, and the indexes that delivery uses."""
    for statement in (_COLUMNS, _INCIDENTS, *_INDEXES):
        op.execute(statement)


def downgrade() -> None:
    """Drop them; what waits in a bundle is sent one by one."""
    op.execute(
        "ALTER TABLE notifications"
        " DROP COLUMN digest_id, DROP COLUMN waited_for, DROP COLUMN waited_until"
    )
    op.execute("ALTER TABLE incidents DROP COLUMN flapping, DROP COLUMN gone_since")

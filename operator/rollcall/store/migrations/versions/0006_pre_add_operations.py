"""Add what people do with alerts.

Only additions: the release before this one goes on writing meanwhile.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INCIDENTS = """
    ALTER TABLE incidents
        ADD COLUMN acknowledged_at timestamptz,
        ADD COLUMN acknowledged_by text,
        ADD COLUMN acknowledge_reason text,
        ADD COLUMN false_alarm boolean NOT NULL DEFAULT false,
        ADD COLUMN tell_again boolean NOT NULL DEFAULT false,
        ADD COLUMN dismissed boolean NOT NULL DEFAULT false,
        ADD COLUMN silenced_by text,
        ADD COLUMN held_back boolean NOT NULL DEFAULT false,
        ADD COLUMN escalated integer NOT NULL DEFAULT 0,
        ADD COLUMN escalate_at timestamptz,
        ADD CONSTRAINT incidents_acknowledged_check
            CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
        ADD CONSTRAINT incidents_dismissed_check CHECK (resolved_at IS NOT NULL OR NOT dismissed)
"""
_NOTIFICATIONS = """
    ALTER TABLE notifications
        ADD COLUMN suppressed_by text,
        DROP CONSTRAINT notifications_status_check,
        ADD CONSTRAINT notifications_status_check
            CHECK (status IN ('pending', 'delivered', 'dead', 'suppressed')),
        ADD CONSTRAINT notifications_suppressed_check
            CHECK ((status = 'suppressed') = (suppressed_by IS NOT NULL))
"""
_OLD_NOTIFICATIONS = """
    ALTER TABLE notifications
        DROP COLUMN suppressed_by,
        DROP CONSTRAINT notifications_status_check,
        ADD CONSTRAINT notifications_status_check
            CHECK (status IN ('pending', 'delivered', 'dead'))
"""
_SILENCES = """
    CREATE TABLE silences (
        id uuid NOT NULL,
        cluster text NOT NULL,
        selector jsonb NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz NOT NULL,
        author text NOT NULL,
        reason text NOT NULL,
        created_at timestamptz NOT NULL,
        ended_by text,
        CONSTRAINT silences_pkey PRIMARY KEY (id),
        CONSTRAINT silences_forward_check CHECK (ends_at >= starts_at)
    )
"""
_INDEXES = (
    "CREATE INDEX silences_end_idx ON silences (cluster, ends_at)",
    "CREATE INDEX incidents_opened_idx ON incidents (opened_at DESC, id DESC)",
    """
    CREATE INDEX incidents_current_idx ON incidents (cronjob_id)
    WHERE resolved_at IS NULL OR dismissed
    """,
)
_TRANSITIONS = "'opened', 'changed', 'reminder', 'resolved', 'withdrawn'"
_ALL_TRANSITIONS = (
    "'opened', 'changed', 'reminder', 'escalated', 'acknowledged', 'unacknowledged',"
    " 'resolved', 'withdrawn'"
)
_FORGET = """
    DELETE FROM incident_transitions
    WHERE transition IN ('escalated', 'acknowledged', 'unacknowledged')
"""
_NEW_COLUMNS = (
    "acknowledged_at", "acknowledged_by", "acknowledge_reason", "false_alarm", "tell_again",
    "dismissed", "silenced_by", "held_back", "escalated", "escalate_at",
)  # fmt: skip


def upgrade() -> None:
    """Add columns and silences, the indexes that lists and looks use, and the new steps."""
    for statement in (_INCIDENTS, _NOTIFICATIONS, _SILENCES, *_INDEXES):
        op.execute(statement)
    _allow(_ALL_TRANSITIONS)


def downgrade() -> None:
    """Drop them, with the steps and messages that the release before does not know."""
    op.execute("DROP TABLE silences")
    op.execute("DELETE FROM notifications WHERE status = 'suppressed'")
    op.execute(_OLD_NOTIFICATIONS)
    op.execute("DROP INDEX incidents_opened_idx, incidents_current_idx")
    op.execute(_FORGET)
    _allow(_TRANSITIONS)
    op.execute("ALTER TABLE incidents " + ", ".join(f"DROP COLUMN {name}" for name in _NEW_COLUMNS))


def _allow(transitions: str) -> None:
    op.execute(
        "ALTER TABLE incident_transitions DROP CONSTRAINT incident_transitions_transition_check,"
        " ADD CONSTRAINT incident_transitions_transition_check"
        f" CHECK (transition IN ({transitions}))"
    )

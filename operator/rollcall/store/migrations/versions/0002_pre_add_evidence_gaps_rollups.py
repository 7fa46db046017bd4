"""Add what happened in executions, gaps between them, and daily roll-ups.

Only additions: the release before this one goes on writing meanwhile. The new indexes on
`executions` keep its writers waiting while they are built, about a second for each three million
rows; every write of theirs is repeated.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATUSES = (
    "'pending', 'queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled',"
    " 'replaced', 'missed', 'skipped', 'unknown'"
)
_TROUBLE = "('failed', 'partial', 'cancelled', 'replaced', 'missed', 'skipped', 'unknown')"

_TABLES = (
    """
    CREATE TABLE execution_events (
        slot_at timestamptz NOT NULL,
        execution_id uuid NOT NULL,
        id uuid NOT NULL,
        at timestamptz NOT NULL,
        source text NOT NULL,
        reason text NOT NULL,
        message text NOT NULL,
        CONSTRAINT execution_events_pkey PRIMARY KEY (slot_at, execution_id, id)
    ) PARTITION BY RANGE (slot_at)
    """,
    """
    CREATE TABLE gaps (
        cronjob_id uuid NOT NULL,
        from_at timestamptz NOT NULL,
        status text NOT NULL,
        until_at timestamptz,
        reason text NOT NULL,
        message text NOT NULL,
        count integer NOT NULL,
        CONSTRAINT gaps_pkey PRIMARY KEY (cronjob_id, from_at, status),
        CONSTRAINT gaps_status_check
            CHECK (status IN ('missed', 'unknown', 'suspended', 'blind')),
        CONSTRAINT gaps_count_check CHECK (count >= 0),
        CONSTRAINT gaps_forward_check CHECK (until_at >= from_at)
    )
    """,
    f"""
    CREATE TABLE rollup_day (
        cronjob_id uuid NOT NULL,
        day date NOT NULL,
        status text NOT NULL,
        count integer NOT NULL,
        seconds double precision NOT NULL,
        longest double precision,
        buckets smallint[] NOT NULL,
        counts integer[] NOT NULL,
        CONSTRAINT rollup_day_pkey PRIMARY KEY (cronjob_id, day, status),
        CONSTRAINT rollup_day_status_check CHECK (status IN ({_STATUSES}))
    )
    """,
    """
    CREATE TABLE rolled_days (
        day date NOT NULL,
        rolled_at timestamptz NOT NULL,
        CONSTRAINT rolled_days_pkey PRIMARY KEY (day)
    )
    """,
)

_INDEXES = (
    f"""
    CREATE INDEX executions_trouble_idx ON executions (status, slot_at DESC, id DESC)
    WHERE status IN {_TROUBLE}
    """,
    f"""
    CREATE INDEX executions_cronjob_trouble_idx
    ON executions (cronjob_id, slot_at DESC, id DESC) WHERE status IN {_TROUBLE}
    """,
    """
    CREATE INDEX executions_unscheduled_idx ON executions (trigger, slot_at DESC, id DESC)
    WHERE trigger <> 'schedule'
    """,
)


def upgrade() -> None:
    """Create tables, then indexes; the upgrade makes the partitions afterwards."""
    for statement in (*_TABLES, *_INDEXES):
        op.execute(statement)


def downgrade() -> None:
    """Drop them; executions stay, what happened in them is lost."""
    op.execute(
        "DROP INDEX executions_trouble_idx, executions_cronjob_trouble_idx,"
        " executions_unscheduled_idx"
    )
    op.execute("DROP TABLE execution_events, gaps, rollup_day, rolled_days")

"""Add what programs report, windows, dead letters and the audit log.

Only additions: the release before this one goes on writing meanwhile. The checks on `attempts` keep
its writers waiting while they are looked through, about a second for each three million rows; every
write of theirs is repeated.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NUMBER = "BETWEEN 0 AND 9007199254740991"
_ATTEMPTS = f"""
    ALTER TABLE attempts
        ADD COLUMN boots text[] NOT NULL DEFAULT '{{}}',
        ADD COLUMN boots_before integer NOT NULL DEFAULT 0,
        ADD COLUMN settled_seq bigint NOT NULL DEFAULT 0,
        ADD COLUMN progress_seq bigint,
        ADD COLUMN progress_at timestamptz,
        ADD COLUMN done double precision,
        ADD COLUMN total double precision,
        ADD COLUMN stage text,
        ADD COLUMN progress_message text,
        ADD COLUMN counters jsonb,
        ADD COLUMN progress_first_at timestamptz,
        ADD COLUMN progress_first_done double precision,
        ADD COLUMN moved_at timestamptz,
        ADD COLUMN errors integer NOT NULL DEFAULT 0,
        ADD COLUMN dead_letters integer NOT NULL DEFAULT 0,
        ADD COLUMN result text,
        ADD COLUMN result_message text,
        ADD COLUMN result_counters jsonb,
        ADD COLUMN metadata jsonb,
        ADD COLUMN result_at timestamptz,
        ADD COLUMN lost jsonb,
        ADD COLUMN final_at timestamptz,
        ADD CONSTRAINT attempts_done_check CHECK (done {_NUMBER}),
        ADD CONSTRAINT attempts_total_check CHECK (total {_NUMBER}),
        ADD CONSTRAINT attempts_stage_check CHECK (length(stage) <= 100),
        ADD CONSTRAINT attempts_progress_message_check CHECK (length(progress_message) <= 1000),
        ADD CONSTRAINT attempts_result_check
            CHECK (result IN ('succeeded', 'partial', 'failed')),
        ADD CONSTRAINT attempts_result_message_check CHECK (length(result_message) <= 4000),
        ADD CONSTRAINT attempts_metadata_check CHECK (octet_length(metadata::text) <= 16384)
"""
_TABLES = (
    """
    CREATE TABLE checkpoints (
        pod_uid text NOT NULL,
        boot text NOT NULL,
        seq bigint NOT NULL,
        execution_id uuid NOT NULL,
        slot_at timestamptz NOT NULL,
        cronjob_id uuid NOT NULL,
        index integer NOT NULL,
        attempt integer NOT NULL,
        boot_number integer NOT NULL,
        at timestamptz NOT NULL,
        value jsonb NOT NULL,
        CONSTRAINT checkpoints_pkey PRIMARY KEY (pod_uid, boot, seq),
        CONSTRAINT checkpoints_value_check CHECK (octet_length(value::text) <= 131072)
    )
    """,
    """
    CREATE TABLE execution_errors (
        pod_uid text NOT NULL,
        boot text NOT NULL,
        seq bigint NOT NULL,
        execution_id uuid NOT NULL,
        slot_at timestamptz NOT NULL,
        cronjob_id uuid NOT NULL,
        at timestamptz NOT NULL,
        type text NOT NULL,
        message text NOT NULL,
        item text,
        class text,
        retry_after double precision,
        fingerprint text NOT NULL,
        CONSTRAINT execution_errors_pkey PRIMARY KEY (pod_uid, boot, seq),
        CONSTRAINT execution_errors_type_check CHECK (length(type) <= 200),
        CONSTRAINT execution_errors_message_check CHECK (length(message) <= 4000),
        CONSTRAINT execution_errors_item_check CHECK (length(item) <= 500),
        CONSTRAINT execution_errors_class_check CHECK (class IN ('transient', 'permanent')),
        CONSTRAINT execution_errors_retry_after_check CHECK (retry_after BETWEEN 0 AND 86400)
    )
    """,
    """
    CREATE TABLE error_signatures (
        cronjob_id uuid NOT NULL,
        fingerprint text NOT NULL,
        type text NOT NULL,
        message text NOT NULL,
        sample text NOT NULL,
        count bigint NOT NULL,
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL,
        CONSTRAINT error_signatures_pkey PRIMARY KEY (cronjob_id, fingerprint),
        CONSTRAINT error_signatures_count_check CHECK (count >= 1)
    )
    """,
    """
    CREATE TABLE dead_letters (
        id uuid NOT NULL,
        cronjob_id uuid NOT NULL,
        execution_id uuid NOT NULL,
        slot_at timestamptz NOT NULL,
        at timestamptz NOT NULL,
        item text NOT NULL,
        payload jsonb NOT NULL,
        error text NOT NULL,
        state text NOT NULL DEFAULT 'open',
        state_at timestamptz NOT NULL,
        actor text,
        note text,
        handed_to uuid,
        handed_at timestamptz,
        CONSTRAINT dead_letters_pkey PRIMARY KEY (id),
        CONSTRAINT dead_letters_item_check CHECK (length(item) <= 500),
        CONSTRAINT dead_letters_payload_check CHECK (octet_length(payload::text) <= 131072),
        CONSTRAINT dead_letters_error_check CHECK (length(error) <= 4000),
        CONSTRAINT dead_letters_state_check
            CHECK (state IN ('open', 'requeued', 'resolved', 'discarded')),
        CONSTRAINT dead_letters_actor_given_check CHECK (state = 'open' OR actor IS NOT NULL),
        CONSTRAINT dead_letters_handed_check CHECK ((handed_to IS NULL) = (handed_at IS NULL))
    )
    """,
    """
    CREATE TABLE audit_log (
        id bigint GENERATED ALWAYS AS IDENTITY,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        verb text NOT NULL,
        object text NOT NULL,
        reason text,
        before jsonb,
        after jsonb,
        CONSTRAINT audit_log_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE windows (
        id uuid NOT NULL,
        cronjob_id uuid NOT NULL,
        execution_id uuid NOT NULL,
        slot_at timestamptz NOT NULL,
        from_at timestamptz NOT NULL,
        until_at timestamptz NOT NULL,
        state text NOT NULL DEFAULT 'open',
        opened_at timestamptz NOT NULL,
        ended_at timestamptz,
        CONSTRAINT windows_pkey PRIMARY KEY (id),
        CONSTRAINT windows_state_check CHECK (state IN ('open', 'done', 'released')),
        CONSTRAINT windows_forward_check CHECK (until_at > from_at),
        CONSTRAINT windows_within_slot_check CHECK (until_at <= slot_at),
        CONSTRAINT windows_ended_check CHECK ((state = 'open') = (ended_at IS NULL))
    )
    """,
)
_INDEXES = (
    "CREATE INDEX checkpoints_cronjob_idx ON checkpoints (cronjob_id, slot_at DESC)",
    "CREATE INDEX execution_errors_cronjob_idx ON execution_errors (cronjob_id, slot_at DESC)",
    "CREATE INDEX dead_letters_cronjob_idx ON dead_letters (cronjob_id, slot_at DESC)",
    "CREATE INDEX dead_letters_history_idx ON dead_letters (at DESC, id DESC)",
    """
    CREATE INDEX dead_letters_cronjob_history_idx
    ON dead_letters (cronjob_id, at DESC, id DESC)
    """,
    """
    CREATE INDEX dead_letters_requeued_idx ON dead_letters (cronjob_id, state_at, id)
    WHERE state = 'requeued'
    """,
    "CREATE INDEX audit_log_object_idx ON audit_log (object, id)",
    "CREATE INDEX audit_log_at_idx ON audit_log (at)",
    "CREATE UNIQUE INDEX windows_open_key ON windows (cronjob_id) WHERE state = 'open'",
    "CREATE INDEX windows_history_idx ON windows (cronjob_id, state, until_at DESC)",
)
_NEW_TABLES = "windows, audit_log, dead_letters, error_signatures, execution_errors, checkpoints"
_KINDS = "'late', 'missed', 'failing', 'stale', 'overrunning'"
_NEW_COLUMNS = (
    "boots", "boots_before", "settled_seq", "progress_seq", "progress_at", "done", "total",
    "stage", "progress_message", "counters", "progress_first_at", "progress_first_done",
    "moved_at", "errors", "dead_letters", "result", "result_message", "result_counters",
    "metadata", "result_at", "lost", "final_at",
)  # fmt: skip


def upgrade() -> None:
    """Add the columns, then tables and indexes, then the kinds of incident that look at them."""
    for statement in (_ATTEMPTS, *_TABLES, *_INDEXES):
        op.execute(statement)
    _allow(f"{_KINDS}, 'no_progress', 'errors'")


def downgrade() -> None:
    """Drop them, with all that was reported and the incidents about it."""
    op.execute("DELETE FROM incidents WHERE kind IN ('no_progress', 'errors')")
    _allow(_KINDS)
    op.execute(f"DROP TABLE {_NEW_TABLES}")
    op.execute("ALTER TABLE attempts " + ", ".join(f"DROP COLUMN {name}" for name in _NEW_COLUMNS))


def _allow(kinds: str) -> None:
    op.execute(
        "ALTER TABLE incidents DROP CONSTRAINT incidents_kind_check,"
        f" ADD CONSTRAINT incidents_kind_check CHECK (kind IN ({kinds}))"
    )

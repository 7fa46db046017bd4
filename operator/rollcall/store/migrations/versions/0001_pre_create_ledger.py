"""Create the ledger: jobs, revisions, executions, attempts, incidents, notifications."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE cronjobs (
        id uuid NOT NULL,
        cluster text NOT NULL,
        uid text NOT NULL,
        namespace text NOT NULL,
        name text NOT NULL,
        "group" text,
        policy jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        deleted_at timestamptz,
        cronjob_uid text,
        generation bigint,
        spec_hash text,
        judged_through timestamptz,
        last_success_at timestamptz,
        last_schedule_at timestamptz,
        consecutive_failures integer NOT NULL DEFAULT 0,
        health text NOT NULL DEFAULT 'New',
        next_slot_at timestamptz,
        next_check_at timestamptz NOT NULL,
        CONSTRAINT cronjobs_pkey PRIMARY KEY (id),
        CONSTRAINT cronjobs_health_check CHECK (
            health IN ('Healthy', 'Degraded', 'Failing', 'Suspended', 'New', 'Unknown')
        )
    )
    """,
    """
    CREATE TABLE schedule_revisions (
        cronjob_id uuid NOT NULL,
        effective_from timestamptz NOT NULL,
        generation bigint NOT NULL,
        schedule text NOT NULL,
        time_zone text NOT NULL,
        deadline interval NOT NULL,
        concurrency text NOT NULL,
        suspended boolean NOT NULL,
        CONSTRAINT schedule_revisions_pkey PRIMARY KEY (cronjob_id, effective_from),
        CONSTRAINT schedule_revisions_cronjob_id_fkey
            FOREIGN KEY (cronjob_id) REFERENCES cronjobs (id) ON DELETE CASCADE,
        CONSTRAINT schedule_revisions_concurrency_check
            CHECK (concurrency IN ('Allow', 'Forbid', 'Replace'))
    )
    """,
    """
    CREATE TABLE executions (
        slot_at timestamptz NOT NULL,
        id uuid NOT NULL,
        cronjob_id uuid NOT NULL,
        trigger text NOT NULL,
        status text NOT NULL,
        reason text,
        message text,
        exit_code integer,
        job_name text,
        job_uid text,
        created_at timestamptz,
        started_at timestamptz,
        ended_at timestamptz,
        attempts integer NOT NULL DEFAULT 0,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT executions_pkey PRIMARY KEY (slot_at, id),
        CONSTRAINT executions_trigger_check CHECK (trigger IN ('schedule', 'manual')),
        CONSTRAINT executions_status_check CHECK (
            status IN (
                'pending', 'queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled',
                'replaced', 'missed', 'skipped', 'unknown'
            )
        ),
        CONSTRAINT executions_open_not_ended_check
            CHECK (status NOT IN ('pending', 'queued', 'running') OR ended_at IS NULL),
        CONSTRAINT executions_nothing_ran_check
            CHECK (status NOT IN ('missed', 'skipped') OR job_uid IS NULL),
        CONSTRAINT executions_reason_given_check CHECK (
            status NOT IN ('missed', 'skipped', 'unknown', 'cancelled', 'replaced')
            OR reason IS NOT NULL
        )
    ) PARTITION BY RANGE (slot_at)
    """,
    """
    CREATE TABLE attempts (
        pod_uid text NOT NULL,
        execution_id uuid NOT NULL,
        slot_at timestamptz NOT NULL,
        cronjob_id uuid NOT NULL,
        job_uid text NOT NULL,
        pod_name text NOT NULL,
        index integer NOT NULL,
        created_at timestamptz NOT NULL,
        started_at timestamptz,
        ended_at timestamptz,
        waiting_reason text,
        sidecar_waiting text,
        exit_code integer,
        reason text,
        message text,
        last_heartbeat_at timestamptz,
        heartbeats integer NOT NULL DEFAULT 0,
        CONSTRAINT attempts_pkey PRIMARY KEY (pod_uid)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE incidents (
        id uuid NOT NULL,
        cronjob_id uuid NOT NULL,
        kind text NOT NULL,
        severity text NOT NULL,
        reason text NOT NULL,
        message text NOT NULL,
        evidence jsonb NOT NULL,
        execution_id uuid,
        opened_at timestamptz NOT NULL,
        resolved_at timestamptz,
        announced_at timestamptz,
        notified_at timestamptz,
        suppressed integer NOT NULL DEFAULT 0,
        reasons text[] NOT NULL,
        inhibited_by text,
        version integer NOT NULL,
        CONSTRAINT incidents_pkey PRIMARY KEY (id),
        CONSTRAINT incidents_cronjob_id_fkey
            FOREIGN KEY (cronjob_id) REFERENCES cronjobs (id) ON DELETE CASCADE,
        CONSTRAINT incidents_kind_check
            CHECK (kind IN ('late', 'missed', 'failing', 'stale', 'overrunning')),
        CONSTRAINT incidents_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
        CONSTRAINT incidents_version_check CHECK (version >= 1)
    )
    """,
    """
    CREATE TABLE incident_transitions (
        incident_id uuid NOT NULL,
        version integer NOT NULL,
        at timestamptz NOT NULL,
        transition text NOT NULL,
        severity text NOT NULL,
        reason text NOT NULL,
        message text NOT NULL,
        notify boolean NOT NULL,
        why text NOT NULL,
        CONSTRAINT incident_transitions_pkey PRIMARY KEY (incident_id, version),
        CONSTRAINT incident_transitions_incident_id_fkey
            FOREIGN KEY (incident_id) REFERENCES incidents (id) ON DELETE CASCADE,
        CONSTRAINT incident_transitions_transition_check
            CHECK (transition IN ('opened', 'changed', 'reminder', 'resolved', 'withdrawn')),
        CONSTRAINT incident_transitions_severity_check
            CHECK (severity IN ('info', 'warning', 'critical'))
    )
    """,
    """
    CREATE TABLE notifications (
        id bigint GENERATED ALWAYS AS IDENTITY,
        cluster text NOT NULL,
        incident_id uuid NOT NULL,
        channel text NOT NULL,
        key text NOT NULL,
        type text NOT NULL,
        payload jsonb NOT NULL,
        status text NOT NULL DEFAULT 'pending',
        attempts integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL,
        next_at timestamptz NOT NULL,
        holder text,
        delivered_at timestamptz,
        last_error text,
        CONSTRAINT notifications_pkey PRIMARY KEY (id),
        CONSTRAINT notifications_incident_id_fkey
            FOREIGN KEY (incident_id) REFERENCES incidents (id) ON DELETE CASCADE,
        CONSTRAINT notifications_status_check CHECK (status IN ('pending', 'delivered', 'dead')),
        CONSTRAINT notifications_delivered_at_check
            CHECK ((status = 'delivered') = (delivered_at IS NOT NULL))
    )
    """,
)

_INDEXES = (
    """
    CREATE UNIQUE INDEX cronjobs_live_name_key ON cronjobs (cluster, namespace, name)
    WHERE deleted_at IS NULL
    """,
    "CREATE INDEX cronjobs_due_idx ON cronjobs (cluster, next_check_at) WHERE deleted_at IS NULL",
    """
    CREATE UNIQUE INDEX executions_slot_key ON executions (slot_at, cronjob_id)
    WHERE trigger = 'schedule'
    """,
    "CREATE UNIQUE INDEX executions_job_key ON executions (slot_at, job_uid)",
    "CREATE INDEX executions_history_idx ON executions (cronjob_id, slot_at DESC, id DESC)",
    """
    CREATE INDEX executions_open_idx ON executions (cronjob_id)
    WHERE status IN ('pending', 'queued', 'running')
    """,
    "CREATE INDEX attempts_execution_idx ON attempts (execution_id)",
    "CREATE INDEX attempts_cronjob_idx ON attempts (cronjob_id, slot_at DESC)",
    """
    CREATE UNIQUE INDEX incidents_open_key ON incidents (cronjob_id, kind)
    WHERE resolved_at IS NULL
    """,
    "CREATE INDEX incidents_history_idx ON incidents (cronjob_id, opened_at DESC)",
    "CREATE UNIQUE INDEX notifications_key ON notifications (channel, key)",
    """
    CREATE INDEX notifications_pending_idx ON notifications (cluster, next_at)
    WHERE status = 'pending'
    """,
    "CREATE INDEX notifications_incident_idx ON notifications (incident_id, channel, id)",
)

_IN_ORDER_OF_DEPENDENCE = (
    "notifications",
    "incident_transitions",
    "incidents",
    "attempts",
    "executions",
    "schedule_revisions",
    "cronjobs",
)


def upgrade() -> None:
    """Create tables, then indexes."""
    for statement in (*_TABLES, *_INDEXES):
        op.execute(statement)


def downgrade() -> None:
    """Drop everything, with all history."""
    for name in _IN_ORDER_OF_DEPENDENCE:
        op.execute(f"DROP TABLE {name}")

"""Statements that remove what belongs to old executions, a portion at a time.

Each is repeated until it finds nothing more: short transactions, however much there is. What waits
for somebody stays, however old, as long as its job exists: dead letters that are open or requeued,
and the window from which the next one goes on.
"""

import sqlalchemy as sa

from rollcall.store import job_templates


def _of_executions(table: str, key: str, *, may_go: str = "TRUE") -> sa.TextClause:
    wanted = ", ".join(f"old.{column}" for column in key.split(", "))
    return sa.text(
        f"""
        DELETE FROM {table} WHERE ({key}) IN (
            SELECT {wanted} FROM cronjobs AS job CROSS JOIN LATERAL (
                SELECT {key} FROM {table} AS own
                WHERE cronjob_id = job.id AND slot_at < :before AND execution_id <> ALL(:kept)
                    AND (job.deleted_at IS NOT NULL OR {may_go})
                ORDER BY slot_at DESC LIMIT :rows  -- in the order of the index, so that it is used
            ) AS old
            WHERE job.id = ANY(:cronjob_ids) LIMIT :rows
        )
        """  # noqa: S608 - our names
    )


_PROCESSED_FURTHER = """
    state = 'released' OR state = 'done' AND EXISTS (
        SELECT FROM windows AS later
        WHERE later.cronjob_id = own.cronjob_id AND later.state = 'done'
            AND later.until_at > own.until_at
    )
"""
# By the jobs they belong to.
OF_JOBS = (
    _of_executions("attempts", "pod_uid"),
    _of_executions("checkpoints", "pod_uid, boot, seq"),
    _of_executions("execution_errors", "pod_uid, boot, seq"),
    _of_executions("dead_letters", "id", may_go="state IN ('resolved', 'discarded')"),
    _of_executions("windows", "id", may_go=_PROCESSED_FURTHER),
    sa.text(
        """
        DELETE FROM error_signatures WHERE (cronjob_id, fingerprint) IN (
            SELECT cronjob_id, fingerprint FROM error_signatures
            WHERE cronjob_id = ANY(:cronjob_ids) AND last_at < :before LIMIT :rows
        )
        """
    ),
)
# Those that runs have are said to be seen once a week; the newest is that of the next runs.
JOB_TEMPLATES = sa.text(
    """
    DELETE FROM job_templates WHERE (cronjob_id, hash) IN (
        SELECT cronjob_id, hash FROM job_templates AS old
        WHERE seen_at < CAST(:before AS timestamptz) - CAST(:seen_again AS interval)
            AND EXISTS (
                SELECT FROM job_templates AS newer
                WHERE newer.cronjob_id = old.cronjob_id AND newer.seen_at > old.seen_at
            )
        LIMIT :rows
    )
    """
).bindparams(seen_again=job_templates.SEEN_AGAIN)
AUDIT = sa.text(
    "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at < :before LIMIT :rows)"
)
SILENCES = sa.text(
    "DELETE FROM silences WHERE id IN (SELECT id FROM silences WHERE ends_at < :before LIMIT :rows)"
)

"""Executions counted by job, UTC day, status and duration: the one query that does it."""

from datetime import UTC, date, datetime, time

from rollcall.core import rollups

# Of the ended executions of `cronjob_ids` with slots from `begin_at` to before `end_at`. Slots that
# are told as one gap count on the day of the last of them, which moves while the gap grows.
OF_JOBS = f"""
    SELECT cronjob_id, day, status,
        sum(runs)::integer AS count,
        coalesce(sum(seconds), 0) AS seconds,
        max(longest) AS longest,
        coalesce(array_agg(bucket ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{{}}')
            AS buckets,
        coalesce(array_agg(runs ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{{}}')
            AS counts
    FROM (
        SELECT cronjob_id, (slot_at AT TIME ZONE 'UTC')::date AS day, status,
            width_bucket(took, ARRAY[{", ".join(map(repr, rollups.BOUNDS))}]::float8[])::smallint
                AS bucket,
            sum(runs)::integer AS runs, sum(took) AS seconds, max(took) AS longest
        FROM (
            SELECT cronjob_id, slot_at, status, 1 AS runs,
                CASE WHEN started_at IS NOT NULL AND ended_at IS NOT NULL THEN
                    greatest(0, extract(epoch FROM ended_at - started_at)::float8)
                END AS took
            FROM executions
            WHERE cronjob_id = ANY(:cronjob_ids) AND slot_at >= :begin_at AND slot_at < :end_at
                AND status NOT IN ('pending', 'queued', 'running')
            UNION ALL
            SELECT cronjob_id, coalesce(until_at, from_at), status, count, NULL
            FROM gaps
            WHERE cronjob_id = ANY(:cronjob_ids) AND status IN ('missed', 'unknown') AND count > 0
                AND coalesce(until_at, from_at) >= :begin_at
                AND coalesce(until_at, from_at) < :end_at
        ) AS ended
        GROUP BY cronjob_id, day, status, bucket
    ) AS counted
    GROUP BY cronjob_id, day, status
"""  # noqa: S608 - the bounds are numbers of ours


def midnight(day: date) -> datetime:
    """Return the instant at which the UTC day begins."""
    return datetime.combine(day, time(), UTC)

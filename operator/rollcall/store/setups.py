"""What a run ran with, beside what the last success before it ran with: one statement for both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import executions, setups

# Among how many of the runs before it the success is looked for; a job that has failed for longer
# has other troubles.
LOOKBACK = 1000
MOST_PODS = 50  # of a run, the newest

_PAIR = sa.text(
    """
    WITH wanted AS (
        SELECT slot_at, id, cronjob_id, trigger, ended_at, template_hash, true AS is_run
        FROM executions WHERE slot_at = :slot_at AND id = :id
        UNION ALL (
            SELECT slot_at, id, cronjob_id, trigger, ended_at, template_hash, false
            FROM (
                SELECT * FROM executions
                WHERE cronjob_id = :cronjob_id AND slot_at <= :slot_at
                    AND (slot_at, id) < (:slot_at, :id)
                ORDER BY slot_at DESC, id DESC LIMIT :lookback
            ) AS before
            WHERE status = 'succeeded' ORDER BY slot_at DESC, id DESC LIMIT 1
        )
    )
    SELECT wanted.*, template.summary, rhythm.schedule, rhythm.time_zone, rhythm.concurrency,
        pods.told AS pods
    FROM wanted
    LEFT JOIN job_templates AS template
        ON template.cronjob_id = wanted.cronjob_id AND template.hash = wanted.template_hash
    LEFT JOIN LATERAL (
        SELECT schedule, time_zone, concurrency FROM schedule_revisions
        WHERE cronjob_id = wanted.cronjob_id AND effective_from <= wanted.slot_at
            AND wanted.trigger = 'schedule'
        ORDER BY effective_from DESC LIMIT 1
    ) AS rhythm ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(
            jsonb_build_object(
                'node', node, 'ids', image_ids,
                'endedWell', ended_at IS NOT NULL AND reason IS NULL
            ) ORDER BY created_at, pod_uid
        ) AS told
        FROM (
            SELECT node, image_ids, ended_at, reason, created_at, pod_uid FROM attempts
            WHERE execution_id = wanted.id ORDER BY created_at DESC, pod_uid DESC LIMIT :most_pods
        ) AS newest
    ) AS pods ON true
    """
).bindparams(lookback=LOOKBACK, most_pods=MOST_PODS)


@dataclass(slots=True)
class Setups:
    """`ports.Setups` on one connection."""

    connection: AsyncConnection

    async def of(self, run: executions.Execution) -> setups.Pair | None:
        """Return that of a run and of the last success before it; None if there is no such run."""
        key = {"slot_at": run.slot_at, "id": run.id, "cronjob_id": run.cronjob_id}
        rows = (await self.connection.execute(_PAIR, key)).mappings().all()
        found = {row["is_run"]: _setup(row) for row in rows}
        return setups.Pair(run=found[True], success=found.get(False)) if True in found else None


def _setup(row: sa.RowMapping) -> setups.Setup:
    kept: Mapping[str, Any] = row["summary"] or {}
    return setups.Setup(
        run_id=row["id"],
        slot_at=row["slot_at"],
        trigger=executions.Trigger(row["trigger"]),
        ended_at=row["ended_at"],
        template_hash=row["template_hash"],
        version=kept.get("version"),
        images=kept.get("images"),
        parts=kept.get("parts"),
        pods=[_pod(pod) for pod in row["pods"] or ()],
        rhythm=_rhythm(row) if row["schedule"] else None,
    )


def _pod(pod: Mapping[str, Any]) -> setups.Pod:
    return setups.Pod(ended_well=pod["endedWell"], node=pod["node"], image_ids=pod["ids"] or {})


def _rhythm(row: sa.RowMapping) -> setups.Rhythm:
    return setups.Rhythm(
        schedule=row["schedule"], time_zone=row["time_zone"], concurrency=row["concurrency"]
    )

"""Lines of a run's story about the stages that its programs enter."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import ids, stages
from rollcall.store import columns, partitions
from rollcall.store.reported import Pod

_ADD = sa.text(
    """
    INSERT INTO execution_events (slot_at, execution_id, id, at, source, reason, message)
    SELECT told.slot_at, told.execution_id, told.id, told.at, :source, :reason, told.message
    FROM json_to_recordset(CAST(:rows AS json)) AS told(
        slot_at timestamptz, execution_id uuid, id uuid, at timestamptz, message text, prefix text
    )
    CROSS JOIN LATERAL (
        SELECT count(*) AS of_run,
            count(*) FILTER (WHERE starts_with(known.message, told.prefix)) AS of_pod
        FROM execution_events AS known
        WHERE known.slot_at = told.slot_at AND known.execution_id = told.execution_id
            AND known.source = :source AND known.reason = :reason
    ) AS kept
    WHERE kept.of_pod < :most AND kept.of_run < :most_of_run
    ON CONFLICT DO NOTHING
    """
).bindparams(
    source=stages.SOURCE,
    reason=stages.REASON,
    most=stages.MOST,
    most_of_run=stages.MOST_OF_RUN,
)


async def keep(connection: AsyncConnection, pods: Sequence[Pod]) -> None:
    """Add a line for each pod that entered a stage, while there is room for lines of it."""
    rows = [_row(pod, pod.entered_stage) for pod in pods if pod.entered_stage]
    if not rows:
        return
    try:
        async with connection.begin_nested():
            await connection.execute(_ADD, {"rows": columns.dumps(rows)})
    except exc.DBAPIError as error:
        # The week of the run is gone, and its story with it. Its reports must not be refused.
        if not partitions.is_missing(error):
            raise


def _row(pod: Pod, stage: str) -> dict[str, Any]:
    message = stages.line(pod.pod_name, stage)
    text = f"{stages.SOURCE}\0{stages.REASON}\0{message}"
    return {
        # As the id has it, so that the id alone finds the row.
        "slot_at": ids.instant_of(pod.execution_id).isoformat(),
        "execution_id": str(pod.execution_id),
        "id": str(ids.event_id(execution_id=pod.execution_id, at=pod.heard_at, text=text)),
        "at": pod.heard_at.isoformat(),
        "message": message,
        "prefix": stages.prefix(pod.pod_name),
    }

"""What comes with every report: the heartbeat, and how far the program is.

One statement of a fixed text for a whole batch, one JSON parameter, no indexed column touched, rows
locked in the order of their keys so that concurrent batches cannot deadlock.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import reporting
from rollcall.store import columns

# A sidecar that starts anew is a fault or an attack; a report that is delayed by so many starts
# is not waited for.
BOOTS_KEPT = 20

_IS_NEW = "(told.boot IS NOT NULL AND told.boot <> ALL (pod.boots))"
_IS_NEWEST = "told.boot = pod.boots[cardinality(pod.boots)]"
# The progress of an earlier start is old, whatever its number.
_PROGRESS = f"({_IS_NEW} OR {_IS_NEWEST} AND told.progress_seq > coalesce(pod.progress_seq, 0))"
_MOVED = "(told.done, told.counters) IS DISTINCT FROM (pod.done, pod.counters)"
# The rate is counted from the first report, and anew by a program that begins from the front.
_ANEW = "told.done IS NOT NULL AND (pod.progress_first_done IS NULL OR told.done < pod.done)"


def _latest(column: str, value: str) -> str:
    return f"{column} = CASE WHEN {_PROGRESS} THEN {value} ELSE pod.{column} END"


_HEARD = sa.text(
    f"""
    UPDATE attempts AS pod
    SET last_heartbeat_at = CASE WHEN told.beats > 0
            THEN greatest(pod.last_heartbeat_at, told.at) ELSE pod.last_heartbeat_at END,
        heartbeats = pod.heartbeats + told.beats,
        final_at = CASE WHEN told.final
            THEN coalesce(pod.final_at, told.at) ELSE pod.final_at END,
        boots = CASE WHEN {_IS_NEW}
            THEN (pod.boots || told.boot)[cardinality(pod.boots) - {BOOTS_KEPT - 2}:]
            ELSE pod.boots END,
        boots_before = pod.boots_before
            + CASE WHEN {_IS_NEW} AND cardinality(pod.boots) >= {BOOTS_KEPT} THEN 1 ELSE 0 END,
        settled_seq = CASE WHEN {_IS_NEW} THEN 0 ELSE pod.settled_seq END,
        {_latest("progress_at", "told.at")},
        {_latest("done", "told.done")},
        {_latest("total", "told.total")},
        {_latest("stage", "told.stage")},
        {_latest("progress_message", "told.message")},
        {_latest("counters", "told.counters")},
        {
        _latest(
            "progress_first_at", f"CASE WHEN {_ANEW} THEN told.at ELSE pod.progress_first_at END"
        )
    },
        {
        _latest(
            "progress_first_done",
            f"CASE WHEN {_ANEW} THEN told.done ELSE pod.progress_first_done END",
        )
    },
        {_latest("moved_at", f"CASE WHEN {_MOVED} THEN told.at ELSE pod.moved_at END")},
        progress_seq = CASE WHEN {_PROGRESS} THEN told.progress_seq
            WHEN {_IS_NEW} THEN NULL ELSE pod.progress_seq END
    FROM (
        SELECT told.*
        FROM json_to_recordset(CAST(:told AS json)) AS told(
            pod_uid text, at timestamptz, beats integer, boot text, final boolean,
            progress_seq bigint, done double precision, total double precision, stage text,
            message text, counters jsonb
        )
        JOIN attempts ON attempts.pod_uid = told.pod_uid
        ORDER BY told.pod_uid
        FOR NO KEY UPDATE OF attempts
    ) AS told
    WHERE pod.pod_uid = told.pod_uid
    """  # noqa: S608 - no value in it comes from outside
)


async def keep(
    connection: AsyncConnection, reports: Iterable[reporting.Report], now: datetime
) -> None:
    """Keep heartbeats and progress, of each pod at most one report; unknown pods are ignored.

    Nothing is kept as later than the database's now: a fast clock elsewhere must not hide a
    silence.
    """
    rows = sorted((_row(report, now) for report in reports), key=_pod_uid)
    if rows:
        await connection.execute(_HEARD, {"told": columns.dumps(rows)})


def _pod_uid(row: Mapping[str, Any]) -> str:
    return str(row["pod_uid"])


def _row(report: reporting.Report, now: datetime) -> dict[str, Any]:
    row = {
        "pod_uid": report.pod_uid,
        "at": min(report.at, now).isoformat(),
        "beats": report.beats,
        "boot": report.boot,
        "final": report.is_final,
    }
    return row | _progress(report.progress) if report.progress else row


def _progress(progress: reporting.Progress) -> dict[str, Any]:
    return {
        "progress_seq": progress.seq,
        "done": progress.done,
        "total": progress.total,
        "stage": progress.stage,
        "message": progress.message,
        "counters": progress.counters,
    }

"""What comes with every report: the heartbeat, and how far the program is; and its last word.

One statement of a fixed text for a whole batch, one JSON parameter, no indexed column touched, rows
locked in the order of their keys so that concurrent batches cannot deadlock. Rows say how long ago
they were heard: the clock is the database's.
"""

from collections.abc import Iterable, Mapping, Sequence
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
# As `reported.Pod.result` has it: one of this start replaces any, others count where there is none.
_COUNTS = f"""
    told.result IS NOT NULL AND CASE WHEN {_IS_NEW} THEN true
        WHEN {_IS_NEWEST} THEN told.result_seq > pod.settled_seq ELSE pod.result IS NULL END
"""


def _latest(column: str, value: str) -> str:
    return f"{column} = CASE WHEN {_PROGRESS} THEN {value} ELSE pod.{column} END"


_RESULT = ("result", "result_message", "result_counters", "metadata")
_RESULT_TYPES = """
    result_seq bigint, result text, result_message text, result_counters jsonb, metadata jsonb,
    result_at timestamptz
"""


def _resulting() -> str:
    """Return what a result changes."""
    said = [f"{name} = CASE WHEN told.counts THEN told.{name} ELSE pod.{name} END"
            for name in _RESULT]  # fmt: skip
    at = "least(greatest(told.result_at, pod.created_at), now())"
    return ", ".join([*said, f"result_at = CASE WHEN told.counts THEN {at} ELSE pod.result_at END"])


def _statement(
    *,
    settled: str = f"WHEN {_IS_NEW} THEN 0",
    resulting: str = "",
    counts: str = "",
    types: str = "",
) -> str:
    """Build it; results come with more columns, and the locked rows say which of them count."""
    return f"""
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
        settled_seq = CASE {settled} ELSE pod.settled_seq END,{resulting}
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
        SELECT told.*,{counts}
            coalesce(CAST(:now AS timestamptz), now()) - told.age * interval '1 second' AS at
        FROM json_to_recordset(CAST(:told AS json)) AS told(
            pod_uid text, age double precision, beats integer, boot text, final boolean,
            progress_seq bigint, done double precision, total double precision, stage text,
            message text, counters jsonb{types}
        )
        JOIN attempts AS pod ON pod.pod_uid = told.pod_uid
        ORDER BY told.pod_uid
        FOR NO KEY UPDATE OF pod
    ) AS told
    WHERE pod.pod_uid = told.pod_uid
    """  # noqa: S608 - no value in it comes from outside


def _plain(text: str) -> bytes:
    """Return it for the driver alone, with the database's own now."""
    return text.replace(":now", "NULL").replace(":told", "%(told)s").encode()


_TEXT = _statement()
_HEARD = sa.text(_TEXT)
# The same where more is said: what is to be known of these pods comes back with it.
_READ = sa.text(
    _TEXT
    + """
    RETURNING pod.pod_uid, pod.execution_id, pod.slot_at, pod.cronjob_id, pod.index,
        pod.created_at, pod.errors, pod.dead_letters, pod.settled_seq, pod.boots,
        pod.boots_before, pod.lost, pod.result IS NOT NULL AS has_result
    """
)
PLAIN = _plain(_TEXT)
PLAIN_WITH_RESULTS = _plain(
    _statement(
        settled=f"""
            WHEN {_IS_NEW} THEN coalesce(told.result_seq, 0)
            WHEN {_IS_NEWEST} THEN greatest(pod.settled_seq, told.result_seq)""",
        resulting=f"{_resulting()},",
        counts=f"{_COUNTS} AS counts,",
        types=f", {_RESULT_TYPES}",
    )
    + "RETURNING pod.pod_uid, told.counts"
)


async def keep(
    connection: AsyncConnection, reports: Sequence[reporting.Report], now: datetime
) -> None:
    """Keep heartbeats and progress, of each pod at most one report; unknown pods are ignored.

    Nothing is kept as later than the database's now: a fast clock elsewhere must not hide a
    silence.
    """
    if reports:
        await connection.execute(_HEARD, {"now": now} | parameters(reports, now))


async def keep_and_read(
    connection: AsyncConnection, reports: Sequence[reporting.Report], now: datetime
) -> Sequence[sa.RowMapping]:
    """Do that, and return the rows of all known pods as `reported.Pod` wants them, locked."""
    rows = await connection.execute(_READ, {"now": now} | parameters(reports, now))
    return rows.mappings().all()


def parameters(reports: Iterable[reporting.Report], now: datetime) -> dict[str, str]:
    """Return what PLAIN takes; `now` is what the reports' times are counted back from."""
    return _parameters(_row(report, now) for report in reports)


def parameters_with_results(reports: Iterable[reporting.Report], now: datetime) -> dict[str, str]:
    """Return what PLAIN_WITH_RESULTS takes, of reports that have no other items."""
    return _parameters(_row(report, now) | _result(report) for report in reports)


def _parameters(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {"told": columns.dumps(sorted(rows, key=_pod_uid))}


def _result(report: reporting.Report) -> dict[str, Any]:
    said = report.items[-1] if report.items else None
    if not isinstance(said, reporting.Result):
        return {}
    return {
        "result_seq": said.seq,
        "result": said.result,
        "result_message": said.message,
        "result_counters": said.counters,
        "metadata": said.metadata,
        "result_at": said.at.isoformat(),
    }


def _pod_uid(row: Mapping[str, Any]) -> str:
    return str(row["pod_uid"])


def _row(report: reporting.Report, now: datetime) -> dict[str, Any]:
    row = {
        "pod_uid": report.pod_uid,
        "age": max(0.0, (now - report.at).total_seconds()),
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

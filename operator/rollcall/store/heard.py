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


_HEARTBEAT_TYPES = "pod_uid text, age double precision, beats integer, boot text, final boolean"
_PROGRESS_TYPES = """
    progress_seq bigint, done double precision, total double precision, stage text, message text,
    counters jsonb
"""
_HEARTBEAT = f"""
    last_heartbeat_at = CASE WHEN told.beats > 0
        THEN greatest(pod.last_heartbeat_at, told.at) ELSE pod.last_heartbeat_at END,
    heartbeats = pod.heartbeats + told.beats,
    final_at = CASE WHEN told.final
        THEN coalesce(pod.final_at, told.at) ELSE pod.final_at END,
    boots = CASE WHEN {_IS_NEW}
        THEN (pod.boots || told.boot)[cardinality(pod.boots) - {BOOTS_KEPT - 2}:]
        ELSE pod.boots END,
    boots_before = pod.boots_before
        + CASE WHEN {_IS_NEW} AND cardinality(pod.boots) >= {BOOTS_KEPT} THEN 1 ELSE 0 END
"""


def _progressing() -> str:
    """Return what progress changes, and a new start that has none yet."""
    changes = {
        "progress_at": "told.at",
        "done": "told.done",
        "total": "told.total",
        "stage": "told.stage",
        "progress_message": "told.message",
        "counters": "told.counters",
        "progress_first_at": f"CASE WHEN {_ANEW} THEN told.at ELSE pod.progress_first_at END",
        "progress_first_done": f"CASE WHEN {_ANEW} THEN told.done ELSE pod.progress_first_done END",
        "moved_at": f"CASE WHEN {_MOVED} THEN told.at ELSE pod.moved_at END",
    }
    seq = f"""progress_seq = CASE WHEN {_PROGRESS} THEN told.progress_seq
        WHEN {_IS_NEW} THEN NULL ELSE pod.progress_seq END"""
    return ", ".join([*(_latest(column, value) for column, value in changes.items()), seq])


def _not_progressing() -> str:
    """Return what is left of that where nobody in the batch has progress."""
    moved = "(pod.done, pod.counters) IS DISTINCT FROM (NULL, NULL)"
    gone = ("done", "total", "stage", "progress_message", "counters", "progress_seq")
    changes = dict.fromkeys(gone, "NULL") | {
        "progress_at": "told.at",
        "moved_at": f"CASE WHEN {moved} THEN told.at ELSE pod.moved_at END",
    }
    return ", ".join(
        f"{column} = CASE WHEN {_IS_NEW} THEN {value} ELSE pod.{column} END"
        for column, value in changes.items()
    )


def _settling(*, results: bool) -> str:
    """Return how items are settled: all results of a batch that has no other items, else none."""
    if not results:
        return f"settled_seq = CASE WHEN {_IS_NEW} THEN 0 ELSE pod.settled_seq END"
    return f"""settled_seq = CASE WHEN {_IS_NEW} THEN coalesce(told.result_seq, 0)
        WHEN {_IS_NEWEST} THEN greatest(pod.settled_seq, told.result_seq)
        ELSE pod.settled_seq END"""


def _told(types: Sequence[str], *, counts: str = "", lock: bool) -> str:
    """Return what came in, in the order of its keys; `lock` takes the rows' locks beforehand.

    Without, the rows are locked as they are written, which is in this order where each is looked
    up by its key: see beats.BY_KEY.
    """
    locked = "JOIN attempts AS pod ON pod.pod_uid = told.pod_uid" if lock else ""
    return f"""
        SELECT told.*,{counts}
            coalesce(CAST(:now AS timestamptz), now()) - told.age * interval '1 second' AS at
        FROM json_to_recordset(CAST(:told AS json)) AS told({", ".join(types)})
        {locked}
        ORDER BY told.pod_uid
        {"FOR NO KEY UPDATE OF pod" if lock else ""}
    """  # noqa: S608 - no value in it comes from outside


def _statement(*, progress: bool = True, results: bool = False, lock: bool = True) -> str:
    """Build it for what a batch holds beside heartbeats: what is absent is not even looked at."""
    changes = [_HEARTBEAT, _settling(results=results)]
    changes.append(_progressing() if progress else _not_progressing())
    types = [_HEARTBEAT_TYPES, *([_PROGRESS_TYPES] if progress else [])]
    if results:
        changes.append(_resulting())
        types.append(_RESULT_TYPES)
    told = _told(types, counts=f"{_COUNTS} AS counts," if results else "", lock=lock)
    returned = "RETURNING pod.pod_uid, told.counts" if results else ""
    return f"""
    UPDATE attempts AS pod
    SET {", ".join(changes)}
    FROM ({told}) AS told
    WHERE pod.pod_uid = told.pod_uid
    {returned}
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
# By whether there is progress and whether there are results. Whether a result counts is known from
# the row as it was, which therefore is read, and locked, before it is written.
_PLAIN = {
    (progress, results): _plain(_statement(progress=progress, results=results, lock=results))
    for progress in (False, True)
    for results in (False, True)
}


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
    """Return what the statement takes; `now` is what the reports' times are counted back from."""
    rows = sorted((_row(report, now) for report in reports), key=_pod_uid)
    return {"told": columns.dumps(rows)}


def plain(reports: Sequence[reporting.Report], now: datetime) -> tuple[bytes, dict[str, str]]:
    """Return statement and parameters for reports without other items than results.

    It is for the driver alone, and for a transaction that finds rows by their keys. Where there
    are results it returns of each known pod whether its result counts.
    """
    progress = any(report.progress for report in reports)
    results = any(report.items for report in reports)
    rows = sorted((_row(report, now) | _result(report) for report in reports), key=_pod_uid)
    return _PLAIN[progress, results], {"told": columns.dumps_read(rows)}


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
    uid: str = row["pod_uid"]
    return uid


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

"""What comes with every report: the heartbeat, and how far the program is; and its last word.

One statement of a fixed text for a whole batch, one JSON parameter, no indexed column touched, rows
locked in the order of their keys so that concurrent batches cannot deadlock. Rows say how long ago
they were heard: the clock is the database's.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rollcall.core import progress as progresses
from rollcall.core import reporting
from rollcall.store import told_rows

# A sidecar that starts anew is a fault or an attack; a report that is delayed by so many starts
# is not waited for.
BOOTS_KEPT = 20

_IS_NEW = "(told.boot IS NOT NULL AND told.boot <> ALL (pod.boots))"
_IS_NEWEST = "told.boot = pod.boots[cardinality(pod.boots)]"
# The progress of an earlier start is old, whatever its number. What that told is true until the new
# one tells more: the program may have been answered that it is kept.
_PROGRESS = f"""(told.progress_seq IS NOT NULL
    AND ({_IS_NEW} OR {_IS_NEWEST} AND told.progress_seq > coalesce(pod.progress_seq, 0)))"""
_MOVED = "(told.done, told.counters) IS DISTINCT FROM (pod.done, pod.counters)"
# The rate is counted from the first report, and anew by a program that begins from the front.
_ANEW = "told.done IS NOT NULL AND (pod.progress_first_done IS NULL OR told.done < pod.done)"
# Later the start is moved along the line from there to the newest report, so that what is older
# weighs less and less: an exponential moving average in the two columns that are there.
_RATE_OVER = f"{progresses.RATE_OVER.total_seconds():g}"  # seconds
_MEASURED = "CAST(extract(epoch FROM told.at - pod.progress_first_at) AS double precision)"
_LONG_AGO = f"told.done IS NOT NULL AND {_MEASURED} > {_RATE_OVER}"
_FIRST_DONE = f"told.done - (told.done - pod.progress_first_done) * ({_RATE_OVER} / {_MEASURED})"
# The program names another stage than before. That is a line of the run's story, which the short
# statements cannot write: they leave such a row alone.
_ENTERS = f"(told.stage <> '' AND told.stage IS DISTINCT FROM pod.stage AND {_PROGRESS})"
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
    final_at = CASE WHEN told.final THEN coalesce(pod.final_at, told.at) ELSE pod.final_at END,
    boots = CASE WHEN {_IS_NEW}
        THEN (pod.boots || told.boot)[cardinality(pod.boots) - {BOOTS_KEPT - 2}:]
        ELSE pod.boots END,
    boots_before = pod.boots_before
        + CASE WHEN {_IS_NEW} AND cardinality(pod.boots) >= {BOOTS_KEPT} THEN 1 ELSE 0 END
"""


def _progressing() -> str:
    """Return what progress changes; a new start that has none yet only counts from one again."""
    changes = {
        "progress_at": "told.at",
        "done": "told.done",
        "total": "told.total",
        "stage": "told.stage",
        "progress_message": "told.message",
        "counters": "told.counters",
        "progress_first_at": f"""CASE WHEN {_ANEW} THEN told.at
            WHEN {_LONG_AGO} THEN told.at - {_RATE_OVER} * interval '1 second'
            ELSE pod.progress_first_at END""",
        "progress_first_done": f"""CASE WHEN {_ANEW} THEN told.done
            WHEN {_LONG_AGO} THEN {_FIRST_DONE}
            ELSE pod.progress_first_done END""",
        "moved_at": f"CASE WHEN {_MOVED} THEN told.at ELSE pod.moved_at END",
    }
    seq = f"""progress_seq = CASE WHEN {_PROGRESS} THEN told.progress_seq
        WHEN {_IS_NEW} THEN NULL ELSE pod.progress_seq END"""
    return ", ".join([*(_latest(column, value) for column, value in changes.items()), seq])


def _not_progressing() -> str:
    """Return what is left of that where nobody in the batch has progress."""
    return f"progress_seq = CASE WHEN {_IS_NEW} THEN NULL ELSE pod.progress_seq END"


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
    at = "coalesce(CAST(:now AS timestamptz), now()) - told.age * interval '1 second' AS at"
    return _clauses(
        f"SELECT told.*,{counts} {at}",
        f"FROM json_to_recordset(CAST(:told AS json)) AS told({', '.join(types)})",
        "JOIN attempts AS pod ON pod.pod_uid = told.pod_uid" if lock else "",
        "ORDER BY told.pod_uid",
        "FOR NO KEY UPDATE OF pod" if lock else "",
    )


def _update(changes: Sequence[str], told: str, *, where: str = "", returning: str = "") -> str:
    """Build the statement that changes each pod by what `told` has of it."""
    return _clauses(
        "UPDATE attempts AS pod",
        f"SET {', '.join(changes)}",
        f"FROM ({told}) AS told",
        f"WHERE pod.pod_uid = told.pod_uid {where}",
        f"RETURNING {returning}" if returning else "",
    )


def _clauses(*lines: str) -> str:
    return "\n".join(lines)


def _statement(
    *, progress: bool = True, results: bool = False, stages: bool = False, lock: bool = True
) -> str:
    """Build it for what a batch holds beside heartbeats: what is absent is not even looked at."""
    changes = [_HEARTBEAT, _settling(results=results)]
    changes.append(_progressing() if progress else _not_progressing())
    types = [_HEARTBEAT_TYPES, *([_PROGRESS_TYPES] if progress else [])]
    if results:
        changes.append(_resulting())
        types.append(_RESULT_TYPES)
    told = _told(types, counts=f"{_COUNTS} AS counts," if results else "", lock=lock)
    written = f"pod.pod_uid, {'told.counts' if results else 'NULL'}"
    return _update(
        changes,
        told,
        where=f"AND {_ENTERS} IS NOT TRUE" if stages else "",
        returning=written if results or stages else "",
    )


_POD = """pod.pod_uid, pod.pod_name, pod.execution_id, pod.slot_at, pod.cronjob_id, pod.index,
    pod.created_at, pod.errors, pod.dead_letters, pod.settled_seq, pod.boots,
    pod.boots_before, pod.lost, pod.result IS NOT NULL AS has_result,
    told.at AS heard_at, CASE WHEN told.enters_stage THEN pod.stage END AS entered_stage"""


def _reading() -> str:
    """Build what also returns what is to be known of these pods where more is said."""
    types = [_HEARTBEAT_TYPES, _PROGRESS_TYPES]
    changes = [_HEARTBEAT, _settling(results=False), _progressing()]
    told = _told(types, counts=f"{_ENTERS} AS enters_stage,", lock=True)
    return _update(changes, told, returning=_POD)


def _plain(text: str) -> bytes:
    """Return it for libpq, with the database's own now."""
    return text.replace(":now", "NULL").replace(":told", "$1").encode()


_HEARD = sa.text(_statement())
_READ = sa.text(_reading())
# By whether there is progress, whether there are results, and whether stages are named. Whether a
# result counts is known from the row as it was, which therefore is read, and locked, before it is
# written.
_PLAIN = {
    (progress, results, stages): _plain(
        _statement(progress=progress, results=results, stages=stages, lock=results)
    )
    for progress in (False, True)
    for results in (False, True)
    for stages in ((False, True) if progress else (False,))
}


async def keep(
    connection: AsyncConnection, reports: Sequence[reporting.Report], now: datetime
) -> None:
    """Keep heartbeats and progress, of each pod at most one report; unknown pods are ignored.

    Nothing is kept as later than the database's now: a fast clock elsewhere must not hide a
    silence.
    """
    if reports:
        await connection.execute(_HEARD, {"now": now} | told_rows.parameters(reports, now))


async def keep_and_read(
    connection: AsyncConnection, reports: Sequence[reporting.Report], now: datetime
) -> Sequence[sa.RowMapping]:
    """Do that, and return the rows of all known pods as `reported.Pod` wants them, locked."""
    rows = await connection.execute(_READ, {"now": now} | told_rows.parameters(reports, now))
    return rows.mappings().all()


def plain(reports: Sequence[reporting.Report], now: datetime) -> tuple[bytes, bytes]:
    """Return statement and parameter for reports without other items than results.

    It is for libpq, and for a transaction that finds rows by their keys. Where there
    are results or stages it returns of each pod that was written whether its result counts: not
    written are pods that are unknown, and those that enter a stage.
    """
    progress = any(report.progress for report in reports)
    stages = any(map(names_stage, reports))
    results = any(report.items for report in reports)
    return _PLAIN[progress, results, stages], told_rows.read(reports, now)


def names_stage(report: reporting.Report) -> bool:
    """Whether the program says which stage it is in."""
    return bool(report.progress and report.progress.stage)

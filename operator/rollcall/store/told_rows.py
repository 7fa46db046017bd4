"""Reports as the statements of `heard` take them: JSON, a row for each pod, in order of its key."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rollcall.core import reporting
from rollcall.store import columns


def parameters(reports: Iterable[reporting.Report], now: datetime) -> dict[str, str]:
    """Return what the statement takes; `now` is what the reports' times are counted back from."""
    rows = sorted((_row(report, now) for report in reports), key=_pod_uid)
    return {"told": columns.dumps(rows)}


def read(reports: Sequence[reporting.Report], now: datetime) -> bytes:
    """Return the rows alone, of reports that came as JSON, with their results."""
    rows = sorted((_row(report, now) | _result(report) for report in reports), key=_pod_uid)
    return columns.dumps_read(rows)


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

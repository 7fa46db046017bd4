"""What the program of a run reported, as `rollcall executions show` shows it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollcall.cli import output
from rollcall.core import executions, progress, reporting, results
from rollcall.store import engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All reports of one run, summed up; `result` is that of the pod which speaks for the run."""

    progress: progress.Progress | None
    result: reporting.Heard | None
    errors: int
    error_types: Mapping[str, int]  # of those that are kept
    dead_letters: int
    lost: Mapping[str, int]
    heard_at: datetime | None  # the newest heartbeat
    has_taken_leave: bool  # all sidecars that were heard sent their last report


async def read(unit: engine.Transaction, run: executions.Execution) -> Told:
    """Read what the pods of a run reported."""
    heard = await unit.reports.of(run.id)
    pods = (await unit.attempts.observe({run: ()}))[run.id]
    errors = sum(one.errors for one in heard)
    types = await unit.reports.error_types(run.id) if errors else {}
    lost: Counter[str] = Counter()
    for one in heard:
        lost.update(one.lost)
    return Told(
        progress=progress.of(pods, heard),
        result=_result(pods, heard),
        errors=errors,
        error_types=dict(sorted(types.items())),
        dead_letters=sum(one.dead_letters for one in heard),
        lost=dict(sorted(lost.items())),
        heard_at=max(
            (one.last_heartbeat_at for one in heard if one.last_heartbeat_at), default=None
        ),
        has_taken_leave=all(one.final_at for one in heard if one.last_heartbeat_at),
    )


def as_json(told: Told) -> dict[str, Any]:
    """Return it as fields of the execution, absent ones as None."""
    said = told.result
    return {
        "progress": _progress_as_json(told.progress) if told.progress else None,
        "result": {
            "result": said.result,
            "message": said.result_message,
            "counters": said.result_counters,
            "metadata": said.metadata,
            "time": output.utc_if(said.result_at),
        }
        if said
        else None,
        "errors": told.errors,
        "errorTypes": dict(told.error_types),
        "deadLetters": told.dead_letters,
        "lost": dict(told.lost),
        "lastHeardTime": output.utc_if(told.heard_at),
        "tookLeave": told.has_taken_leave if told.heard_at else None,
    }


def rows(told: Told) -> Iterator[tuple[str, str]]:
    """Yield what there is, as lines of a table."""
    if told.progress:
        yield "progress", _progress_as_text(told.progress)
        yield from _counted("counters", told.progress.counters)
    if told.result and told.result.result:
        yield "result", told.result.result
        yield from _counted("resultCounters", told.result.result_counters or {})
    if told.errors:
        yield "errors", str(told.errors)
        yield from _counted("errorTypes", told.error_types)
    if told.dead_letters:
        yield "deadLetters", str(told.dead_letters)
    yield from _counted("lost", told.lost)
    if told.heard_at:
        leave = "took leave" if told.has_taken_leave else "no leave taken"
        yield "heard", f"{output.utc(told.heard_at)}, {leave}"


def _result(
    pods: Sequence[executions.Attempt], heard: Sequence[reporting.Heard]
) -> reporting.Heard | None:
    speaker = results.worst(pods)
    return next((one for one in heard if speaker and one.pod_uid == speaker.pod_uid), None)


def _progress_as_json(found: progress.Progress) -> dict[str, Any]:
    return {
        "time": output.utc_if(found.at),
        "done": found.done,
        "total": found.total,
        "percent": _rounded(found.percent),
        "ratePerSecond": _rounded(found.rate),
        "expectedEndTime": output.utc_if(found.ends_at),
        "stage": found.stage,
        "message": found.message,
        "counters": dict(found.counters),
    }


def _progress_as_text(found: progress.Progress) -> str:
    parts = [_amount(found), found.stage, found.message]
    if found.rate is not None:
        parts.append(f"{found.rate:.3g} per second")
    if found.ends_at:
        parts.append(f"ends {output.utc(found.ends_at)}")
    return ", ".join(part for part in parts if part)


def _amount(found: progress.Progress) -> str | None:
    if found.done is None:
        return None
    of_all = f" of {found.total:.15g}" if found.total is not None else ""
    percent = f" ({found.percent:.0f}%)" if found.percent is not None else ""
    return f"{found.done:.15g}{of_all}{percent}"


def _counted(name: str, counts: Mapping[str, int | float]) -> Iterator[tuple[str, str]]:
    if counts:
        yield name, " ".join(f"{key}={value}" for key, value in counts.items())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)

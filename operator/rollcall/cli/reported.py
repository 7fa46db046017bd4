"""What the program of a run reported, as `rollcall executions show` shows it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rollcall.cli import output
from rollcall.core import durations, progress, stages, texts
from rollcall.services import account, ports

LONGEST_LINE = 120  # characters of a message in a table
MOST_STAGES = 20  # of a run, as text: the newest


def as_json(told: account.Account, now: datetime) -> dict[str, Any]:
    """Return it as fields of the execution, absent ones as None."""
    said = told.result
    return {
        "window": _window_as_json(told.window) if told.window else None,
        "progress": _progress_as_json(told.progress) if told.progress else None,
        "expectedEndTime": output.utc_if(told.expected.at if told.expected else None),
        "expectedByRuns": told.expected.runs if told.expected else None,
        "stages": [_stage_as_json(one, now) for one in told.stages],
        "checkpoint": _checkpoint_as_json(told.checkpoint) if told.checkpoint else None,
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
        "lastErrors": [error_as_json(one) for one in told.last_errors],
        "deadLetters": told.dead_letters,
        "lost": dict(told.lost),
        "lastHeardTime": output.utc_if(told.heard_at),
        "tookLeave": told.has_taken_leave if told.heard_at else None,
    }


def rows(told: account.Account, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is, as lines of a table."""
    if told.window:
        yield "window", _window_as_text(told.window)
    if told.progress:
        yield "progress", _progress_as_text(told.progress)
        yield from _counted("counters", told.progress.counters)
    if told.expected and told.expected.runs:
        at, runs = output.utc(told.expected.at), told.expected.runs
        late = "; that is over" if told.expected.at < now else ""
        yield "expectedEnd", f"{at} by the median of {runs} successes before{late}"
    if told.stages:
        yield "stages", "\n".join(_stage_lines(told.stages, now))
    if told.checkpoint:
        yield "checkpoint", _checkpoint_as_text(told.checkpoint)
    yield from _result_rows(told)
    yield from _error_rows(told)
    yield from _counted("lost", told.lost)
    if told.heard_at:
        leave = "took leave" if told.has_taken_leave else "no leave taken"
        yield "heard", f"{output.utc(told.heard_at)}, {leave}"


def error_as_json(error: ports.ReportedError) -> dict[str, Any]:
    """Write one error for programs."""
    return {
        "time": output.utc(error.at),
        "namespace": error.namespace,
        "cronjob": error.cronjob,
        "execution": str(error.execution_id),
        "podName": error.pod_name,
        "type": error.type,
        "message": error.message,
        "item": error.item,
        "class": error.error_class,
        "retryAfterSeconds": error.retry_after,
        "fingerprint": error.fingerprint,
    }


def first_line(text: str) -> str:
    """Cut a text to what fits in a table."""
    first, *_ = text.splitlines() or [""]
    return texts.shortened(first, LONGEST_LINE)


def _result_rows(told: account.Account) -> Iterator[tuple[str, str]]:
    if told.result and told.result.result:
        yield "result", told.result.result
        yield from _counted("resultCounters", told.result.result_counters or {})
        if told.result.metadata:
            yield "metadata", json.dumps(told.result.metadata, ensure_ascii=False)


def _error_rows(told: account.Account) -> Iterator[tuple[str, str]]:
    if told.errors:
        yield "errors", str(told.errors)
        yield from _counted("errorTypes", told.error_types)
    if told.last_errors:
        yield "lastErrors", "\n".join(map(_error_as_text, told.last_errors))
    if told.dead_letters:
        yield "deadLetters", str(told.dead_letters)


def _error_as_text(error: ports.ReportedError) -> str:
    item = f" ({first_line(error.item)})" if error.item else ""
    said = ": ".join(filter(None, map(first_line, (error.type, error.message))))
    return f"{output.utc(error.at)} {said}{item}"


def _window_as_json(window: ports.GivenWindow) -> dict[str, Any]:
    return {
        "from": output.utc(window.stretch.from_at),
        "to": output.utc(window.stretch.until_at),
        "more": window.stretch.has_more,
        "state": window.state,
    }


def _window_as_text(window: ports.GivenWindow) -> str:
    more = ", more is left" if window.stretch.has_more else ""
    return (
        f"{output.utc(window.stretch.from_at)} to {output.utc(window.stretch.until_at)},"
        f" {window.state}{more}"
    )


def _stage_as_json(stage: stages.Stage, now: datetime) -> dict[str, Any]:
    return {
        "podName": stage.pod_name,
        "stage": stage.name,
        "startTime": output.utc(stage.began_at),
        "endTime": output.utc_if(stage.ended_at),
        "seconds": round(stage.lasted(now).total_seconds(), 3),
    }


def _stage_lines(found: Sequence[stages.Stage], now: datetime) -> Iterator[str]:
    """Yield a line for each; the pod is named where there are several."""
    are_many = len({one.pod_name for one in found}) > 1
    earlier = len(found) - MOST_STAGES
    if earlier > 0:
        yield f"({earlier} earlier)"
    for one in found[-MOST_STAGES:]:
        took = durations.text(timedelta(seconds=round(one.lasted(now).total_seconds())))
        pod = f" in {one.pod_name}" if are_many else ""
        goes_on = "" if one.ended_at else ", goes on"
        yield f"{output.utc(one.began_at)} {first_line(one.name)}{pod}: {took}{goes_on}"


def _checkpoint_as_json(kept: ports.KeptCheckpoint) -> dict[str, Any]:
    return {
        "time": output.utc(kept.at),
        "attempt": kept.attempt,
        "index": kept.index,
        "bytes": kept.size,
        "value": kept.value,
    }


def _checkpoint_as_text(kept: ports.KeptCheckpoint) -> str:
    short = kept.size <= account.LARGEST_SHOWN
    value = f": {json.dumps(kept.value, ensure_ascii=False)}" if short else ""
    index = f", index {kept.index}" if kept.index else ""
    return f"{output.utc(kept.at)}, attempt {kept.attempt}{index}, {kept.size} bytes{value}"


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

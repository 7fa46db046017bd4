"""What the program of a run reported, and what it was given: put together for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rollcall.core import (
    executions,
    expectations,
    progress,
    reporting,
    results,
    stages,
    windows,
)
from rollcall.services import outlook, ports

LAST_ERRORS = 3
LARGEST_SHOWN = 200  # bytes of a checkpoint's value: a larger one is told by its size


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All reports of one run, summed up; `result` is that of the pod which speaks for the run."""

    progress: progress.Progress | None
    expected: expectations.Expected | None
    stages: Sequence[stages.Stage]
    window: ports.GivenWindow | None  # as it stands by the run's status
    checkpoint: ports.KeptCheckpoint | None
    result: reporting.Heard | None
    errors: int
    error_types: Mapping[str, int]  # of those that are kept
    last_errors: Sequence[ports.ReportedError]  # newest first
    dead_letters: int
    lost: Mapping[str, int]
    heard_at: datetime | None  # the newest heartbeat
    has_taken_leave: bool  # all sidecars that were heard sent their last report


async def read(
    unit: ports.Transaction, run: executions.Execution, events: Sequence[executions.Event]
) -> Account:
    """Read what the pods of a run reported; `events` is its story."""
    heard = await unit.reports.of(run.id)
    pods = (await unit.attempts.observe({run: ()}))[run.id]
    errors = sum(one.errors for one in heard)
    types = await unit.reports.error_types(run.id) if errors else {}
    told = progress.of(pods, heard, unit.now)
    return Account(
        progress=told,
        expected=await outlook.of(unit, run, told),
        stages=stages.of(events, pods, run.ended_at),
        window=await _window(unit, run),
        checkpoint=await unit.accounts.checkpoint(run, LARGEST_SHOWN),
        result=_result(pods, heard),
        errors=errors,
        error_types=dict(sorted(types.items())),
        last_errors=await unit.accounts.errors(run, LAST_ERRORS) if errors else (),
        dead_letters=sum(one.dead_letters for one in heard),
        lost=_lost(heard),
        heard_at=max(
            (one.last_heartbeat_at for one in heard if one.last_heartbeat_at), default=None
        ),
        has_taken_leave=all(one.final_at for one in heard if one.last_heartbeat_at),
    )


async def _window(unit: ports.Transaction, run: executions.Execution) -> ports.GivenWindow | None:
    given = await unit.accounts.window(run)
    if given is None:
        return None
    return replace(given, state=windows.state_of(given.state, run.status))


def _lost(heard: Sequence[reporting.Heard]) -> Mapping[str, int]:
    lost: Counter[str] = Counter()
    for one in heard:
        lost.update(one.lost)
    return dict(sorted(lost.items()))


def _result(
    pods: Sequence[executions.Attempt], heard: Sequence[reporting.Heard]
) -> reporting.Heard | None:
    speaker = results.worst(pods)
    return next((one for one in heard if speaker and one.pod_uid == speaker.pod_uid), None)

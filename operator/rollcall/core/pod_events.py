"""What is kept of a run beyond the life of its Job and pods: a few lines, each with its time."""

from collections.abc import Sequence

from rollcall.core.executions import Attempt, Event

TOLD = 50  # pods of a run, the newest; all of them are kept as attempts


def of_attempts(attempts: Sequence[Attempt]) -> list[Event]:
    """Tell when the pods of a run started, when they ended, and why; in order of time.

    `attempts` are oldest first.
    """
    lines = [line for attempt in attempts[-TOLD:] for line in _of_pod(attempt)]
    return sorted(lines, key=lambda line: line.at)


def _of_pod(attempt: Attempt) -> list[Event]:
    lines = []
    if attempt.started_at:
        started = f"{attempt.pod_name} started"
        lines.append(Event(at=attempt.started_at, source="pod", reason="Started", message=started))
    if attempt.ended_at:
        lines.append(
            Event(
                at=attempt.ended_at,
                source="pod",
                reason=attempt.reason or "Completed",
                message=_end(attempt),
            )
        )
    return lines


def _end(attempt: Attempt) -> str:
    code = f" with exit code {attempt.exit_code}" if attempt.exit_code is not None else ""
    words = f": {attempt.message}" if attempt.message else ""
    return f"{attempt.pod_name} ended{code}{words}"

"""What is kept of a run beyond the life of its Job and pods: a few lines, each with its time."""

from collections.abc import Sequence

from rollcall.core import words
from rollcall.core.executions import Attempt, Event, SidecarEnd, Untracked

TOLD = 50  # pods of a run, the newest; all of them are kept as attempts
ENDS_TOLD = 20  # of a pod's sidecar, the first: one that always crashes says nothing more


def of_attempts(attempts: Sequence[Attempt], *, is_over: bool = True) -> list[Event]:
    """Tell when the pods of a run started, when they ended, and why; in order of time.

    `attempts` are oldest first. Before a run is over only what stays is told: which pods go without
    their sidecar.
    """
    told = attempts[-TOLD:]
    lines = [line for attempt in told for line in _of_pod(attempt)] if is_over else []
    lines += [_of_untracked(one.pod_name, one.untracked) for one in told if one.untracked]
    return sorted(lines, key=lambda line: line.at)


def of_sidecars(attempts: Sequence[Attempt]) -> list[Event]:
    """Tell where a sidecar ended before its time, for what it had not sent is lost uncounted.

    The same end, seen again, is the same line.
    """
    return [
        Event(
            at=end.at or attempt.created_at,
            source="pod",
            reason="SidecarEnded",
            message=f"the sidecar of {attempt.pod_name} ended before its time ({_why(end)});"
            " what it had not sent is lost",
        )
        for attempt in attempts
        for end in attempt.sidecar_ends
        if end.number <= ENDS_TOLD
    ]


def _why(end: SidecarEnd) -> str:
    code = None if end.exit_code is None else words.exit_code(end.exit_code)
    return ", ".join(part for part in (end.reason, code) if part) or "nobody says how"


def _of_untracked(pod: str, without: Untracked) -> Event:
    message = untracked(pod, without.words)
    return Event(at=without.at, source="pod", reason="Untracked", message=message)


def untracked(pod: str, words: str) -> str:
    """Say that a pod is not heard, and why."""
    return f"{pod} is untracked, its sidecar could not start: {words}"


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
    said = f": {attempt.message}" if attempt.message else ""
    return f"{attempt.pod_name} ended{code}{said}"

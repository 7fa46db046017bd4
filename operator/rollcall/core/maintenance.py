"""Times in which trouble is expected and nobody wants to hear of it: a schedule and a duration.

A window opens at each slot of its schedule and is open for its duration, the end excluded. Windows
of one schedule may overlap: it is open while any of them is.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollcall.core import durations, errors, schedule

LONGEST = timedelta(days=7)
MOST = 20  # windows of one job
DEFAULT_ZONE = "Etc/UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When it opens, for how long, and why."""

    schedule: schedule.Schedule
    duration: timedelta
    reason: str | None = None

    def open_until(self, now: datetime) -> datetime | None:
        """Return when the window that opened last closes, None if it has."""
        opened_at = self.schedule.latest_at_or_before(now, now - self.duration)
        until = opened_at + self.duration if opened_at else None
        return until if until and until > now else None


def read_all(raw: Sequence[Mapping[str, Any]], field: str) -> tuple[Window, ...]:
    """Read those of a job. Raises errors.InvalidSpec."""
    if len(raw) > MOST:
        raise errors.InvalidSpec("InvalidMaintenance", f"{field}: write at most {MOST} windows")
    return tuple(read(one, f"{field}[{number}]") for number, one in enumerate(raw))


def read(raw: Mapping[str, Any], field: str) -> Window:
    """Read a window; `field` names it in errors.

    Raises errors.InvalidSpec, naming what to write instead.
    """
    return Window(
        schedule=_schedule(raw.get("schedule"), raw.get("timeZone") or DEFAULT_ZONE, field),
        duration=_duration(raw.get("duration"), field),
        reason=raw.get("reason"),
    )


def _schedule(expression: object, zone: object, field: str) -> schedule.Schedule:
    try:
        return _parsed(str(expression or ""), str(zone))
    except schedule.ScheduleError as error:
        raise errors.InvalidSpec("InvalidMaintenance", f"{field}.schedule: {error}") from error


def _duration(raw: object, field: str) -> timedelta:
    try:
        value = durations.parse(raw) if isinstance(raw, str) else timedelta()
    except ValueError as error:
        raise errors.InvalidSpec("InvalidMaintenance", f"{field}.duration: {error}") from error
    if not timedelta() < value <= LONGEST:
        raise errors.InvalidSpec(
            "InvalidMaintenance",
            f"{field}.duration: write a duration above zero and up to {LONGEST.days}d, like 90m",
        )
    return value


@functools.lru_cache(maxsize=1000)
def _parsed(expression: str, zone: str) -> schedule.Schedule:
    """Parse once: a policy is read at every look."""
    return schedule.parse(expression, zone)

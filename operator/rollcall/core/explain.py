"""What a schedule does, told to people: next slots, changes of clocks, surprises."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rollcall.core import cron_advice, cron_calendar, cron_changes, schedule, zones

DAYS = 366  # how far ahead gaps and changes of clocks are looked at
_DAY_AND_TIME = "%a %Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is to be known of a schedule after `start`; `gaps` and `changes` over DAYS."""

    ticks: schedule.Schedule
    start: datetime
    slots: tuple[datetime, ...]
    gaps: schedule.Gaps | None
    changes: tuple[cron_changes.ClockChange, ...]
    advice: tuple[cron_advice.Advice, ...]


def explain(ticks: schedule.Schedule, start: datetime, count: int) -> Explanation:
    """Explain a schedule from a moment on, with so many slots."""
    slots = tuple(_next_slots(ticks, start, count))
    changes = tuple(cron_changes.of(ticks, start, DAYS))
    never = () if slots else (_never(ticks, start),)
    about_expression = cron_advice.about(ticks.expression)
    return Explanation(
        ticks=ticks,
        start=start.astimezone(UTC),
        slots=slots,
        gaps=ticks.gaps(start, DAYS),
        changes=changes,
        advice=(*never, *about_expression, *_about_changes(changes)),
    )


def _next_slots(ticks: schedule.Schedule, start: datetime, count: int) -> Iterator[datetime]:
    slot = ticks.next_after(start)
    while slot is not None and count > 0:
        yield slot
        count -= 1
        slot = ticks.next_after(slot)


def _never(ticks: schedule.Schedule, start: datetime) -> cron_advice.Advice:
    last = start.astimezone(zones.load(ticks.zone).info).year + cron_calendar.YEARS_AHEAD
    return cron_advice.Advice(
        code="Never",
        message=f"it never runs: nothing matches until the end of {last}, "
        "and Kubernetes searches no further",
    )


def _about_changes(changes: Sequence[cron_changes.ClockChange]) -> Iterator[cron_advice.Advice]:
    noticed = [change for change in changes if change.is_noticed]
    for code, what, walls in (
        ("LeftOut", "no run at", [wall for change in noticed for wall in change.left_out]),
        ("Doubled", "two runs at", [wall for change in noticed for wall in change.doubled]),
        ("Unplanned", "an odd run at", [wall for change in noticed for wall in change.unplanned]),
    ):
        if walls:
            others = f" (and {len(walls) - 1} more)" if len(walls) > 1 else ""
            yield cron_advice.Advice(
                code=code,
                message=f"{what} {walls[0]:{_DAY_AND_TIME}}{others}, because clocks change; "
                "if that matters, choose hours that no change touches, or the zone Etc/UTC",
            )

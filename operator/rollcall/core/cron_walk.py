"""The walk from a moment to the next slot, step by step as robfig/cron v3.0.1 takes it.

It is slower than arithmetic and right where arithmetic is not: around a change of a zone's offset
the library's answer depends on its steps, and slots are what Kubernetes starts, not what a calendar
would say. The rules:

1. The walk looks at month, day, hour, minute, second, in this order, and moves the first one that
   does not match until it does.
2. Before its first move ever, and only then, it goes back to the start of the unit that moves.
3. Months and days move on the calendar (`Zone.instant` turns the result into an instant); hours,
   minutes and seconds move in elapsed time.
4. A day that does not begin at midnight, because clocks jump there, is mended in whole hours, and
   not always for the better: a day may be passed over.
5. A unit that comes round (January, the 1st, hour 0, minute 0, second 0) starts the walk again at
   the month; otherwise the larger units are not looked at again.
6. Whenever the walk starts again beyond five years after the year it began in, there is no slot.

Where a zone leaves out a whole day (Pacific/Apia, 30 December 2011) the library never returns; the
walk here gives up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rollcall.core import cron_calendar, cron_fields, zones

_NOON = 12

# Six years are 72 months and 2,192 days, and only days with a change of offset can use up their 24
# hours and 60 minutes in vain.
_MOST_STEPS = 3_000


def walk(fields: cron_fields.Fields, zone: zones.Zone, start: int) -> int | None:
    """Return the first slot at or after an instant; both are whole seconds since 1970."""
    at, local = start, zone.local(start)
    last_year = local.year + cron_calendar.YEARS_AHEAD
    moved = False
    level = 0
    for _ in range(_MOST_STEPS):
        while level < len(_UNITS) and _UNITS[level].matches(fields, local):
            level += 1
        if level == len(_UNITS):
            return at
        unit = _UNITS[level]
        if not moved:
            moved = True
            at = unit.begin(zone, at, local)
            local = zone.local(at)
        at = unit.move(zone, at, local)
        local = zone.local(at)
        if unit.came_round(local):
            level = 0
            if local.year > last_year:
                return None
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    matches: Callable[[cron_fields.Fields, datetime], bool]
    begin: Callable[[zones.Zone, int, datetime], int]
    move: Callable[[zones.Zone, int, datetime], int]
    came_round: Callable[[datetime], bool]


def _second_of_day(local: datetime) -> int:
    return local.hour * cron_calendar.HOUR + local.minute * cron_calendar.MINUTE + local.second


def _next_month(zone: zones.Zone, _: int, local: datetime) -> int:
    second = _second_of_day(local)
    return zone.instant(cron_calendar.to_civil(local.year, local.month + 1, local.day, second))


def _next_day(zone: zones.Zone, _: int, local: datetime) -> int:
    second = _second_of_day(local)
    at = zone.instant(cron_calendar.to_civil(local.year, local.month, local.day + 1, second))
    hour = zone.local(at).hour
    return at + (24 - hour if hour > _NOON else -hour) * cron_calendar.HOUR


_UNITS = (
    _Unit(
        matches=lambda fields, local: bool(fields.months >> local.month & 1),
        begin=lambda zone, _, local: zone.instant(
            cron_calendar.to_civil(local.year, local.month, 1)
        ),
        move=_next_month,
        came_round=lambda local: local.month == 1,
    ),
    _Unit(
        matches=lambda fields, local: bool(
            fields.days[cron_calendar.first_weekday(local)] >> local.day & 1
        ),
        begin=lambda zone, _, local: zone.instant(
            cron_calendar.to_civil(local.year, local.month, local.day)
        ),
        move=_next_day,
        came_round=lambda local: local.day == 1,
    ),
    _Unit(
        matches=lambda fields, local: bool(fields.hours >> local.hour & 1),
        begin=lambda zone, _, local: zone.instant(
            cron_calendar.to_civil(
                local.year, local.month, local.day, local.hour * cron_calendar.HOUR
            ),
        ),
        move=lambda _, at, __: at + cron_calendar.HOUR,
        came_round=lambda local: local.hour == 0,
    ),
    _Unit(
        matches=lambda fields, local: bool(fields.minutes >> local.minute & 1),
        begin=lambda _, at, __: at - at % cron_calendar.MINUTE,
        move=lambda _, at, __: at + cron_calendar.MINUTE,
        came_round=lambda local: local.minute == 0,
    ),
    _Unit(
        matches=lambda _, local: local.second == 0,
        begin=lambda _, at, __: at,
        move=lambda _, at, local: at + cron_calendar.MINUTE - local.second,
        came_round=lambda local: local.second == 0,
    ),
)

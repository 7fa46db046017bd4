"""Matching days and times on a calendar that knows no time zones.

Civil times are counted in seconds from 1970, as in `zones`; days are counted from 1970 too.
"""

import bisect
import calendar
import functools
from datetime import date

from rollcall.core import cron_fields

MINUTE = 60
HOUR = 3_600
DAY = 86_400
EPOCH_DAY = date(1970, 1, 1).toordinal()

YEARS_AHEAD = 5  # how far robfig/cron v3.0.1 searches: spec.go, yearLimit
_MONTHS = 12


def next_match(fields: cron_fields.Fields, civil: int) -> tuple[int, int] | None:
    """Return how far the walk may look back from a civil time, and the first match from there."""
    day, second = divmod(civil, DAY)
    today = date.fromordinal(day + EPOCH_DAY)
    days = _days_of_month(fields, today.year, today.month)
    if days >> today.day & 1:
        back = civil - civil % HOUR
        index = bisect.bisect_left(fields.times, -(-second // MINUTE))
        if index < len(fields.times):
            return back, day * DAY + fields.times[index] * MINUTE
    else:
        back = (day if days else day - today.day + 1) * DAY
    later = _day_after(fields, today)
    if later is None:
        return None
    return back, (later.toordinal() - EPOCH_DAY) * DAY + fields.times[0] * MINUTE


def matches(fields: cron_fields.Fields, day: int) -> bool:
    """Tell whether a day, counted from 1970, matches."""
    on = date.fromordinal(day + EPOCH_DAY)
    return bool(_days_of_month(fields, on.year, on.month) >> on.day & 1)


def first_weekday(day: date) -> int:
    """Return the weekday (Sunday 0) of the first of a day's month."""
    return (day.isoweekday() - day.day + 1) % cron_fields.DAYS_PER_WEEK


def to_civil(year: int, month: int, day: int, second: int = 0) -> int:
    """Return a civil time; `day` may lie beyond the month, and `month` may be 13."""
    first = date(year + 1, 1, 1) if month > _MONTHS else date(year, month, 1)
    return (first.toordinal() - EPOCH_DAY + day - 1) * DAY + second


def _day_after(fields: cron_fields.Fields, today: date) -> date | None:
    """Return the next matching day within the library's search."""
    this_month = today.year * _MONTHS + today.month - 1
    passed = (2 << today.day) - 1
    for count in range(this_month, (today.year + YEARS_AHEAD + 1) * _MONTHS):
        year, month = count // _MONTHS, count % _MONTHS + 1
        days = _days_of_month(fields, year, month) & ~passed
        if days:
            return date(year, month, (days & -days).bit_length() - 1)
        passed = 0
    return None


def _days_of_month(fields: cron_fields.Fields, year: int, month: int) -> int:
    """Return the matching days of a month as a bit set; 0 if the month does not match."""
    if not fields.months >> month & 1:
        return 0
    first_weekday, existing = _month(year, month)
    return fields.days[first_weekday] & existing


@functools.lru_cache(maxsize=1024)  # some 80 years, more than jobs ask about
def _month(year: int, month: int) -> tuple[int, int]:
    """Return the weekday (Sunday 0) of a month's first day and its days as a bit set."""
    first_weekday, length = calendar.monthrange(year, month)
    return (first_weekday + 1) % cron_fields.DAYS_PER_WEEK, (2 << length) - 2

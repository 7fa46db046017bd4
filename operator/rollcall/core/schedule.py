"""When a cron schedule fires, to the second as Kubernetes computes it.

A slot is an instant at which the CronJob controller would start a Job: what robfig/cron v3 answers
for "TZ=<zone> <expression>". `cron_fields` reads the expression, `cron_walk` takes the library's
steps through `zones`, `cron_calendar` knows days and times without zones. Here they meet:

1. While a zone keeps its offset, the walk can only arrive at the next matching minute of the
   calendar. So the calendar is asked first, with bit sets instead of steps.
2. The walk may look back to the start of the hour, of the day or of the month. If the offset
   changes between there and the calendar's answer, the walk decides, unless it would only pass
   the change on its way from midnight to midnight.
3. Counting and measuring go by days: the slots of one day under one offset are found at once.

Instants are aware datetimes and come back in UTC; a naive one raises ValueError. No slots are given
before 1970, older than any cluster, and after 9990, near the end of Python's calendar.
"""

import bisect
import collections
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollcall.core import cron_calendar, cron_fields, cron_walk, zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_LAST = (datetime(9990, 12, 31, tzinfo=UTC) - _EPOCH) // _SECOND  # YEARS_AHEAD and more to spare

_FARTHEST_BACK = 31 * cron_calendar.DAY  # to the start of the month
# The last slot is looked for within an hour first, which most schedules have one in or just miss.
_LOOK_BACK = cron_calendar.HOUR
_LOOK_BACK_GROWTH = 4


class ScheduleError(ValueError):
    """Kubernetes or Rollcall refuses the schedule; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySlots:
    """Slots of one local day, counted from 1970, under one offset: minutes of that day."""

    day: int
    offset: int
    minutes: tuple[int, ...]

    def slot(self, index: int) -> int:
        """Return a slot in seconds since 1970."""
        civil = self.day * cron_calendar.DAY + self.minutes[index] * cron_calendar.MINUTE
        return civil - self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """The shortest and the longest time between neighbouring slots."""

    shortest: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """An expression in a zone. Made by `parse`."""

    expression: str
    zone: str
    _fields: cron_fields.Fields = field(repr=False, compare=False)
    _zone: zones.Zone = field(repr=False, compare=False)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot after an instant.

        None means never: the library finds none up to the end of the fifth calendar year ahead.
        """
        slot = self._first_from(_whole_seconds(instant) + 1)
        return None if slot is None else _instant(slot)

    def latest_at_or_before(self, instant: datetime, not_before: datetime) -> datetime | None:
        """Return the last of the slots from `not_before` to `instant`, both included.

        Where the search stumbles over a change of clocks, the same slots are left out as going
        forward from `not_before`.
        """
        latest, end = None, _whole_seconds(instant)
        slot = self._first_from(_whole_seconds(not_before, up=True))
        while slot is not None and slot <= end:
            latest = self._latest_ahead(slot, end)
            slot = self._first_from(latest + 1)
        return None if latest is None else _instant(latest)

    def slots_between(
        self, start_exclusive: datetime, end_inclusive: datetime
    ) -> Iterator[datetime]:
        """Yield the slots after one instant up to another."""
        days = self.days_between(start_exclusive, end_inclusive)
        return (_instant(day.slot(index)) for day in days for index in range(len(day.minutes)))

    def days_between(
        self, start_exclusive: datetime, end_inclusive: datetime
    ) -> Iterator[DaySlots]:
        """Yield the same slots, by local day and offset."""
        return self._days(_whole_seconds(start_exclusive) + 1, _whole_seconds(end_inclusive))

    def count_between(self, start_exclusive: datetime, end_inclusive: datetime) -> int:
        """Count the slots after one instant up to another, without visiting each."""
        days = self.days_between(start_exclusive, end_inclusive)
        return sum(len(day.minutes) for day in days)

    def gaps(self, start: datetime, days: int = 366) -> Gaps | None:
        """Return the times between neighbouring slots of the coming days.

        None if fewer than two slots lie in them.
        """
        after = _whole_seconds(start)
        gaps: set[int] = set()
        previous = None
        for day in self._days(after + 1, after + days * cron_calendar.DAY):
            gaps |= _steps(day.minutes)
            if previous is not None:
                gaps.add(day.slot(0) - previous)
            previous = day.slot(-1)
        if not gaps:
            return None
        return Gaps(shortest=timedelta(seconds=min(gaps)), longest=timedelta(seconds=max(gaps)))

    def longest_gap(self, start: datetime, days: int = 366) -> timedelta | None:
        """Return the longest time between neighbouring slots of the coming days, as `gaps` does."""
        found = self.gaps(start, days)
        return None if found is None else found.longest

    def _first_from(self, start: int) -> int | None:
        """Return the first slot at or after a second."""
        start = max(start, 0)
        if start > _LAST or not self._fields.times:
            return None
        offset = self._zone.offset(start)
        answer = cron_calendar.next_match(self._fields, start + offset)
        if answer is not None:
            back, slot = answer[0] - offset, answer[1] - offset
            if self._zone.plain_until(back, slot, offset) == slot:
                return slot
            later = self._after_days(start, offset, *answer)
            if later is not None:
                return later
        walked = cron_walk.walk(self._fields, self._zone, start)
        if walked is None or walked >= start:
            return walked
        # Clocks were put back, and the library followed them to a moment that has passed. The
        # controller gets no further until its start deadline drops that moment; so leave it here.
        return self._first_from(start + cron_calendar.HOUR - (start + offset) % cron_calendar.HOUR)

    def _after_days(self, start: int, offset: int, back: int, civil: int) -> int | None:
        """Return the calendar's answer of a later day if the walk arrives at it too.

        It does if clocks stay in the rest of the first day, stay in the last day up to the answer,
        and spare the midnights in between. None if that is not known.
        """
        hour, day = cron_calendar.HOUR, cron_calendar.DAY
        first = start - (start + offset) % hour
        end_of_day = start + day - (start + offset) % day
        midnight = self._zone.instant(civil - civil % day)
        slot = midnight + civil % day
        known = (
            end_of_day <= midnight
            and self._zone.plain_until(first, end_of_day, offset) == end_of_day
            and self._zone.keeps_midnights(back - offset - day, midnight + day)
            and self._zone.plain_until(midnight, slot, civil - slot) == slot
        )
        return slot if known else None

    def _latest_ahead(self, slot: int, end: int) -> int:
        """Return a slot up to `end` that is reached from another, the last one if no clock changes.

        As long as a walk does not even look back to a change, every match is a slot, wherever the
        search begins; so it may begin at the end.
        """
        calm = self._zone.plain_until(slot - _FARTHEST_BACK, end, self._zone.offset(slot))
        for start in _look_back(calm, slot):
            latest = collections.deque(self._days(start, calm), maxlen=1)
            if latest:
                return latest[0].slot(-1)
        return self._rest_of_day(slot, end).slot(-1)

    def _days(self, start: int, end: int) -> Iterator[DaySlots]:
        slot = self._first_from(start)
        while slot is not None and slot <= end:
            day = self._rest_of_day(slot, end)
            yield day
            slot = self._first_from(day.slot(-1) + 1)

    def _rest_of_day(self, slot: int, end: int) -> DaySlots:
        """Return a slot with those that follow on its day as long as the offset stays.

        A slot that the walk took where the calendar has none is followed by nothing.
        """
        offset = self._zone.offset(slot)
        day, second = divmod(slot + offset, cron_calendar.DAY)
        minute, midnight = second // cron_calendar.MINUTE, slot - second
        times = self._fields.times
        first = bisect.bisect_left(times, minute)
        if minute not in times[first : first + 1] or not cron_calendar.matches(self._fields, day):
            return DaySlots(day=day, offset=offset, minutes=(minute,))
        last = self._zone.plain_until(slot, min(end, midnight + cron_calendar.DAY - 1), offset)
        stop = bisect.bisect_right(times, (last - midnight) // cron_calendar.MINUTE)
        return DaySlots(day=day, offset=offset, minutes=times[first : max(stop, first + 1)])


def parse(expression: str, zone: str) -> Schedule:
    """Read an expression for a zone of the IANA database or raise ScheduleError."""
    try:
        return Schedule(
            expression=expression,
            zone=zone,
            _fields=cron_fields.parse(expression),
            _zone=zones.load(zone),
        )
    except (cron_fields.FieldError, zones.ZoneError) as error:
        raise ScheduleError(str(error)) from error


def _look_back(end: int, earliest: int) -> Iterator[int]:
    """Yield ever earlier starts, the last of them `earliest`."""
    look_back = _LOOK_BACK
    while end - look_back > earliest:
        yield end - look_back
        look_back *= _LOOK_BACK_GROWTH
    yield earliest


@functools.lru_cache(maxsize=64)  # nearly all days of a schedule have the same minutes
def _steps(minutes: tuple[int, ...]) -> frozenset[int]:
    return frozenset(
        (later - earlier) * cron_calendar.MINUTE for earlier, later in itertools.pairwise(minutes)
    )


def _whole_seconds(instant: datetime, *, up: bool = False) -> int:
    """Return the seconds since 1970, rounded down or up."""
    if instant.utcoffset() is None:
        raise ValueError(f"{instant!r} has no time zone; pass an aware datetime")
    return -((_EPOCH - instant) // _SECOND) if up else (instant - _EPOCH) // _SECOND


def _instant(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)

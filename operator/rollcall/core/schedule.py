"""When a cron schedule fires, to the second as Kubernetes computes it.

A slot is an instant at which the CronJob controller would start a Job: what robfig/cron v3 answers
for "TZ=<zone> <expression>". `cron_fields` reads the expression, `cron_walk` takes the library's
steps through `zones`, `cron_calendar` knows days and times without zones. Here they meet:

1. While a zone keeps its offset, the walk can only arrive at the next matching minute of the
   calendar. So the calendar is asked first, with bit sets instead of steps.
2. The walk may look back to the start of the hour, or of the day if the day does not match, or of
   the month. If the offset changes between there and the calendar's answer, the walk decides.
3. The slots of one day under one offset form a run. Counting and measuring go from run to run.

Instants are aware datetimes and come back in UTC; a naive one raises ValueError. No slots are given
before 1970, older than any cluster, and after 9990, near the end of Python's calendar.
"""

import bisect
import collections
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollcall.core import cron_calendar, cron_fields, cron_walk, zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_LAST = (datetime(9990, 12, 31, tzinfo=UTC) - _EPOCH) // _SECOND  # YEARS_AHEAD and more to spare

# The last slot is looked for within an hour first, which most schedules have one in or just miss.
_LOOK_BACK = cron_calendar.HOUR
_LOOK_BACK_GROWTH = 4


class ScheduleError(ValueError):
    """Kubernetes or Rollcall refuses the schedule; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Slots of one day under one offset: matching minutes, counted from its midnight."""

    midnight: int
    minutes: tuple[int, ...]

    def slot(self, index: int) -> int:
        return self.midnight + self.minutes[index] * cron_calendar.MINUTE


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
        """Return the last slot from `not_before` to `instant`, both included."""
        end = _whole_seconds(instant)
        for start in _look_back(end, _whole_seconds(not_before, up=True)):
            latest = collections.deque(self._runs(start, end), maxlen=1)
            if latest:
                return _instant(latest[0].slot(-1))
        return None

    def slots_between(
        self, start_exclusive: datetime, end_inclusive: datetime
    ) -> Iterator[datetime]:
        """Yield the slots after one instant up to another."""
        runs = self._runs(_whole_seconds(start_exclusive) + 1, _whole_seconds(end_inclusive))
        return (_instant(run.slot(index)) for run in runs for index in range(len(run.minutes)))

    def count_between(self, start_exclusive: datetime, end_inclusive: datetime) -> int:
        """Count the slots after one instant up to another, without visiting each."""
        runs = self._runs(_whole_seconds(start_exclusive) + 1, _whole_seconds(end_inclusive))
        return sum(len(run.minutes) for run in runs)

    def longest_gap(self, start: datetime, days: int = 366) -> timedelta | None:
        """Return the longest time between neighbouring slots of the coming days.

        None if fewer than two slots lie in them.
        """
        after = _whole_seconds(start)
        times = self._fields.times
        longest, whole_day, previous = 0, _longest_step(times), None
        for run in self._runs(after + 1, after + days * cron_calendar.DAY):
            is_whole = len(run.minutes) == len(times)
            within = whole_day if is_whole else _longest_step(run.minutes)
            before = 0 if previous is None else run.slot(0) - previous
            longest, previous = max(longest, within, before), run.slot(-1)
        return timedelta(seconds=longest) if longest else None

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
        walked = cron_walk.walk(self._fields, self._zone, start)
        if walked is None or walked >= start:
            return walked
        # Clocks were put back, and the library followed them to a moment that has passed. The
        # controller gets no further until its start deadline drops that moment; so leave it here.
        return self._first_from(start + cron_calendar.HOUR - (start + offset) % cron_calendar.HOUR)

    def _runs(self, start: int, end: int) -> Iterator[_Run]:
        slot = self._first_from(start)
        while slot is not None and slot <= end:
            run = self._run_from(slot, end)
            yield run
            slot = self._first_from(run.slot(-1) + 1)

    def _run_from(self, slot: int, end: int) -> _Run:
        """Return a slot with those that follow on its day as long as the offset stays.

        A slot that the walk took where the calendar has none is followed by nothing.
        """
        offset = self._zone.offset(slot)
        day, second = divmod(slot + offset, cron_calendar.DAY)
        minute, midnight = second // cron_calendar.MINUTE, slot - second
        times = self._fields.times
        first = bisect.bisect_left(times, minute)
        if minute not in times[first : first + 1] or not cron_calendar.matches(self._fields, day):
            return _Run(midnight=midnight, minutes=(minute,))
        last = self._zone.plain_until(slot, min(end, midnight + cron_calendar.DAY - 1), offset)
        stop = bisect.bisect_right(times, (last - midnight) // cron_calendar.MINUTE)
        return _Run(midnight=midnight, minutes=times[first : max(stop, first + 1)])


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


def _longest_step(minutes: tuple[int, ...]) -> int:
    steps = (later - earlier for earlier, later in itertools.pairwise(minutes))
    return max(steps, default=0) * cron_calendar.MINUTE


def _whole_seconds(instant: datetime, *, up: bool = False) -> int:
    """Return the seconds since 1970, rounded down or up."""
    if instant.utcoffset() is None:
        raise ValueError(f"{instant!r} has no time zone; pass an aware datetime")
    return -((_EPOCH - instant) // _SECOND) if up else (instant - _EPOCH) // _SECOND


def _instant(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)

"""What changes of a zone's clocks do to a schedule.

For each day the times that match are held against those that run. A difference belongs to the last
change before it: the library's search may pass over whole days after one (see `cron_walk`).
"""

import bisect
import collections
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from rollcall.core import cron_calendar, cron_fields, schedule, zones

_EVERY_HOUR = (1 << 24) - 1
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """A change of offset and what it does to the slots until the next one.

    `at` is the first instant of the new offset; `before` and `after` say how far clocks are ahead
    of UTC. Three kinds of times on the wall, without a zone: those that match and do not run, those
    that run twice, those that run and do not match. `across` is the time between the slots around
    the change, None if either is missing; `keeps_pace` tells of a schedule for all hours that it
    lies between the shortest and the longest step of any day.
    """

    at: datetime
    before: timedelta
    after: timedelta
    left_out: tuple[datetime, ...]
    doubled: tuple[datetime, ...]
    unplanned: tuple[datetime, ...]
    across: timedelta | None
    keeps_pace: bool

    @property
    def is_noticed(self) -> bool:
        """Tell whether runs are lost, doubled or moved, and it is not only hours named anew."""
        return bool(self.left_out or self.doubled or self.unplanned) and not self.keeps_pace

    def skips(self, wall: datetime) -> bool:
        """Tell whether clocks jump over a time."""
        instant = wall.replace(tzinfo=UTC)
        return self.at + self.before <= instant < self.at + self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class _OddDay:
    """A local day, counted from 1970, with the minutes of it that match and those that run."""

    day: int
    matching: tuple[int, ...]
    running: tuple[int, ...]

    def left_out(self) -> Iterator[datetime]:
        return self._walls(set(self.matching) - set(self.running))

    def doubled(self) -> Iterator[datetime]:
        counts = collections.Counter(self.running)
        return self._walls({minute for minute, count in counts.items() if count > 1})

    def unplanned(self) -> Iterator[datetime]:
        return self._walls(set(self.running) - set(self.matching))

    def _walls(self, minutes: set[int]) -> Iterator[datetime]:
        midnight = datetime.combine(date.fromordinal(cron_calendar.EPOCH_DAY + self.day), time())
        return (midnight + timedelta(minutes=minute) for minute in sorted(minutes))


def of(ticks: schedule.Schedule, start: datetime, days: int) -> Iterator[ClockChange]:
    """Yield the changes after a moment, in its local day and the following ones, so many in all."""
    zone, fields = zones.load(ticks.zone), cron_fields.parse(ticks.expression)
    begin = int(start.timestamp())
    today = (begin + zone.offset(begin)) // cron_calendar.DAY
    end = zone.instant((today + days) * cron_calendar.DAY)
    changes = list(zone.changes(begin, end - 1))
    first_days = [(at - 1 + zone.offset(at - 1)) // cron_calendar.DAY for at in changes]
    odd_days = list(_odd_days(ticks, start, end)) if changes else []
    for at, (first, stop) in zip(
        changes, itertools.pairwise([*first_days, today + days]), strict=True
    ):
        odd = [odd_day for odd_day in odd_days if first <= odd_day.day < stop]
        across = _across(ticks, start, at)
        yield ClockChange(
            at=datetime.fromtimestamp(at, UTC),
            before=timedelta(seconds=zone.offset(at - 1)),
            after=timedelta(seconds=zone.offset(at)),
            left_out=tuple(itertools.chain.from_iterable(day.left_out() for day in odd)),
            doubled=tuple(itertools.chain.from_iterable(day.doubled() for day in odd)),
            unplanned=tuple(itertools.chain.from_iterable(day.unplanned() for day in odd)),
            across=across,
            keeps_pace=across is not None and _is_usual(fields, across),
        )


def _odd_days(ticks: schedule.Schedule, start: datetime, end: int) -> Iterator[_OddDay]:
    """Yield the local days from a moment up to an end on which others run than match."""
    zone, fields = zones.load(ticks.zone), cron_fields.parse(ticks.expression)
    begin = int(start.timestamp())
    today, second = divmod(begin + zone.offset(begin), cron_calendar.DAY)
    running: dict[int, tuple[int, ...]] = collections.defaultdict(tuple)
    for slots in ticks.days_between(start, datetime.fromtimestamp(end - 1, UTC)):
        running[slots.day] += slots.minutes
    for day in range(today, (end - 1 + zone.offset(end - 1)) // cron_calendar.DAY + 1):
        matching = fields.times if cron_calendar.matches(fields, day) else ()
        if day == today:
            passed = bisect.bisect_right(matching, second // cron_calendar.MINUTE)
            matching = matching[passed:]
        if matching != running[day]:
            yield _OddDay(day=day, matching=matching, running=running[day])


def _across(ticks: schedule.Schedule, start: datetime, at: int) -> timedelta | None:
    last = ticks.latest_at_or_before(datetime.fromtimestamp(at - 1, UTC), start)
    following = None if last is None else ticks.next_after(last)
    return None if last is None or following is None else following - last


def _is_usual(fields: cron_fields.Fields, gap: timedelta) -> bool:
    """Tell whether the slots of a schedule for all hours have such a gap on an ordinary day."""
    if fields.hours != _EVERY_HOUR or not fields.times:
        return False
    steps = [later - earlier for earlier, later in itertools.pairwise(fields.times)]
    return min(steps) <= gap / _MINUTE <= max(steps)

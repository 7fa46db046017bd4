"""Time zones with the arithmetic of Go's time package, which Kubernetes schedules by.

Instants and civil times are whole seconds; a civil time is what a clock on the wall shows, counted
from 1970 as if it stood in UTC. Only one question is ever put to the zone database: which offset
holds at an instant. Everything else follows, above all which instant a civil time means while
clocks are put forward (it does not exist) or back (it exists twice); see `Zone.instant`.
"""

import functools
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

_SECOND = timedelta(seconds=1)
_MINUTE = 60
_HOUR = 3_600
_DAY = 86_400

# Changes of the offset are searched for and remembered by eras of 2^25 s (388 days), by probing
# every 2^18 s (73 hours). Two changes between neighbouring probes would cancel out and go unseen;
# the closest two since 1970 are a week apart (America/Noronha, October 2000).
_ERA_BITS = 25
_PROBE = 1 << 18

_PART = re.compile(r"(?!-|\.{1,2}$)[A-Za-z0-9._+-]{1,14}")  # the API server's rule for each part
_MOST_SLASHES = 2  # America/Argentina/Salta; thousands would exhaust the stack of zoneinfo
_OFFSET = re.compile(r"(Z|UTC|GMT)?[+-]?[0-9]{1,2}(:?[0-9]{2})?", re.IGNORECASE)
_MACHINE = re.compile(r"local|localtime|posixrules", re.IGNORECASE)
_VARIANT = re.compile(r"(posix|right)/")  # copies of the database; right/ counts leap seconds
_LONGEST_QUOTE = 40
_ADVICE = "write a name of the IANA database such as Europe/Berlin, or Etc/UTC"


class ZoneError(ValueError):
    """The zone is refused; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """The offsets of one zone."""

    info: zoneinfo.ZoneInfo

    def local(self, at: int) -> datetime:
        """Return what clocks show at an instant."""
        return datetime.fromtimestamp(at, self.info)

    def offset(self, at: int) -> int:
        """Return the seconds that clocks are ahead of UTC at an instant."""
        return (self.local(at).utcoffset() or timedelta()) // _SECOND

    def instant(self, civil: int) -> int:
        """Return the instant that Go's time.Date takes a civil time for.

        The offset is looked up twice: at the civil time taken for UTC, then at the instant which
        the first answer leads to. The second answer counts.
        """
        return civil - self.offset(civil - self.offset(civil))

    def plain_until(self, first: int, last: int, offset: int) -> int:
        """Return how far a walk that starts at `first`, under `offset`, meets no other offset.

        At most `last`; before `first` if not even there. `instant` looks offsets up at instants and
        at civil times, which lie one offset away: a change matters that far before and after it.
        An offset of odd seconds, as some zones had before 1972, is never plain.
        """
        if offset % _MINUTE:
            return first - 1
        earliest, ahead = first + min(offset, 0), max(offset, 0)
        return min(last, next(self.changes(earliest, last + ahead), last + ahead + 1) - ahead - 1)

    def keeps_midnights(self, first: int, last: int) -> bool:
        """Tell whether no change between two instants is within an hour of a midnight.

        Then each of the days has its one midnight, and a walk from midnight to midnight does not
        notice the changes.
        """
        harmful = (_harmful(self.info, era) for era in _eras(first, last))
        return not any(first <= change <= last for changes in harmful for change in changes)

    def changes(self, after: int, until: int) -> Iterator[int]:
        """Yield the first instants of new offsets after one instant up to another."""
        for era in _eras(after, until):
            for change in _changes(self.info, era):
                if after < change <= until:
                    yield change


@functools.lru_cache(maxsize=1024)  # the database has some 600 names
def load(name: str) -> Zone:
    """Find a zone by its name or raise ZoneError."""
    if _MACHINE.fullmatch(name):
        raise ZoneError(f"timeZone: {name!r} differs from machine to machine; {_ADVICE}")
    parts = name.split("/", _MOST_SLASHES)
    if all(map(_PART.fullmatch, parts)) and not _VARIANT.match(name):
        try:
            return Zone(info=zoneinfo.ZoneInfo(name))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise _refuse(name) from error
    raise _refuse(name)


def _refuse(name: str) -> ZoneError:
    if not name:
        return ZoneError(f"timeZone: it is empty; {_ADVICE}")
    shown = repr(name if len(name) <= _LONGEST_QUOTE else f"{name[:_LONGEST_QUOTE]}…")
    if _OFFSET.fullmatch(name):
        return ZoneError(
            f"timeZone: {shown} is an offset, not a zone; {_ADVICE}, "
            "or Etc/GMT-2 for a fixed offset of two hours ahead of UTC",
        )
    return ZoneError(f"timeZone: {shown} is unknown; {_ADVICE} (capital letters matter)")


def _eras(first: int, last: int) -> range:
    return range(first >> _ERA_BITS, (last >> _ERA_BITS) + 1)


@functools.lru_cache(maxsize=8192)  # six years for each zone that exists
def _harmful(info: zoneinfo.ZoneInfo, era: int) -> tuple[int, ...]:
    """Return the changes of an era that begin or end less than an hour from a midnight."""
    offset = Zone(info=info).offset
    return tuple(
        change
        for change in _changes(info, era)
        if not _within_day(change + offset(change - 1), change + offset(change))
    )


def _within_day(*civil: int) -> bool:
    days = {at // _DAY for at in civil}
    return len(days) == 1 and all(_HOUR <= at % _DAY <= _DAY - _HOUR for at in civil)


@functools.lru_cache(maxsize=8192)
def _changes(info: zoneinfo.ZoneInfo, era: int) -> tuple[int, ...]:
    """Return the first instants of new offsets, after the era's start up to the next one's."""
    offset = Zone(info=info).offset
    start = era << _ERA_BITS
    found = []
    for earlier in range(start, start + (1 << _ERA_BITS), _PROBE):
        old, new = earlier, earlier + _PROBE
        before = offset(old)
        if before == offset(new):
            continue
        while new - old > 1:
            middle = (old + new) // 2
            old, new = (middle, new) if offset(middle) == before else (old, middle)
        found.append(new)
    return tuple(found)

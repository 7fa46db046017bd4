"""The five fields of a cron expression, read as Kubernetes reads them.

Kubernetes judges a schedule with `ParseStandard` of robfig/cron v3.0.1. The same texts are accepted
here and mean the same:

1. A schedule is a descriptor (`@daily`, spelled exactly so, nothing around it) or five fields
   between white space: minute, hour, day of month, month, day of week.
2. A field is a list of items between commas. Empty items are skipped; a field of commas alone
   matches nothing.
3. An item is `base` or `base/step`. A base is a value, a range `low-high`, or a star. `*` and `?`
   are the same star in every field, and whatever follows `*-` is ignored.
4. `5/10` runs from 5 to the field's end, `5-5/10` is 5 alone. A step past the end is no error.
5. Ranges never run backwards. Sunday is 0, and 7 is no day.
6. Day of month and day of week: a day must satisfy both if either field holds a star without step
   (or with step 1), and one of them otherwise. So `*/2` is not a star here, and `1-31` is none.

Two things that the library knows are refused, because no slot can be derived from them alone:
`@every` and a zone written in front of the fields.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

MINUTES_PER_HOUR = 60
DAYS_PER_WEEK = 7
LONGEST_MONTH = 31

_LARGEST_NUMBER = 2**63 - 1  # the library reads numbers into Go's int
_NUMBER = re.compile(r"\+?0*([0-9]{1,19})")  # 19 digits hold every such int
_SPACES = re.compile(  # Go's unicode.IsSpace; Python's str.split also splits at U+001C to U+001F
    "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
)
_ZONE_PREFIX = re.compile(r"\s*(CRON_)?TZ=", re.IGNORECASE)
_EXTENSIONS = re.compile(r"[LWH#~]", re.IGNORECASE)
_LONGEST_QUOTE = 40  # keeps a message readable in a condition and in a table column

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class FieldError(ValueError):
    """The expression is refused; the message names the field and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What an expression matches, as bit sets: bit n stands for the value n.

    `days` has a set of days of the month for each weekday (Sunday 0) that the first of a month can
    fall on. `times` are the matching minutes of a day, ascending, that `hours` and `minutes` make;
    there are none if an empty field keeps every day from matching.
    """

    minutes: int
    hours: int
    months: int
    days: tuple[int, ...]
    times: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One field: its text, the matching values as a bit set, and whether it counts as a star."""

    name: str
    text: str
    values: int
    star: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # of low, low + 1, ...

    @property
    def allowed(self) -> str:
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.low} to {self.high}{names}"

    def refuse(self, text: str, problem: str) -> FieldError:
        return FieldError(f"{self.name}: {_quote(text)} {problem}")


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Days of a month are bits from 1 on. The bits of a week's days, times the second, repeat weekly.
_DAYS = sum(1 << day for day in range(1, LONGEST_MONTH + 1))
_EVERY_WEEK = sum(1 << day for day in range(0, LONGEST_MONTH + DAYS_PER_WEEK, DAYS_PER_WEEK))
_FIELDS = (
    _Field(name="minute", low=0, high=59),
    _Field(name="hour", low=0, high=23),
    _Field(name="day of month", low=1, high=LONGEST_MONTH),
    _Field(name="month", low=1, high=12, names=_MONTHS),
    _Field(name="day of week", low=0, high=6, names=_WEEKDAYS),
)


def parse(expression: str) -> Fields:
    """Read an expression or raise FieldError."""
    minutes, hours, days, months, weekdays = read(expression)
    by_first_weekday = tuple(
        _days_of_month(days.values, weekdays.values, both=days.star or weekdays.star)
    )
    can_match = months.values and any(by_first_weekday)
    return Fields(
        minutes=minutes.values,
        hours=hours.values,
        months=months.values,
        days=by_first_weekday,
        times=_times_of_day(minutes.values, hours.values) if can_match else (),
    )


def read(expression: str) -> tuple[Reading, ...]:
    """Read the five fields one by one or raise FieldError."""
    texts = _split(expression)
    return tuple(_read_field(field, text) for field, text in zip(_FIELDS, texts, strict=True))


def _split(expression: str) -> list[str]:
    if _ZONE_PREFIX.match(expression):
        raise FieldError(
            "schedule: a time zone in front of the fields is refused; write it in spec.timeZone",
        )
    if expression.strip().startswith("@"):
        return _split(_expand(expression))
    fields = [text for text in _SPACES.split(expression) if text]
    if len(fields) != len(_FIELDS):
        hint = "; leave out seconds and years" if len(fields) > len(_FIELDS) else ""
        count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        raise FieldError(
            f"schedule: {_quote(expression)} has {count}, but must have exactly 5: "
            f"{', '.join(field.name for field in _FIELDS)}{hint}",
        )
    return fields


def _expand(descriptor: str) -> str:
    if descriptor in _DESCRIPTORS:
        return _DESCRIPTORS[descriptor]
    plain = descriptor.strip().lower()
    if plain in _DESCRIPTORS:
        raise FieldError(
            f"schedule: {_quote(descriptor)} must be spelled exactly {plain}, "
            "in lower case and without space around it",
        )
    if plain.startswith("@every"):
        raise FieldError(
            "schedule: @every is refused, because it counts from a moment that only the controller "
            "knows; write five fields, such as */5 * * * * for every five minutes",
        )
    raise FieldError(
        f"schedule: {_quote(descriptor)} is unknown; "
        f"write one of {', '.join(_DESCRIPTORS)}, or five fields",
    )


def _read_field(field: _Field, text: str) -> Reading:
    values, star = 0, False
    for item in filter(None, text.split(",")):
        base, slash, step_text = item.partition("/")
        step = _read_step(field, item, step_text) if slash else 1
        low_text, hyphen, high_text = base.partition("-")
        if low_text in {"*", "?"}:
            low, high = field.low, field.high
            star = star or step == 1
        else:
            low = high = _read_value(field, item, low_text)
            if hyphen:
                high = _read_value(field, item, high_text)
            elif slash:
                high = field.high
        if low > high:
            raise field.refuse(item, _backwards(field, low, high, step))
        values |= sum(1 << value for value in range(low, high + 1, step))
    return Reading(name=field.name, text=text, values=values, star=star)


def _read_value(field: _Field, item: str, text: str) -> int:
    name = text.lower()
    if name in field.names:
        return field.low + field.names.index(name)
    value = _read_number(text)
    if value is not None and field.low <= value <= field.high:
        return value
    if name[:3] in field.names:
        raise field.refuse(item, f"is not allowed; write {name[:3]}")
    if field.names is _WEEKDAYS and value == DAYS_PER_WEEK:
        raise field.refuse(item, "is not allowed; Sunday is 0 or sun")
    extension = "; Kubernetes knows none of L, W, #, H and ~" if _EXTENSIONS.search(text) else ""
    raise field.refuse(item, f"is not allowed; write {field.allowed}{extension}")


def _read_step(field: _Field, item: str, text: str) -> int:
    step = _read_number(text)
    if not step:
        raise field.refuse(item, "has no valid step; write one whole number from 1 after one slash")
    return step


def _read_number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    number = int(match[1]) if match else None
    return None if number is None or number > _LARGEST_NUMBER else number


def _backwards(field: _Field, low: int, high: int, step: int) -> str:
    instead = (
        f"write {low}-{field.high},{field.low}-{high}"
        if step == 1
        else "list the values one by one"
    )
    return f"runs backwards, which is not allowed; {instead}"


def _days_of_month(days: int, weekdays: int, *, both: bool) -> Iterator[int]:
    weeks = weekdays * _EVERY_WEEK
    for first in range(DAYS_PER_WEEK):
        named = weeks >> first << 1 & _DAYS
        yield days & named if both else days | named


@functools.lru_cache(maxsize=1024)  # shares up to 12 kB among jobs with the same times of day
def _times_of_day(minutes: int, hours: int) -> tuple[int, ...]:
    return tuple(
        hour * MINUTES_PER_HOUR + minute
        for hour in range(24)
        for minute in range(MINUTES_PER_HOUR)
        if hours >> hour & 1 and minutes >> minute & 1
    )


def _quote(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")

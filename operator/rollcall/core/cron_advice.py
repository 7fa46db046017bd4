"""What people may not expect of an expression, whatever the time zone."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rollcall.core import cron_fields

_STARS = {"*", "?"}
_CYCLES = {  # after how many of what a field starts anew, and how people call that
    "minute": (60, "minutes", "hour"),
    "hour": (24, "hours", "day"),
    "day of month": (0, "days", "month"),
    "month": (12, "months", "year"),
    "day of week": (7, "days", "week"),
}
_FEBRUARY = 2
_MONTHS = (
    ("January", 31),
    ("February", 29),
    ("March", 31),
    ("April", 30),
    ("May", 31),
    ("June", 30),
    ("July", 31),
    ("August", 31),
    ("September", 30),
    ("October", 31),
    ("November", 30),
    ("December", 31),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A warning: a code for programs and a sentence for people."""

    code: str
    message: str


def about(expression: str) -> Iterator[Advice]:
    """Yield warnings about an accepted expression, in the order of its fields."""
    fields = cron_fields.read(expression)
    _, _, days, months, weekdays = fields
    yield from itertools.chain.from_iterable(map(_about_step, fields))
    if not {days.text, weekdays.text} & _STARS:
        yield from _about_both_days(days, weekdays)
    if weekdays.star and days.values:
        yield from _about_short_months(days, months)


def _about_step(field: cron_fields.Reading) -> Iterator[Advice]:
    """Warn of `*/n` or `m/n` that does not come out even where the field starts anew."""
    base, slash, step_text = field.text.partition("/")
    if not slash or "," in field.text or "-" in base or int(step_text) == 1:
        return
    problem = _uneven(field, int(step_text))
    if problem:
        yield Advice(code="UnevenStep", message=f"{field.name}: {field.text} {problem}")


def _uneven(field: cron_fields.Reading, step: int) -> str:
    values = _values(field)
    cycle, unit, turn = _CYCLES[field.name]
    around = values[0] + cycle - values[-1]
    if cycle and around == step:
        return ""
    if len(values) == 1:
        return f"matches {values[0]} alone; a step starts anew with every {turn}"
    if not cycle:
        return f"starts anew with every {turn}, however long the last one was"
    return (
        f"is not even: it starts anew with every {turn}, "
        f"so that {values[0]} follows {values[-1]} after {around} instead of {step} {unit}"
    )


def _about_both_days(days: cron_fields.Reading, weekdays: cron_fields.Reading) -> Iterator[Advice]:
    if days.star != weekdays.star:
        star, other = (days, weekdays) if days.star else (weekdays, days)
        yield Advice(
            code="StarDay",
            message=f"{star.name}: {star.text} counts as a star, so that a day must match both "
            f"day fields, and {other.name} {other.text} alone decides",
        )
    elif not days.star:
        yield Advice(
            code="EitherDay",
            message=f"day of month {days.text} and day of week {weekdays.text}: a day that matches "
            "EITHER runs; it need not match both",
        )


def _about_short_months(days: cron_fields.Reading, months: cron_fields.Reading) -> Iterator[Advice]:
    """Warn of months without any of the days, unless there are no others."""
    first = _values(days)[0]
    chosen = [_MONTHS[month - 1] for month in _values(months)]
    short = [name for name, length in chosen if length < first]
    if short and len(short) < len(chosen):
        yield Advice(
            code="ShortMonths",
            message=f"day of month: {days.text} does not come in {', '.join(short)}",
        )
    if first == _MONTHS[_FEBRUARY - 1][1] and months.values >> _FEBRUARY & 1:
        yield Advice(
            code="LeapDay",
            message="day of month: 29 comes in February of leap years only",
        )


def _values(field: cron_fields.Reading) -> list[int]:
    return [value for value in range(field.values.bit_length()) if field.values >> value & 1]

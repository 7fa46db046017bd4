"""Laws that hold for every schedule, zone and moment."""

import functools
import itertools
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rollcall.core import cron_fields, cron_walk, schedule, zones

# Clocks here change by whole hours and never at midnight, so that nothing is left to the library's
# steps: a slot is a minute whose local time matches.
ORDINARY_ZONES = (
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
    "UTC",
)
# Here they change at midnight, by half an hour, by three quarters, by two or three hours, twice
# within a week, or four times a year.
STRANGE_ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Asuncion",
    "America/Havana",
    "America/Noronha",
    "America/Santiago",
    "America/Scoresbysund",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)
MOMENTS = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001 - hypothesis wants naive limits
    datetime(2045, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
FREQUENT = settings(max_examples=3 * settings().max_examples)  # rare corners of rare zones


def near_a_change(zone: str) -> st.SearchStrategy[datetime]:
    """Draw a moment within four days of a change of the zone's offset, if it has any."""
    changes = changes_of(zone) or (datetime(2024, 3, 31, 1, tzinfo=UTC),)
    nearby = st.integers(-4 * 86_400, 4 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
    return st.builds(lambda change, distance: change + distance, st.sampled_from(changes), nearby)


@functools.cache
def changes_of(zone: str) -> tuple[datetime, ...]:
    """Return the days from 1971 to 2045 before which the zone's offset changes."""
    info = zoneinfo.ZoneInfo(zone)
    # Asked 700,000 times in all, and by far the cheapest for naive days: they are the zone's own.
    days = every_day()
    neighbours = itertools.pairwise(zip(days, map(info.utcoffset, days), strict=True))
    return tuple(
        day.replace(tzinfo=UTC) for (_, before), (day, after) in neighbours if before != after
    )


@functools.cache
def every_day() -> list[datetime]:
    first = datetime(1971, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    return [first + timedelta(days=day) for day in range(27_000)]


def items(low: int, high: int) -> st.SearchStrategy[str]:
    values = st.integers(low, high)
    ranges = st.tuples(values, values).map(lambda pair: f"{min(pair)}-{max(pair)}")
    bases = st.one_of(values.map(str), ranges, st.just("*"))
    steps = st.one_of(st.just(""), st.integers(1, 40).map(lambda step: f"/{step}"))
    return st.builds(lambda base, step: base + step, bases, steps)


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.lists(items(low, high), min_size=1, max_size=3).map(",".join))


EXPRESSIONS = st.tuples(
    fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)
).map(" ".join)


def expand(text: str, low: int, high: int) -> tuple[set[int], bool]:
    """Read a field in the plainest way: its values, and whether it is a star."""
    values: set[int] = set()
    star = False
    for item in text.split(","):
        base, _, step = item.partition("/")
        first, _, last = base.partition("-")
        if first == "*":
            start, stop = low, high
            star = star or step in {"", "1"}
        else:
            start, stop = int(first), int(last or (high if step else first))
        values.update(range(start, stop + 1, int(step or 1)))
    return values, star


def naive_slots(expression: str, zone: str, start: datetime, minutes: int) -> Iterator[datetime]:
    """Look at every minute after a moment and yield those whose local time matches."""
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    read = [expand(text, *limits) for text, limits in zip(expression.split(), bounds, strict=True)]
    (minute, _), (hour, _), (day, any_day), (month, _), (weekday, any_weekday) = read
    both = any_day or any_weekday
    info = zoneinfo.ZoneInfo(zone)
    first = start.replace(second=0, microsecond=0)
    for count in range(1, minutes + 1):
        moment = first + timedelta(minutes=count)
        local = moment.astimezone(info)
        if local.minute not in minute or local.hour not in hour or local.month not in month:
            continue
        matches = [local.day in day, local.isoweekday() % 7 in weekday]
        if all(matches) if both else any(matches):
            yield moment


@given(data=st.data(), zone=st.sampled_from(ORDINARY_ZONES), expression=EXPRESSIONS)
@settings(max_examples=3 * settings().max_examples // 2)
def test_slots_are_the_minutes_that_match(data: st.DataObject, zone: str, expression: str) -> None:
    start = data.draw(st.one_of(near_a_change(zone), MOMENTS))
    horizon = 2 * 24 * 60
    end = start.replace(second=0, microsecond=0) + timedelta(minutes=horizon)
    expected = list(naive_slots(expression, zone, start, horizon))
    assert list(schedule.parse(expression, zone).slots_between(start, end)) == expected


@given(data=st.data(), zone=st.sampled_from(ORDINARY_ZONES + STRANGE_ZONES), expression=EXPRESSIONS)
@FREQUENT
def test_arithmetic_agrees_with_the_walk(data: st.DataObject, zone: str, expression: str) -> None:
    moment = data.draw(st.one_of(near_a_change(zone), MOMENTS))
    second = int(moment.timestamp())
    walked = cron_walk.walk(cron_fields.parse(expression), zones.load(zone), second + 1)
    slot = schedule.parse(expression, zone).next_after(moment)
    if walked is None or walked > second:
        assert slot == (None if walked is None else datetime.fromtimestamp(walked, UTC))
    else:  # the library went back in time
        assert slot is None or slot > moment


@given(data=st.data(), zone=st.sampled_from(ORDINARY_ZONES + STRANGE_ZONES), expression=EXPRESSIONS)
@FREQUENT
def test_a_range_of_slots_is_a_chain_of_next_slots(
    data: st.DataObject, zone: str, expression: str
) -> None:
    start = data.draw(st.one_of(near_a_change(zone), MOMENTS))
    parsed = schedule.parse(expression, zone)
    chain: list[datetime] = []
    slot = parsed.next_after(start)
    while slot is not None and len(chain) < 100:
        chain.append(slot)
        slot = parsed.next_after(slot)
    assert chain == sorted(set(chain))
    if not chain:
        return
    assert list(parsed.slots_between(start, chain[-1])) == chain
    assert parsed.count_between(start, chain[-1]) == len(chain)


@given(
    data=st.data(),
    zone=st.sampled_from(ORDINARY_ZONES),
    expression=EXPRESSIONS,
    length=st.timedeltas(timedelta(0), timedelta(days=40)),
)
@FREQUENT
def test_the_latest_slot_and_the_longest_gap_follow_from_the_slots(
    data: st.DataObject, zone: str, expression: str, length: timedelta
) -> None:
    start = data.draw(st.one_of(near_a_change(zone), MOMENTS))
    parsed = schedule.parse(expression, zone)
    length = min(length, timedelta(days=3)) if expression.startswith("*") else length
    slots = list(parsed.slots_between(start, start + length))
    latest = parsed.latest_at_or_before(start + length, start + timedelta.resolution)
    assert latest == (slots[-1] if slots else None)
    days = length.days
    coming = list(parsed.slots_between(start, start + timedelta(days=days)))
    gaps = [later - earlier for earlier, later in itertools.pairwise(coming)]
    assert parsed.longest_gap(start, days=days) == max(gaps, default=None)


@given(
    data=st.data(),
    zone=st.sampled_from(ORDINARY_ZONES + STRANGE_ZONES),
    expression=EXPRESSIONS,
    length=st.timedeltas(timedelta(0), timedelta(days=100)),
)
@FREQUENT
def test_the_latest_slot_is_the_last_one_going_forward(
    data: st.DataObject, zone: str, expression: str, length: timedelta
) -> None:
    start = data.draw(st.one_of(near_a_change(zone), MOMENTS))
    parsed = schedule.parse(expression, zone)
    last = None
    for day in parsed.days_between(start, start + length):
        last = datetime.fromtimestamp(day.slot(-1), UTC)
    after_start = start + timedelta.resolution
    assert parsed.latest_at_or_before(start + length, after_start) == last

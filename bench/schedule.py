"""How fast slots are computed, on one core: the time that this process itself used."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import machine, report
from rollcall.core import schedule

_ZONE = "Europe/Berlin"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR = timedelta(days=365)
_LONGEST = timedelta(days=365 * 20)  # then a chain of slots begins anew
_CALLS = 3_000
_ROUNDS = 3
_WANTED_PER_SECOND = 50_000
_WANTED_MS = 5
_COMMON = (
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0 9-17 * * 1-5",
    "0 0 * * 0",
    "0 0 1 * *",
    "@yearly",
)
_RARE = {"29 February": "0 0 29 2 *", "never": "0 0 30 2 *"}


def run() -> list[dict[str, Any]]:
    """Measure, print two tables, return the numbers."""
    common = [_common(expression) for expression in _COMMON]
    single = list(_single())
    print(f"{machine.describe()}; zone {_ZONE}\n")
    print(report.table(["schedule", "next_after per second"], _rows(common)))
    print(f"wanted: {_WANTED_PER_SECOND:,} per second\n")
    print(report.table(["one answer", "ms"], _rows(single)))
    print(f"wanted: 29 February and never below {_WANTED_MS} ms")
    return common + single


def _common(expression: str) -> dict[str, Any]:
    ticks = schedule.parse(expression, _ZONE)
    best = min(_seconds(lambda: _follow(ticks)) for _ in range(_ROUNDS))
    return {"schedule": expression, "per_second": round(_CALLS / best)}


def _follow(ticks: schedule.Schedule) -> None:
    instant = _START
    for _ in range(_CALLS):
        instant = ticks.next_after(instant) or _START
        if instant - _START > _LONGEST:
            instant = _START


def _single() -> Iterator[dict[str, Any]]:
    """Yield times of single answers, the slowest of some years that nobody asked about before."""
    for name, expression in _RARE.items():
        ticks = schedule.parse(expression, _ZONE)
        slowest = max(_next_from(ticks, year) for year in range(2030, 2060))
        yield {"what": f"next_after, {name}", "ms": round(slowest * 1000, 2)}
    minutely, end = schedule.parse("* * * * *", _ZONE), _START + _YEAR
    counted = _seconds(lambda: minutely.count_between(_START, end))
    yield {"what": "count_between, a year of minutes", "ms": round(counted * 1000, 2)}
    found = _seconds(lambda: minutely.latest_at_or_before(end, _START))
    yield {"what": "latest_at_or_before, a year of minutes", "ms": round(found * 1000, 2)}


def _next_from(ticks: schedule.Schedule, year: int) -> float:
    return _seconds(lambda: ticks.next_after(datetime(year, 3, 1, tzinfo=UTC)))


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _rows(numbers: Iterable[dict[str, Any]]) -> Iterator[list[Any]]:
    return (list(one.values()) for one in numbers)

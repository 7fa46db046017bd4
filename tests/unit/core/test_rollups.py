"""Many executions in a few numbers."""

import bisect
import math
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import rollups
from rollcall.core.executions import Status

DURATIONS = st.lists(st.floats(1, 3e7), min_size=1)


def statistics(seconds: list[float]) -> rollups.Statistics:
    return rollups.Statistics(
        counts={Status.SUCCEEDED: len(seconds)},
        histogram=Counter(bisect.bisect_right(rollups.BOUNDS, one) for one in seconds),
        longest=timedelta(seconds=max(seconds)),
    )


@given(DURATIONS, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_12_percent_of_the_exact_one(
    seconds: list[float], fraction: float
) -> None:
    exact = sorted(seconds)[max(1, math.ceil(fraction * len(seconds))) - 1]

    found = statistics(seconds).duration(fraction)

    assert found is not None
    assert found.total_seconds() == pytest.approx(exact, rel=0.12)


@given(DURATIONS)
def test_percentiles_never_fall_and_never_exceed_the_longest(seconds: list[float]) -> None:
    found = [statistics(seconds).duration(fraction) for fraction in (0.0, 0.3, 0.6, 0.9, 1.0)]

    assert found == sorted(found)  # type: ignore[type-var]
    assert found[-1] is not None
    assert found[-1] <= timedelta(seconds=max(seconds))


def test_what_took_less_than_a_second_took_none() -> None:
    assert statistics([0.0, 0.4]).duration(0.5) == timedelta()


def test_without_successes_there_is_no_duration() -> None:
    assert rollups.Statistics().duration(0.5) is None


RATES = {
    "all succeeded": ({Status.SUCCEEDED: 4}, 1.0),
    "one of four failed": ({Status.SUCCEEDED: 3, Status.FAILED: 1}, 0.75),
    "neutral ones do not count": (
        {Status.SUCCEEDED: 1, Status.FAILED: 1, Status.SKIPPED: 7, Status.CANCELLED: 2},
        0.5,
    ),
    "nothing decided": ({Status.MISSED: 3}, None),
}


@pytest.mark.parametrize(("counts", "rate"), RATES.values(), ids=RATES)
def test_the_success_rate_is_of_what_succeeded_or_failed(
    counts: dict[Status, int], rate: float | None
) -> None:
    assert rollups.Statistics(counts=counts).success_rate == rate


def test_numbers_of_several_are_added_up() -> None:
    parts = [statistics([2.0, 30.0]), statistics([500.0]), rollups.Statistics()]

    assert rollups.together(parts) == statistics([2.0, 30.0, 500.0])
    assert rollups.together([]) == rollups.Statistics()

"""What is usual of a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import baselines

NUMBERS = st.floats(min_value=0, max_value=1e12)
HISTORIES = st.lists(NUMBERS, min_size=baselines.RUNS, max_size=100)


def is_odd(value: float, history: list[float]) -> bool:
    usual = baselines.of(history)
    assert usual
    return abs(value - usual.median) > usual.reach


def test_too_few_runs_say_nothing() -> None:
    assert baselines.of([1.0] * (baselines.RUNS - 1)) is None


@pytest.mark.parametrize(
    ("history", "value", "odd"),
    [
        ([1000.0] * 20, 1500, False),
        ([1000.0] * 20, 1501, True),
        ([1000.0] * 20, 499, True),
        ([0.0] * 20, 0, False),
        ([0.0] * 20, 1, True),
        ([0.0] * 12 + [5.0] * 8, 5, False),  # half of them are the same, and yet others come
        ([100.0, 900.0] * 20, 2500, False),
        ([100.0, 900.0] * 20, 4000, True),
        ([1000.0] * 99 + [1e9], 3000, False),  # the mean is drawn by what is odd itself,
        ([1000.0, 1001.0] * 49 + [1e9], 3000, True),  # the median is not
    ],
)
def test_what_is_far_from_most_is_odd(history: list[float], value: float, odd: bool) -> None:
    assert is_odd(value, history) is odd


@given(HISTORIES)
def test_the_median_itself_never_is(history: list[float]) -> None:
    usual = baselines.of(history)
    assert usual
    assert not is_odd(usual.median, history)
    assert min(history) <= usual.median <= max(history)


@given(st.integers(0, 2**40), st.integers(baselines.RUNS, 100))
def test_of_what_never_changed_half_may_be_gone(value: int, runs: int) -> None:
    usual = baselines.of([value] * runs)
    assert usual == baselines.Baseline(median=value, spread=0, runs=runs)
    assert not is_odd(value * 1.5, [value] * runs)


@given(HISTORIES, NUMBERS)
def test_the_order_of_runs_does_not_matter(history: list[float], value: float) -> None:
    assert is_odd(value, history) == is_odd(value, sorted(history))

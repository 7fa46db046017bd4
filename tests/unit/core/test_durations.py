"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import durations


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
        ("0s", timedelta()),
        ("3650d", durations.LONGEST),
    ],
)
def test_a_duration_is_read(text: str, value: timedelta) -> None:
    assert durations.parse(text) == value


@pytest.mark.parametrize("text", ["", "5", "1.5h", "-1h", "1m1h", " 1h", "1h ", "5 m", "1w"])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90s"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["3650d1s", "3651d", "87601h", "9999999999d"])
def test_a_duration_beyond_ten_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 3650d"):
        durations.parse(text)


def test_a_number_of_absurd_length_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        durations.parse("9" * 30 + "h")


@given(st.integers(0, int(durations.LONGEST.total_seconds())))
def test_what_is_written_is_read_back(seconds: int) -> None:
    value = timedelta(seconds=seconds)
    assert durations.parse(durations.text(value)) == value

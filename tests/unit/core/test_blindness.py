"""Deadlines that fall into times in which we did not see."""

from datetime import timedelta

import pytest

from rollcall.core import blindness
from support import builders

AT = builders.SLOT_AT
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def blind(begin: int, end: int) -> blindness.Blind:
    return blindness.Blind(from_at=AT + begin * MINUTE, until_at=AT + end * MINUTE)


@pytest.mark.parametrize(
    ("periods", "later"),
    [
        ([], 0),
        ([blind(-3, -1)], 0),
        ([blind(1, 3)], 0),
        ([blind(-1, 2)], 3),
        ([blind(0, 3)], 3),
        ([blind(-1, 90)], 10),
        ([blind(-1, 2), blind(2, 4)], 5),
        ([blind(-1, 2), blind(4, 5)], 3),
    ],
    ids=["never", "before", "after", "in", "at", "in a long one", "in two", "just not in two"],
)
def test_a_deadline_in_blindness_counts_later_by_its_length(
    periods: list[blindness.Blind], later: int
) -> None:
    assert blindness.Sight(blind=periods).due(AT) == AT + later * MINUTE


def test_what_is_hidden_lies_in_a_time_of_blindness() -> None:
    sight = blindness.Sight(blind=[blind(0, 1), blind(3, 4)])
    seconds = (-1, 0, 60, 61, 180, 241)
    hidden = [second for second in seconds if sight.hid(AT + second * SECOND)]
    assert hidden == [0, 60, 180]


@pytest.mark.parametrize(
    ("seconds", "widening", "blinds"),
    [(10, 0, False), (11, 11, False), (-11, 11, False), (300, 300, False), (-301, 301, True)],
)
def test_clocks_that_differ_widen_the_grace_and_then_blind(
    seconds: int,
    widening: int,
    blinds: bool,
) -> None:
    difference = seconds * SECOND
    assert blindness.Sight(clock_difference=difference).widening == widening * SECOND
    assert blindness.is_blinding(difference) is blinds
